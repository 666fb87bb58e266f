"""The engine: journal -> step -> history, for as long as the program runs.

Exactly once: history commits carry the journal position, the snapshot is saved after them, and a
restart replays the journal from the snapshot, cut where history was committed.
"""

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Lock

import polars as pl
import structlog

from collector import reading
from collector.clock import Clock
from collector.journal import Batch, Journal
from collector.metrics import Metrics
from processors import running, snapshot
from processors.book import Book
from processors.editing import Editing
from processors.edits import by_day, edited
from processors.edits import none as edits_none
from processors.history.editbook import EditBook
from processors.history.store import History
from processors.late import revise
from processors.live import LIVE, Live
from processors.marks import LATE
from processors.settings import EngineSettings
from processors.step import State, step
from processors.swing_keeper import Swings

RATE_WINDOW_S = 10.0
VIEW_S = 1.0
"""Real seconds between looks at the running block while a backlog is worked up: nobody waits for a
picture of yesterday, and it costs a third of the work."""

PORTION = 2_000
"""Meter-days computed anew between two batches, so that live readings do not wait."""

Listener = Callable[[pl.DataFrame, Live], None]
"""Called after each step with the INTERVAL rows just issued (perhaps none) and the live picture."""


class _Told:
    """What the metrics are told."""

    def __init__(self, metrics: Metrics) -> None:
        self.seconds = metrics.histogram("step_seconds", "Real seconds a step took, end to end")
        self.issued = metrics.counter("intervals", "Interval rows issued", ["kind"])
        self.taken = metrics.counter("readings_processed", "Readings taken from the journal")
        self.lag = metrics.gauge("journal_lag_batches", "Journal batches not yet processed")
        self.refused = metrics.counter("history_refused", "Flushes the disk refused")
        self.unknown = metrics.counter("readings_unknown_meter", "Readings of unlisted meters")


