"""Folding: the day rows of finished days are stored, all others computed when asked for.

A (meter, local day) with intervals that no stored day row counts is *open*. The open days are kept
in memory and found again after a restart: the days table carries a mark, the `computed_at` through
which every interval is folded.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import polars as pl

from collector.reading import UTC_US
from processors.book import Book
from processors.history import since
from processors.history.days import DAY, USED, bounded, day_rows, local
from processors.history.latest import latest, latest_intervals
from processors.history.recent import FIRST
from processors.history.tables import Meters, Tables, by_day, of

Rows = Callable[[datetime, datetime, Meters, datetime | None], pl.DataFrame]
"""All revisions of the intervals in [start, end) of some meters, as known at an instant."""

_MARK = "folded_us"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY = ["meter_id", "day"]
_OPEN: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "day": pl.Date(),
    "start": UTC_US,
    "end": UTC_US,
    "oldest": UTC_US,
    "newest": UTC_US,
    "touched": pl.Int64(),
}
"""`start`, `end` of the day in UTC; `oldest`, `newest` `computed_at` of its intervals not folded;
`touched` the number of flushes before its last row came."""
_PAIRS = 20_000
"""Most days computed at once: two million intervals."""
_PAIRS_A_FLUSH = 1_000
"""Most days a flush stores: about 50 ms; `store` does the rest in the background."""
_APART = timedelta(days=7)
"""Days further apart are read apart, so that nothing in between is."""


class Fold:
    """The days table and the open days beside it."""

    def __init__(self, tables: Tables, book: Book, *, readonly: bool) -> None:
        self._tables, self._readonly = tables, readonly
        self._lock, self._storing = threading.Lock(), threading.Lock()
        self._flushes = 0
        self._open = pl.DataFrame(schema=_OPEN)
        if not readonly:
            self._open = self._unfolded(book)

    def touch(self, intervals: pl.DataFrame, book: Book) -> None:
        """Open the days of new interval rows."""
        with self._lock:
            fresh = _opened(intervals, book, self._flushes)
            merged = pl.concat([self._open, fresh]).group_by(_KEY)
            self._open = merged.agg(
                pl.first("start", "end"), pl.min("oldest"), pl.max("newest", "touched")
            )

    def flushed(self, book: Book, now: datetime, rows: Rows) -> None:
        """Count a flush, and store a few of the days that are over: a flush must stay short."""
        with self._lock:
            self._flushes += 1
        if self._storing.acquire(blocking=False):
            try:
                self._store(self._over(now).head(_PAIRS_A_FLUSH), book, now, rows)
            finally:
                self._storing.release()

    def store(self, book: Book, now: datetime, rows: Rows) -> None:
        """Store every day that is over and got no row since the flush before the last."""
        with self._storing:
            while (ripe := self._over(now).head(_PAIRS)).height:
                self._store(ripe, book, now, rows)

    def _over(self, now: datetime) -> pl.DataFrame:
        with self._lock:
            settled = pl.col("touched") < self._flushes - 1
            return self._open.filter((pl.col("end") <= now) & settled).sort("day", "meter_id")

    def _store(self, ripe: pl.DataFrame, book: Book, now: datetime, rows: Rows) -> None:
        if ripe.is_empty():
            return
        stored = self._stored(ripe)
        fresh = _revised(_computed(ripe, book, now, rows, None), stored)
        news = fresh.join(stored, on=[*_KEY, "computed_at"], how="anti")
        done = ripe.select(*_KEY, "touched")
        if news.height:
            with self._lock:
                rest = self._open.join(done, on=done.columns, how="anti")
            self._tables.days.append(news, {_MARK: _folded_through(rest, ripe)})
            self._tables.days.refresh()
        with self._lock:
            self._open = self._open.join(done, on=done.columns, how="anti")

    def days(
        self,
        start: date,
        end: date,
        meters: Meters,
        as_of: datetime | None,
        book: Book,
        now: datetime,
        rows: Rows,
    ) -> pl.DataFrame:
        """Return the latest DAY rows with `day` in [start, end), as known at `as_of`."""
        inside = (pl.col("day") >= start) & (pl.col("day") < end) & of(meters)
        pairs = self._pairs(book).filter(inside).select(*_KEY, "start", "end")
        table = self._tables.days
        stored = by_day(table, table.files(), start, end, meters)
        if as_of is not None:
            known = (pl.col("computed_at") <= as_of) & (pl.col("end") <= as_of)
            changed = stored.filter(~known).select(*_KEY, "start", "end")
            pairs, stored = pl.concat([pairs, changed]).unique(_KEY), stored.filter(known)
        newest = latest(stored, *_KEY)
        fresh = _revised(_computed(pairs, book, now, rows, as_of), newest)
        return pl.concat([newest.join(fresh, on=_KEY, how="anti"), fresh]).sort(_KEY)

    def _pairs(self, book: Book) -> pl.DataFrame:
        if self._readonly:
            return self._unfolded(book)
        with self._lock:
            return self._open

    def _unfolded(self, book: Book) -> pl.DataFrame:
        self._tables.days.refresh()
        mark = self._tables.days.mark(_MARK)
        after = FIRST if mark is None else _EPOCH + timedelta(microseconds=mark)
        return _opened(since.keys(self._tables.intervals, after), book, -2)

    def _stored(self, pairs: pl.DataFrame) -> pl.DataFrame:
        first, last = pairs["day"].min(), pairs["day"].max()
        if not (isinstance(first, date) and isinstance(last, date)):
            return pl.DataFrame(schema=DAY)
        table = self._tables.days
        rows = by_day(table, table.files(), first, last + timedelta(days=1), None)
        return latest(rows.join(pairs, on=_KEY, how="semi"), *_KEY)


def _opened(intervals: pl.DataFrame, book: Book, flushes: int) -> pl.DataFrame:
    at = pl.col("computed_at")
    rows = local(intervals.select("meter_id", "start", "computed_at"), book.meters)
    pairs = rows.group_by(*_KEY, "timezone").agg(at.min().alias("oldest"), at.max().alias("newest"))
    full = bounded(pairs).with_columns(touched=pl.lit(flushes))
    return full.select(pl.col(n).cast(t) for n, t in _OPEN.items())


def _computed(
    pairs: pl.DataFrame, book: Book, now: datetime, rows: Rows, as_of: datetime | None
) -> pl.DataFrame:
    """Return the DAY rows of `pairs`, revision 0."""
    found = [pl.DataFrame(schema=DAY)]
    for run in _runs(pairs):
        start, end = run["start"].min(), run["end"].max()
        if isinstance(start, datetime) and isinstance(end, datetime):
            meters = run["meter_id"].unique().to_list()
            some = meters if 2 * len(meters) < book.meters.height else None
            blocks = latest_intervals(rows(start, end, some, as_of).select(USED), ordered=False)
            made = day_rows(blocks, book.meters, now)
            found.append(made.join(run, on=_KEY, how="semi"))
    return pl.concat(found)


def _runs(pairs: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut the days into runs without long holes, none too large for memory."""
    ordered = pairs.sort("day")
    hole = (pl.col("day").diff() > _APART).fill_null(value=False).cum_sum()
    for run in ordered.with_columns(_run=hole).partition_by("_run", include_key=False):
        yield from run.iter_slices(_PAIRS)


def _revised(fresh: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Number `fresh` rows on from the stored ones; the same figures keep their number."""
    before = stored.select(*_KEY, _revision="revision", _at="computed_at")
    newer = (pl.col("computed_at") > pl.col("_at")).cast(pl.Int32)
    number = pl.coalesce(pl.col("_revision") + newer, pl.lit(0)).cast(pl.Int32)
    return fresh.join(before, on=_KEY, how="left").with_columns(revision=number).select(list(DAY))


def _folded_through(rest: pl.DataFrame, ripe: pl.DataFrame) -> int:
    """Return the `computed_at` (epoch microseconds) through which all intervals are folded."""
    oldest = rest["oldest"].dt.epoch("us").min()
    newest = ripe["newest"].dt.epoch("us").max()
    return int(str(newest)) if oldest is None else int(str(oldest)) - 1
