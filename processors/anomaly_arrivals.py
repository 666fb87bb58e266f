"""What came late: where the looks of a running system must begin again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl
import structlog

from collector.journal import Journal
from collector.reading import UTC_US
from processors.history.store import History

_ROWS = 500_000

LATE: dict[str, pl.DataType] = {"meter_id": pl.String(), "first": UTC_US}
"""The earliest instant of which something new is known of a meter."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far arrivals were looked at."""

    seq: int
    """Of the journal."""
    computed_at: datetime
    """Of the newest interval."""


class Arrivals:
    """Readings by the journal's order, intervals by that in which they were computed.

    Neither depends on a clock: an edge's reading keeps the instant at which the edge heard it.
    """

    def __init__(self, journal: Journal, history: History, cursor: Callable[[], int]) -> None:
        """Take the `cursor` of the engine: what it has worked up is in history."""
        self._journal, self._history, self._cursor = journal, history, cursor

    def mark(self, computed_at: datetime) -> Mark:
        """Return the mark of all readings that are in history, and of intervals computed later."""
        return Mark(self._cursor(), computed_at)

    def since(self, mark: Mark, before: datetime) -> tuple[pl.DataFrame, Mark]:
        """Return what came after the mark of instants up to `before` (LATE), and the new mark."""
        parts = [pl.DataFrame(schema=LATE)]
        seq, through = mark.seq, self._cursor()
        while seq < through:
            batch = self._journal.read(seq, _ROWS, through)
            if batch.first_seq > seq + 1:
                structlog.get_logger().warning(
                    "anomalies were not looked for while the journal was trimmed: readings that "
                    "came late then are not known; `demandwatch query anomalies` looks at all",
                    from_seq=seq + 1,
                    to_seq=batch.first_seq - 1,
                )
            parts.append(_earliest(batch.frame, "measured_at", before))
            seq = max(batch.last_seq, seq + 1)
        at = mark.computed_at
        while (rows := self._history.intervals_since(at, _ROWS)).height:
            parts.append(_earliest(rows, "start", before))
            at = rows["computed_at"][-1]
        late = pl.concat(parts).group_by("meter_id").agg(pl.col("first").min())
        return late, Mark(max(seq, through), at)


def _earliest(rows: pl.DataFrame, column: str, before: datetime) -> pl.DataFrame:
    at = pl.col(column)
    found = rows.filter(at <= before).group_by("meter_id").agg(at.min().alias("first"))
    return found.select(pl.col(name).cast(kind) for name, kind in LATE.items())