class Engine:
    """Runs the step over the journal; one thread calls `run`, any thread may call `live`."""

    def __init__(
        self,
        journal: Journal,
        history: History,
        book: Book,
        clock: Clock,
        snapshot_path: Path,
        metrics: Metrics,
        settings: EngineSettings | None = None,
        *,
        keep_journal: timedelta = timedelta(hours=72),
        edits: EditBook | None = None,
        listener: Listener = lambda _intervals, _live: None,
        on_late: Callable[[pl.DataFrame], None] = lambda _late: None,
    ) -> None:
        self._journal, self._history, self._book, self._clock = journal, history, book, clock
        self._path = snapshot_path
        self._settings = settings or EngineSettings()
        self._keep, self._listener, self._on_late = keep_journal, listener, on_late
        self.caught_up = Event()
        """Set once what the journal held at the start has been processed."""
        self._lock, self._swings = Lock(), Swings(history)
        self._live = pl.DataFrame(schema=LIVE)
        self._rate: deque[tuple[float, int]] = deque()
        self._readings = self._intervals = 0
        self._state, self._cursor, self._backlog = State.empty(), 0, 0
        self._restored = False
        self._late = pl.DataFrame(schema=LATE)
        """Spans whose blocks are still to be computed anew."""
        self._editing = Editing(edits) if edits else None
        self._unmade = pl.DataFrame(schema=LATE)
        """Spans to compute anew because a person's act asks for it or bears upon them."""
        self._untold: list[pl.DataFrame] = []
        """INTERVAL rows the listener has not taken yet."""
        self._unseen: list[pl.Series] = []
        """Meters heard since the picture was last drawn."""
        self._flushed_at = self._trimmed_at = time.monotonic()
        self._drawn_at = float("-inf")
        self._dirty = False
        self._told = _Told(metrics)

    def run(self, stop: Event) -> None:
        """Process until `stop` is set, then flush; called again after a crash, it goes on."""
        self._restore()
        while not stop.is_set():
            if self._unmade.is_empty():
                self._journal.wait(self._cursor, self._settings.idle_s)
            self.pass_once()
        self.flush()

    def drain(self) -> int:
        """Process everything the journal holds and flush; return the intervals issued.

        For work without a running system, such as an import.
        """
        self._restore()
        before = self._intervals
        while self._journal.last() > self._cursor:
            self.pass_once()
        self._edit()
        while self._unmade.height:
            self._edit()
        self.flush()
        return self._intervals - before

    def pass_once(self) -> int:
        """Take what the journal holds now, one batch; return how many readings there were."""
        self._edit()
        self._settle()
        batch = self._journal.read(self._cursor, self._settings.batch_rows, self._cut())
        if batch.last_seq > self._cursor:
            with self._told.seconds.time():
                self._take(batch)
                self._settle()
        if self._cursor >= self._backlog:
            self.caught_up.set()
        if time.monotonic() - self._flushed_at >= self._settings.flush_s:
            self.flush()
        return batch.frame.height

    def flush(self) -> None:
        """Commit history, then the snapshot, then let the journal forget what is old enough.

        A disk that refuses is told of and tried again at the next call; nothing is lost meanwhile.
        """
        self._flushed_at = time.monotonic()
        edited_anew = self._editing is not None and self._editing.unsettled
        if not self._dirty and not edited_anew:
            return
        self._settle()
        try:
            self._history.flush()
            snapshot.save(self._path, self._state, self._cursor)
            if self._editing and self._unmade.is_empty():
                self._editing.flushed()
        except OSError:
            self._told.refused.inc()
            structlog.get_logger().exception("history is not on disk yet; trying again")
            return
        self._dirty = False
        if time.monotonic() - self._trimmed_at >= self._settings.trim_s:
            self._trimmed_at = time.monotonic()
            self._journal.trim(self._cursor, self._clock.now() - self._keep)

    def live(self) -> Live:
        """Return the picture of this instant; safe from any thread."""
        with self._lock:
            return Live(
                at=self._clock.now(),
                meters=self._live,
                readings_total=self._readings,
                readings_per_s=self._per_second(),
                intervals_total=self._intervals,
                journal_lag=max(self._journal.last() - self._cursor, 0),
            )

    def marks(self) -> pl.DataFrame:
        """Return how far each register has been read, schema MARKS; safe from any thread."""
        return self._state.marks

    @property
    def cursor(self) -> int:
        """The journal position processed so far."""
        return self._cursor

    def _restore(self) -> None:
        """Take up the snapshot; after a crash of this stage memory is newer, and stays."""
        if self._restored:
            return
        try:
            found = snapshot.load(self._path)
        except ValueError:
            self._path.rename(self._path.with_suffix(".damaged"))
            structlog.get_logger().exception(
                "the state snapshot is damaged: set aside, the journal is processed from its start"
            )
            found = None
        self._state, self._cursor = found or (State.empty(), 0)
        self._backlog = self._journal.last()
        self._restored = True
        heard = self._state.marks["meter_id"]
        with self._lock:
            self._live = self._running(heard)

    def _cut(self) -> int | None:
        """Return where history was committed beyond the snapshot: a replay must stop there once."""
        ahead = [
            mark
            for mark in (self._history.committed(name) for name in ("readings", "intervals"))
            if mark > self._cursor
        ]
        return min(ahead) if ahead else None

    def _take(self, batch: Batch) -> None:
        """Step over one batch; what is left to do for it is remembered until `_settle` did it."""
        now = self._clock.now()
        state, result = step(self._state, batch.frame, self._book, now)
        closed = edited(result.intervals, self._acts)
        self._history.add(batch.last_seq, batch.frame, closed)
        self._state, self._cursor, self._dirty = state, batch.last_seq, True
        self._late = pl.concat([self._late, result.late])
        self._untold.append(closed)
        self._unseen.append(result.touched)
        behind = self._journal.last() > self._cursor
        if not behind or time.monotonic() - self._drawn_at >= VIEW_S:
            self._draw()
        self._count(batch.frame.height, closed.height, result.unknown)

    def _draw(self) -> None:
        """Bring the picture of the running block up to date."""
        fresh = self._running(pl.concat(self._unseen).unique())
        with self._lock:
            self._live = running.merge(self._live, fresh)
        self._unseen, self._drawn_at = [], time.monotonic()

    def _running(self, meters: pl.Series) -> pl.DataFrame:
        newest = self._state.pending["measured_at"].max()
        swings = self._swings.at(newest) if isinstance(newest, datetime) else None
        return running.running(self._state, self._book, meters, swings)

    @property
    def _acts(self) -> pl.DataFrame:
        return self._editing.acts if self._editing else edits_none()

    def _edit(self) -> None:
        """Take up manual edits made since; not before a replay has passed what history holds."""
        if self._editing is None or self._cut() is not None:
            return
        now, marks = self._clock.now(), self._state.marks
        told, spans = self._editing.news(self._history, self._book, now)
        self._amend(told)
        if spans.height:
            self._unmade = by_day(pl.concat([self._unmade, spans]))
        if self._unmade.height:
            book, acts = self._book, self._editing.acts
            portion, rest = self._unmade.head(PORTION), self._unmade.slice(PORTION)
            self._amend(revise(portion, marks, self._history, book, now, acts))
            self._unmade = rest

    def _amend(self, rows: pl.DataFrame) -> None:
        if rows.height:
            self._history.amend(rows)
            self._untold.append(rows)
            self._told.issued.labels("revision").inc(rows.height)
            self._dirty = True

    def _settle(self) -> None:
        """Revise what late readings touched, then tell the listener; both only once they worked."""
        if self._late.height:
            now, marks = self._clock.now(), self._state.marks
            revised = revise(self._late, marks, self._history, self._book, now, self._acts)
            self._history.add(self._cursor, reading.empty(), revised)
            self._on_late(self._late)
            self._late = self._late.clear()
            self._untold.append(revised)
            self._told.issued.labels("revision").inc(revised.height)
        if self._untold:
            self._listener(pl.concat(self._untold), self.live())
            self._untold = []

    def _count(self, readings: int, issued: int, unknown: int) -> None:
        self._told.taken.inc(readings)
        self._told.unknown.inc(unknown)
        self._told.issued.labels("first").inc(issued)
        self._told.lag.set(max(self._journal.last() - self._cursor, 0))
        with self._lock:
            self._readings += readings
            self._intervals += issued
            self._rate.append((time.monotonic(), readings))

    def _per_second(self) -> float:
        edge = time.monotonic() - RATE_WINDOW_S
        while self._rate and self._rate[0][0] < edge:
            self._rate.popleft()
        return sum(count for _, count in self._rate) / RATE_WINDOW_S
