"""The engine: journal -> step -> history, for as long as the program runs.

Exactly once: history commits carry the journal position, the snapshot is saved after them, and a
restart replays the journal from the snapshot, cut where history was committed.
"""

import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Event, Lock

import polars as pl
import structlog

from collector.clock import Clock
from collector.journal import Batch, Journal
from collector.metrics import Metrics
from processors import interval, running, snapshot
from processors.book import Book
from processors.history.store import History
from processors.late import revise
from processors.live import LIVE, Live
from processors.settings import EngineSettings
from processors.step import State, step

RATE_WINDOW_S = 10.0

Listener = Callable[[pl.DataFrame, Live], None]
"""Called after each step with the INTERVAL rows just issued (perhaps none) and the live picture."""


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
        listener: Listener = lambda _intervals, _live: None,
    ) -> None:
        self._journal, self._history, self._book, self._clock = journal, history, book, clock
        self._path = snapshot_path
        self._settings = settings or EngineSettings()
        self._keep, self._listener = keep_journal, listener
        self.caught_up = Event()
        """Set once the journal has been processed to its end for the first time."""
        self._lock = Lock()
        self._live = pl.DataFrame(schema=LIVE)
        self._rate: deque[tuple[float, int]] = deque()
        self._readings = self._intervals = 0
        self._state, self._cursor = State.empty(), 0
        self._flushed_at = time.monotonic()
        self._dirty = False
        self._trimmed_at = time.monotonic()
        self._seconds = metrics.histogram("step_seconds", "Real seconds a step took, end to end")
        self._issued = metrics.counter("intervals", "Interval rows issued", ["kind"])
        self._taken = metrics.counter("readings_processed", "Readings taken from the journal")
        self._lag = metrics.gauge("journal_lag_batches", "Journal batches not yet processed")
        self._unknown = metrics.counter("readings_unknown_meter", "Readings of unlisted meters")

    def run(self, stop: Event) -> None:
        """Process until `stop` is set, then flush. Restartable: begins at the snapshot.

        Raises:
            ValueError: the snapshot is damaged; it is set aside, the next start recomputes.
        """
        self._restore()
        while not stop.is_set():
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
        self.flush()
        return self._intervals - before

    def pass_once(self) -> int:
        """Take what the journal holds now, one batch; return how many readings there were."""
        batch = self._journal.read(self._cursor, self._settings.batch_rows, self._cut())
        if batch.last_seq > self._cursor:
            with self._seconds.time():
                self._take(batch)
        else:
            self._lag.set(0)
            self.caught_up.set()
        if time.monotonic() - self._flushed_at >= self._settings.flush_s:
            self.flush()
        return batch.frame.height

    def flush(self) -> None:
        """Commit history, then the snapshot, then let the journal forget what is old enough."""
        self._flushed_at = time.monotonic()
        if not self._dirty:
            return
        self._history.flush()
        snapshot.save(self._path, self._state, self._cursor)
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

    @property
    def cursor(self) -> int:
        """The journal position processed so far."""
        return self._cursor

    def _restore(self) -> None:
        try:
            found = snapshot.load(self._path)
        except ValueError:
            self._path.rename(self._path.with_suffix(".damaged"))
            structlog.get_logger().exception(
                "the state snapshot is damaged: set aside, the journal is processed from its start"
            )
            found = None
        self._state, self._cursor = found or (State.empty(), 0)
        heard = self._state.marks["meter_id"]
        with self._lock:
            self._live = running.running(self._state, self._book, heard)

    def _cut(self) -> int | None:
        """Return where history was committed beyond the snapshot: a replay must stop there once."""
        ahead = [
            mark
            for mark in (self._history.committed(name) for name in ("readings", "intervals"))
            if mark > self._cursor
        ]
        return min(ahead) if ahead else None

    def _take(self, batch: Batch) -> None:
        now = self._clock.now()
        self._state, result = step(self._state, batch.frame, self._book, now)
        self._history.add(batch.last_seq, batch.frame, result.intervals)
        revised = revise(
            result.late, self._state.marks, self._history, self._book, self._clock.now()
        )
        if revised.height:
            self._history.add(batch.last_seq, batch.frame.clear(), revised)
        fresh = running.running(self._state, self._book, result.touched)
        self._cursor, self._dirty = batch.last_seq, True
        self._count(batch.frame.height, result.intervals.height, revised.height, result.unknown)
        with self._lock:
            self._live = running.merge(self._live, fresh)
        issued = pl.concat([result.intervals, revised]) if revised.height else result.intervals
        self._listener(issued if issued.height else interval.empty(), self.live())

    def _count(self, readings: int, issued: int, revised: int, unknown: int) -> None:
        self._taken.inc(readings)
        self._unknown.inc(unknown)
        self._issued.labels("first").inc(issued)
        self._issued.labels("revision").inc(revised)
        self._lag.set(max(self._journal.last() - self._cursor, 0))
        with self._lock:
            self._readings += readings
            self._intervals += issued + revised
            self._rate.append((time.monotonic(), readings))

    def _per_second(self) -> float:
        edge = time.monotonic() - RATE_WINDOW_S
        while self._rate and self._rate[0][0] < edge:
            self._rate.popleft()
        return sum(count for _, count in self._rate) / RATE_WINDOW_S
