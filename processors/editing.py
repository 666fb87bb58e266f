"""Edits on their way into history: what a running engine has taken up, and what is new."""

from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from collector.reading import UTC_US
from processors import edits, interval
from processors.book import Book
from processors.edits import EDIT
from processors.history.editbook import EditBook
from processors.history.store import History
from processors.late import leaning
from processors.marks import LATE


@dataclass(slots=True)
class Editing:
    """Used by the engine's thread alone."""

    store: EditBook
    acts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=EDIT))
    """All acts taken up, schema EDIT."""
    _seen: int = -1

    def news(
        self, history: History, book: Book, now: datetime
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the revisions that new acts ask for, and the spans (LATE) to compute anew.

        After a restart what history on disk may lack counts as new; doing it twice changes nothing.
        """
        none = interval.empty(), pl.DataFrame(schema=LATE)
        if self.store.last() == self._seen:
            return none
        since = self.store.applied() if self._seen < 0 else self._seen
        self.acts = self.store.acts()
        self._seen = self.store.last()
        fresh = self.acts.filter(pl.col("edit_id") > since)
        again = fresh.filter(pl.col("energy_kwh").is_null()).select(
            "meter_id", first="start", last="end"
        )
        stating = pl.col("energy_kwh").is_not_null() | pl.col("withdraws").is_not_null()
        rows = [self._of(one, history) for one in fresh.filter(stating).iter_rows(named=True)]
        if not rows:
            return interval.empty(), again
        told = pl.concat(rows).unique(["meter_id", "start"], keep="last", maintain_order=True)
        told = told.with_columns(pl.lit(now, dtype=UTC_US).alias("computed_at"))
        return told, pl.concat([again, leaning(told, history, book)])

    def _of(self, act: dict[str, object], history: History) -> pl.DataFrame:
        start, end, meter = act["start"], act["end"], str(act["meter_id"])
        if not isinstance(start, datetime) or not isinstance(end, datetime):
            raise TypeError("an edit without its span")  # the schema has no such row
        inside = (pl.col("start") < end) & (pl.col("end") > start)
        mine = self.acts.filter((pl.col("meter_id") == meter) & inside)
        rows = edits.news(history.intervals(start, end, [meter]), mine)
        return rows.filter(pl.col("start") >= start, pl.col("end") <= end)

    @property
    def unsettled(self) -> bool:
        """There are acts taken up that `flushed` has not noted."""
        return self._seen > self.store.applied()

    def flushed(self) -> None:
        """Note that history has everything taken up so far on disk."""
        if self.unsettled:
            self.store.note_applied(self._seen)
