"""Readings taken out of messages, row by row, and their judgement, column by column. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np
import polars as pl

from collector.quantity import QUANTITIES
from collector.reading import UTC_US
from collector.reason import Reason
from collector.values import Mask, instants, numbers

EXCERPT_CHARS = 200
ALLOWED = frozenset(("measured_at", "meter_id", *QUANTITIES))
"""Keys a row may have."""


class Message(NamedTuple):
    """What a broker delivered."""

    topic: str
    payload: bytes
    stale: Reason | None = None
    """Why its arrival says nothing about when it was measured; None: it came as it was sent."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Bad data of one kind from one topic."""

    reason: Reason
    topic: str
    excerpt: str
    """The first of them, shortened."""
    count: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a batch of messages held."""

    frame: pl.DataFrame
    """READING without the quantities nobody mentioned; in the order of the messages."""
    rejected: list[Rejected]


@dataclass(slots=True)
class Rows:
    """Readings as told, side by side with where they came from, and what was rejected."""

    values: list[dict[str, object]] = field(default_factory=list)
    """Keys of ALLOWED; `measured_at` as ISO 8601 with offset or milliseconds since 1970."""
    meters: list[str] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    """Empty where all rows have one source."""
    notes: dict[tuple[Reason, str], tuple[str, int]] = field(default_factory=dict)

    def reject(self, reason: Reason, topic: str, excerpt: str, count: int = 1) -> None:
        """Note bad data; of many alike on a topic the first is kept and the others are counted."""
        first, before = self.notes.get((reason, topic), (excerpt, 0))
        self.notes[reason, topic] = (first[:EXCERPT_CHARS], before + count)

    def rejected(self) -> list[Rejected]:
        """Return everything noted."""
        return [Rejected(*key, *note) for key, note in self.notes.items()]

    def frame(self, now: datetime, source: str) -> pl.DataFrame:
        """Judge every row and return the good ones; the others are noted.

        Args:
            now: instant of reception; becomes `received_at`.
            source: becomes `source` where the rows have none of their own.
        """
        keys: set[str] = set().union(*self.values)
        good = np.ones(len(self.values), bool)
        if not keys <= ALLOWED:
            self._note_unknown()
        if "meter_id" in keys:
            self._agree(good)
        times = [row.get("measured_at") for row in self.values]
        micros, faults = instants(times, now)
        for reason, wrong in faults:
            self._note(good, reason, wrong, "measured_at", times)
        columns = self._columns(keys, good)
        frame = pl.DataFrame(
            {"meter_id": pl.Series(self.meters, dtype=pl.String), "measured_at": micros},
        ).with_columns(
            pl.col("measured_at").cast(UTC_US),
            pl.lit(now).cast(UTC_US).alias("received_at"),
            (pl.Series(self.sources, dtype=pl.String) if self.sources else pl.lit(source)).alias(
                "source"
            ),
            *columns,
        )
        return frame if good.all() else frame.filter(pl.Series(good))

    def _columns(self, keys: set[str], good: Mask) -> list[pl.Series]:
        """Return the quantities somebody mentioned; rows with a bad value or none are noted."""
        columns = []
        silent = np.ones(len(self.values), bool)
        for name in (name for name in QUANTITIES if name in keys):
            values = [row.get(name) for row in self.values]
            column, unsaid, faults = numbers(name, values)
            columns.append(pl.Series(name, column).fill_nan(None))
            silent = np.zeros(len(values), bool) if unsaid is None else silent & unsaid
            for reason, wrong in faults:
                self._note(good, reason, wrong, name, values)
        self._note(good, Reason.NO_QUANTITY, silent & good, "reading", self.values)
        return columns

    def _agree(self, good: Mask) -> None:
        """Note rows that speak of another meter than their topic."""
        pairs = zip(self.values, self.meters, strict=True)
        said = [row.get("meter_id", meter) for row, meter in pairs]
        wrong = np.array([a != b for a, b in zip(said, self.meters, strict=True)], dtype=bool)
        self._note(good, Reason.TOPIC_MISMATCH, wrong, "meter_id", said)

    def _note(
        self, good: Mask, reason: Reason, wrong: Mask, key: str, values: Sequence[object]
    ) -> None:
        """Reject the rows `wrong` marks and clear them in `good`."""
        if not wrong.any():
            return
        good &= ~wrong
        for i in np.flatnonzero(wrong).tolist():
            self._reject_row(reason, i, key, values[i])

    def _reject_row(self, reason: Reason, index: int, key: str, value: object) -> None:
        topic = self.topics[index]
        at = self.values[index].get("measured_at")
        known = (reason, topic) in self.notes  # a flood is counted, not written out
        self.reject(reason, topic, "" if known else f"{key}={value!r:.120} at {at!r:.40}")

    def _note_unknown(self) -> None:
        for i, row in enumerate(self.values):
            for key in row.keys() - ALLOWED:
                self._reject_row(Reason.UNKNOWN_QUANTITY, i, key, row[key])
