"""What came late: where the looks of a running system must begin again."""

from collections.abc import Callable, Iterator
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
        through, at = self._cursor(), mark.computed_at
        parts = list(self._readings(mark.seq, through, before))
        while (rows := self._history.intervals_since(at, _ROWS)).height:
            parts.append(_earliest(rows, "start", before))
            at = rows["computed_at"][-1]
        late = pl.concat([pl.DataFrame(schema=LATE), *parts])
        return late.group_by("meter_id").agg(pl.col("first").min()), Mark(through, at)

    def _readings(self, after: int, through: int, before: datetime) -> Iterator[pl.DataFrame]:
        """Yield LATE rows of the journal's readings."""
        while after < through:
            batch = self._journal.read(after, _ROWS, through)
            gone = batch.first_seq - 1 if batch.last_seq > after else through
            if gone > after:
                structlog.get_logger().warning(
                    "anomalies were not looked for while the journal was trimmed: readings that "
                    "came late then are not known; `demandwatch query anomalies` looks at all",
                    from_seq=after + 1,
                    to_seq=gone,
                )
            yield _earliest(batch.frame, "measured_at", before)
            after = max(batch.last_seq, gone)


def _earliest(rows: pl.DataFrame, column: str, before: datetime) -> pl.DataFrame:
    at = pl.col(column)
    found = rows.filter(at <= before).group_by("meter_id").agg(at.min().alias("first"))
    return found.select(pl.col(name).cast(kind) for name, kind in LATE.items())
