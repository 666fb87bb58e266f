"""History: what was read and computed, for ever, with every revision and as it was known then."""

import threading
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

from collector.clock import Clock
from collector.reading import READING, conform
from processors.book import Book
from processors.history import since
from processors.history.days import MONTH, month_rows
from processors.history.delta import Tidy
from processors.history.fold import Fold
from processors.history.latest import latest, latest_intervals
from processors.history.neighbours import Rows, beside
from processors.history.recent import Recent, conformed, joined, nothing_held
from processors.history.tables import Tables, by_time, of
from processors.samples import register_of
from processors.verdict import VERDICT

RECENT_SPAN = timedelta(days=3)
RECENT_ROWS = 2_000_000


class History:
    """The store of one bureau: one writing process, any number of readers.

    All methods may be called from any thread. What `add` took is seen at once by this process, and
    by others after `flush`. Frames given out are the caller's.

    Args:
        root: folder of the tables; made on the first flush.
        now: site time; decides which days are over.
        book: the meters' time zones; replace it with `use` when settings are reloaded.
        recent_span: data time of intervals kept in memory behind the newest block.
        recent_rows: most rows kept in memory that are on disk too, about 140 bytes each.
    """

    def __init__(
        self,
        root: Path,
        now: Callable[[], datetime],
        book: Book,
        *,
        recent_span: timedelta = RECENT_SPAN,
        recent_rows: int = RECENT_ROWS,
        readonly: bool = False,
    ) -> None:
        self._now, self._book, self._readonly = now, book, readonly
        self._tables = Tables(root, readonly=readonly)
        self._lock, self._flushing = threading.RLock(), threading.Lock()
        self._committed = {n: self._mark(n) for n in ("readings", "intervals")}
        self._seq = max(self._committed.values())
        self._readings: list[pl.DataFrame] = []
        self._recent = nothing_held() if readonly else Recent(recent_span, recent_rows)
        if not readonly:
            since.load(self._tables.intervals, self._recent)
        self._newest = since.newest(self._tables.intervals)
        self._fold = Fold(self._tables, book, readonly=readonly)

    @classmethod
    def open_readonly(
        cls, root: Path, book: Book | None = None, now: Callable[[], datetime] | None = None
    ) -> "History":
        """Open another process's history for reading; each read sees its latest flush.

        Without `book` only days already over and stored are known, and no months.
        """
        return cls(root, now or Clock.real().now, book or Book.of(()), readonly=True)

    def use(self, book: Book) -> None:
        """Take the facts of reloaded settings."""
        with self._lock:
            self._book = book

    def committed(self, table: str) -> int:
        """Return the last `seq` of `readings` or `intervals` that is on disk; 0 if none."""
        with self._lock:
            return self._committed[table]

    def add(self, seq: int, readings: pl.DataFrame, intervals: pl.DataFrame) -> None:
        """Take the rows of the journal through `seq`; on disk after the next `flush`.

        What a crash let through twice is dropped: readings or intervals whose `seq` is committed.
        `computed_at` never runs backwards here: where the clock was set back, rows get the next
        microsecond, so that no sink's cursor passes them and the latest revision stays the latest.
        """
        self._writable()
        rows = conformed(intervals)
        with self._lock:
            self._seq = max(self._seq, seq)
            if readings.height and seq > self._committed["readings"]:
                self._readings.append(conform(readings))
            if seq > self._committed["intervals"]:
                self._take(rows)

    def amend(self, intervals: pl.DataFrame) -> None:
        """Take rows that come from no journal batch, such as manual edits."""
        self._writable()
        with self._lock:
            self._take(conformed(intervals))

    def flush(self) -> int:
        """Commit what was added, fold the days that are over; return the `seq` now on disk.

        Raises:
            StoreError: the disk failed; nothing added is lost, call again.
        """
        self._writable()
        with self._flushing:
            with self._lock:
                seq, now, book = self._seq, self._now(), self._book
                readings, intervals = list(self._readings), list(self._recent.pending)
            if readings:
                self._tables.readings.append(pl.concat(readings), {"readings": seq})
                with self._lock:
                    del self._readings[: len(readings)]
                    self._settled("readings", seq)
            if intervals:
                self._tables.intervals.append(pl.concat(intervals), {"intervals": seq})
                with self._lock:
                    self._recent.settle(len(intervals))
                    self._settled("intervals", seq)
            self._fold.flushed(book, now, self._rows)
            return seq

    def add_verdicts(self, verdicts: pl.DataFrame) -> int:
        """Commit VERDICT rows that say something new; return how many did."""
        self._writable()
        same = [n for n in VERDICT if n not in {"computed_at", "standing_reasons"}]
        with self._flushing:
            known = self.verdicts()
            news = verdicts.join(known, on=same, how="anti", nulls_equal=True)
            if news.height:
                self._tables.verdicts.append(news)
                self._tables.verdicts.refresh()
            return news.height

    def maintain(self, limits: Tidy | None = None) -> int:
        """Store finished days, compact, checkpoint and vacuum; return the partitions rewritten.

        For a background thread: safe beside reads, `add` and `flush`.
        """
        self._writable()
        self._fold.store(*self._facts(None), self._rows)
        done = sum(table.tidy(limits or Tidy()) for table in self._tables.all)
        with self._flushing, self._lock:
            for table in self._tables.all:
                table.refresh()
        return done

    def intervals(
        self,
        start: datetime,
        end: datetime,
        meters: Sequence[str] | None = None,
        as_of: datetime | None = None,
    ) -> pl.DataFrame:
        """Return the latest revision of the blocks with `start` in [start, end).

        Args:
            start: first block start, aware.
            end: exclusive.
            meters: None: all.
            as_of: the latest revision then known: `computed_at` not after this.

        Returns:
            INTERVAL rows sorted by meter_id and start.
        """
        return latest_intervals(self._rows(start, end, _listed(meters), as_of))

    def intervals_since(self, after: datetime, limit: int) -> pl.DataFrame:
        """Return the revisions with `computed_at` after `after`, in that order: a sink's cursor.

        About `limit` rows, more where one `computed_at` has more: it is never split. Empty means
        that there is nothing newer.
        """
        with self._lock:
            complete = after >= self._recent.evicted
            memory, files = self._recent.all(), self._tables.intervals.files()
        held = joined(f.filter(pl.col("computed_at") > after) for f in memory)
        if complete:
            return since.first(held, limit)
        return since.from_disk(self._tables.intervals, files, held, after, limit)

    def readings(
        self, start: datetime, end: datetime, meters: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """Return READING rows with `measured_at` in [start, end), every version received.

        Sorted by meter_id, measured_at, received_at.
        """
        rows = self._reading_rows()(start, end, _listed(meters))
        return rows.sort("meter_id", "measured_at", "received_at")

    def neighbours(
        self, meters: Sequence[str], start: datetime, end: datetime, count: int = 3
    ) -> pl.DataFrame:
        """Return the rows of the `count` instants before `start` and from `end` on, per meter.

        READING rows that carry the meter's register, however far away; every version received;
        sorted as `readings`.
        """
        register = register_of(self._book)
        found = beside(self._reading_rows(), list(meters), start, end, count, register)
        return found.sort("meter_id", "measured_at", "received_at")

    def days(
        self,
        start: date,
        end: date,
        meters: Sequence[str] | None = None,
        as_of: datetime | None = None,
    ) -> pl.DataFrame:
        """Return the DAY rows with `day` in [start, end), the running day included."""
        book, now = self._facts(as_of)
        return self._fold.days(start, end, _listed(meters), as_of, book, now, self._rows)

    def months(
        self,
        start: date,
        end: date,
        meters: Sequence[str] | None = None,
        as_of: datetime | None = None,
    ) -> pl.DataFrame:
        """Return the MONTH rows of the months that [start, end) touches, each one whole."""
        if start >= end:
            return pl.DataFrame(schema=MONTH)
        last = end - timedelta(days=1)
        after = (last.replace(day=1) + timedelta(days=32)).replace(day=1)
        book, now = self._facts(as_of)
        return month_rows(self.days(start.replace(day=1), after, meters, as_of), book.meters, now)

    def verdicts(
        self, sites: Sequence[str] | None = None, as_of: datetime | None = None
    ) -> pl.DataFrame:
        """Return the latest VERDICT rows, as known at `as_of`, by site and period."""
        table = self._tables.verdicts
        rows = table.read(table.files(), None if as_of is None else pl.col("computed_at") <= as_of)
        wanted = rows if sites is None else rows.filter(pl.col("site_id").is_in(list(sites)))
        return latest(wanted, "verdict_id").sort("site_id", "period_start", "verdict_id")

    def _facts(self, as_of: datetime | None) -> tuple[Book, datetime]:
        with self._lock:
            return self._book, self._now() if as_of is None else as_of

    def _take(self, rows: pl.DataFrame) -> None:
        if rows.height:
            rows, self._newest = since.onward(rows, self._newest)
            self._recent.pending.append(rows)
            self._fold.touch(rows, self._book)

    def _rows(
        self,
        start: datetime,
        end: datetime,
        meters: list[str] | None = None,
        as_of: datetime | None = None,
    ) -> pl.DataFrame:
        """Return all revisions of the blocks in [start, end), in no order; some may be twice."""
        wanted = (pl.col("start") >= start) & (pl.col("start") < end) & of(meters)
        with self._lock:
            memory, floor = self._recent.frames(start, end), self._recent.floor
            table, files = self._tables.intervals, self._tables.intervals.files()
        parts = [frame.filter(wanted) for frame in memory]
        if start < floor:
            parts.append(by_time(table, files, "start", start, min(end, floor), meters))
        rows = joined(part for part in parts if part.height)
        return rows if as_of is None else rows.filter(pl.col("computed_at") <= as_of)

    def _reading_rows(self) -> Rows:
        with self._lock:
            pending, table = list(self._readings), self._tables.readings
            files = table.files()

        def rows(start: datetime, end: datetime, meters: list[str] | None) -> pl.DataFrame:
            time = (pl.col("measured_at") >= start) & (pl.col("measured_at") < end)
            memory = [frame.filter(time & of(meters)) for frame in pending]
            disk = by_time(table, files, "measured_at", start, end, meters)
            return pl.concat([disk.cast(pl.Schema(READING)), *memory])

        return rows

    def _settled(self, table: str, seq: int) -> None:
        self._committed[table] = seq
        getattr(self._tables, table).refresh()

    def _mark(self, table: str) -> int:
        return getattr(self._tables, table).mark(table) or 0

    def _writable(self) -> None:
        if self._readonly:
            raise PermissionError("this history was opened for reading only")


def _listed(meters: Sequence[str] | None) -> list[str] | None:
    return None if meters is None else list(meters)
