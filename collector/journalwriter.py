"""The journal's one writing thread: group commits, and chores between them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection

import polars as pl
import structlog

from collector import journalfile
from collector.metrics import Metrics
from collector.settings import JournalSettings

LOG = structlog.get_logger()
BLOB_ROWS = 50_000
"""Rows a group is cut at, so that a reader never has to take more than about 10 MB at once."""
CHORE_BLOBS = 256
"""Blobs a chore touches between two commits, so that it delays no acknowledgement."""
PACK_BLOBS = 256
"""Small neighbours that become one blob: a trickle of 2 readings a commit reads 100 x as fast."""
_ENOUGH_ROWS = 1000  # a commit this large gains nothing from waiting for company

Chore = Callable[[Connection], tuple[int, bool]]
"""One portion of work: (how much was done, whether nothing is left)."""


class JournalError(RuntimeError):
    """The journal could not make readings durable; they must not be acknowledged."""


@dataclass(slots=True)
class Append:
    """Rows on their way."""

    frame: pl.DataFrame
    done: "Future[int]" = field(default_factory=Future)


@dataclass(slots=True)
class _Job:
    chore: Chore
    amount: int = 0
    done: "Future[int]" = field(default_factory=Future)


class Writer:
    """Owns the writing connection; its thread begins with the first need."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], datetime],
        settings: JournalSettings,
        connect: Callable[[Path], Connection],
        metrics: Metrics,
    ) -> None:
        self._path, self._now, self._settings, self._connect = path, now, settings, connect
        self._queue: list[Append] = []
        self._jobs: list[_Job] = []
        self._queued_rows = 0
        self._closing = False
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        self._run: tuple[int, int] | None = None  # first and last of the small blobs in a row
        self.state = threading.Condition()
        """Notified after each commit."""
        self.last = 0
        """Newest commit of this process; only wakes those who wait."""
        self.written_bytes = 0
        """Bytes of blobs committed by this process."""
        self.held: str | None = None
        """Why appends are refused at present."""
        self.trouble: str | None = None
        """What the disk said to the last commit; None: it took it."""
        self._refused = metrics.counter("journal_refused", "Commits the disk refused")
        self._refusing = metrics.gauge("journal_refusing", "1 while the disk takes no reading")

    def append(self, one: Append) -> None:
        """Queue rows; blocks while too much is queued.

        Raises:
            JournalError: closed.
        """
        with self.state:
            self.state.wait_for(self._has_room)
            self._open_for_writing()
            self._queue.append(one)
            self._queued_rows += one.frame.height
            self.state.notify_all()

    def do(self, chore: Chore) -> int:
        """Have a chore done between commits; return the amount it did.

        Raises:
            JournalError: closed, or the disk refused.
        """
        job = _Job(chore)
        with self.state:
            self._open_for_writing()
            self._jobs.append(job)
            self.state.notify_all()
        return job.done.result()

    def close(self) -> None:
        """Commit what is queued and stop."""
        with self.state:
            self._closing = True
            self.state.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _has_room(self) -> bool:
        return self._closing or self._queued_rows < self._settings.queue_rows

    def _open_for_writing(self) -> None:
        """Start the thread with the first need; a process that only reads never has one."""
        if self._closing:
            raise JournalError("the journal is closed")
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="journal")
            self._thread.start()

    def _write_all(self) -> None:
        """Body of the thread: until closed and nothing is left."""
        try:
            while (work := self._take()) is not None:
                group, job = work
                if group:
                    self._commit(group)
                if job:
                    self._do_some(job)
        finally:
            if self._connection is not None:
                self._connection.close()

    def _take(self) -> tuple[list[Append], _Job | None] | None:
        """Wait for work, linger for company, take up to BLOB_ROWS; None: closed and done."""
        with self.state:
            self.state.wait_for(lambda: self._queue or self._jobs or self._closing)
            if self._queue and not self._closing:
                linger_s = self._settings.commit_within_ms / 1000
                self.state.wait_for(self._ready, timeout=linger_s)
            if not (self._queue or self._jobs):
                return None
            count = rows = 0
            for one in self._queue:
                if count and rows + one.frame.height > BLOB_ROWS:
                    break
                count, rows = count + 1, rows + one.frame.height
            group, self._queue = self._queue[:count], self._queue[count:]
            self._queued_rows -= rows
            self.state.notify_all()
            return group, self._jobs.pop(0) if self._jobs else None

    def _ready(self) -> bool:
        return self._closing or self._queued_rows >= _ENOUGH_ROWS

    def _open(self) -> Connection:
        if self._connection is None:
            self._connection = self._connect(self._path)
        return self._connection

    def _commit(self, group: list[Append]) -> None:
        frames = [one.frame for one in group]
        try:
            seq, size = journalfile.insert(self._open(), frames, self._now())
        except Exception as error:  # noqa: BLE001 - whatever it was, the sources must hear of it
            self._refuse(error, len(group))
            for one in group:
                one.done.set_exception(JournalError(f"not durable: {error}"))
            return
        if self.trouble is not None:
            LOG.info("journal_accepts_again", after=self.trouble)
            self.trouble = None
            self._refusing.set(0)
        with self.state:
            self.last = seq
            self.written_bytes += size
            self.state.notify_all()
        for one in group:
            one.done.set_result(seq)
        self._pack(seq, sum(frame.height for frame in frames))

    def _refuse(self, error: Exception, frames: int) -> None:
        """Tell once an episode: a full disk is tried again many times a minute."""
        if self.trouble is None:
            LOG.error("journal_refused", frames=frames, error=repr(error))
        self.trouble = str(error)
        self._refused.inc()
        self._refusing.set(1)

    def _pack(self, seq: int, rows: int) -> None:
        """Merge a full row of small blobs; it is an economy, so a failure only postpones it."""
        small = rows < journalfile.SMALL_ROWS
        first = self._run[0] if self._run and self._run[1] == seq - 1 else seq
        self._run = (first, seq) if small else None
        if not small or seq - first + 1 < PACK_BLOBS:
            return
        self._run = None
        try:
            began = time.monotonic()
            journalfile.pack(self._open(), first, seq)
            LOG.debug("journal_packed", first=first, last=seq, s=time.monotonic() - began)
        except Exception as error:  # noqa: BLE001 - the blobs stay as they are, and are readable
            LOG.warning("journal_not_packed", first=first, last=seq, error=repr(error))

    def _do_some(self, job: _Job) -> None:
        try:
            amount, finished = job.chore(self._open())
        except Exception as error:  # noqa: BLE001 - it is raised where do() waits
            job.done.set_exception(JournalError(f"the journal's file refuses: {error}"))
            return
        job.amount += amount
        if finished:
            job.done.set_result(job.amount)
            return
        with self.state:
            self._jobs.append(job)
