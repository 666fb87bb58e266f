"""The readings of one batch: values of one meter and instant go side by side into one row. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import polars as pl

from collector.payloads.routes import Spot
from collector.payloads.times import milliseconds
from collector.quantity import QUANTITIES
from collector.reading import KEY
from collector.reason import Reason
from collector.registers import factor
from collector.rows import Decoded, Rows
from collector.values import instants

_MICROSECOND_MS = 0.001


@dataclass(slots=True)
class Sheet:
    """Collects what a batch of messages says."""

    now: datetime
    rows: Rows = field(default_factory=Rows)
    now_ms: float = field(init=False)
    """Instant of reception, milliseconds since 1970 UTC."""
    _arrived: dict[str, tuple[float, set[str]]] = field(default_factory=dict)
    """By meter: the instant its arriving values get, and which it has given already."""

    def __post_init__(self) -> None:
        """Note the instant as a number."""
        self.now_ms = milliseconds(self.now)

    def add(
        self, spot: Spot, topic: str, source: str, at: object, values: Mapping[str, object]
    ) -> None:
        """Add what one message says of one meter.

        Args:
            spot: the meter.
            topic: where it came from.
            source: the row's source.
            at: ISO 8601 with offset or milliseconds since 1970 UTC.
            values: by quantity; secondary ones become primary here.
        """
        if spot.ratios is not None:
            primary = self._primary(spot, at, values)
            if primary is None:
                self.rows.reject(Reason.NO_RATIO, topic, f"{dict(values)!r:.120} at {at!r:.40}")
                return
            values = primary
        self.rows.values.append({"measured_at": at, **values})
        self.rows.meters.append(spot.meter_id)
        self.rows.topics.append(topic)
        self.rows.sources.append(source)

    def arrival(self, meter_id: str, quantities: set[str]) -> float:
        """Return the instant of values that arrive now, milliseconds since 1970 UTC.

        What a meter says twice in one batch gets instants a microsecond apart: the second is news,
        not a correction of the first.
        """
        at, given = self._arrived.get(meter_id, (self.now_ms, set[str]()))
        if given & quantities:
            at, given = at + _MICROSECOND_MS, set()
        self._arrived[meter_id] = (at, given | quantities)
        return at

    def decoded(self) -> Decoded:
        """Judge the rows, then lay those of one meter and instant together."""
        frame = self.rows.frame(self.now, "mqtt")
        return Decoded(_together(frame), self.rows.rejected())

    def _primary(
        self, spot: Spot, at: object, values: Mapping[str, object]
    ) -> dict[str, object] | None:
        """Return values before the transformers; None if no ratio is in force then."""
        micros, _ = instants([at], self.now)
        ct, pt = spot.ratios.at(int(micros[0])) if spot.ratios else (1.0, 1.0)
        if np.isnan(ct) or np.isnan(pt):
            return None
        ratio = {"ct": np.array([ct]), "pt": np.array([pt])}
        return {
            name: value * float(np.max(factor(name, ratio)))
            if isinstance(value, int | float) and not isinstance(value, bool)
            else value
            for name, value in values.items()
        }


def _together(frame: pl.DataFrame) -> pl.DataFrame:
    """Merge rows of one meter and instant that do not contradict one another.

    Two rows would be a reading and its correction, and one message's silence no correction is.
    """
    if not frame.select(KEY).is_duplicated().any():
        return frame
    quantities = [name for name in frame.columns if name in QUANTITIES]
    agree = pl.all_horizontal(pl.col(name).drop_nulls().n_unique().over(KEY) <= 1
                              for name in quantities)  # fmt: skip
    frame = frame.with_columns(_agree=agree)
    merged = (
        frame.filter("_agree")
        .group_by(KEY, maintain_order=True)
        .agg(pl.col(name).drop_nulls().first() for name in frame.columns if name not in KEY)
    )
    return pl.concat([frame.filter(~pl.col("_agree")), merged.select(frame.columns)]).drop("_agree")
