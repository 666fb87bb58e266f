"""The journal: readings made durable before anybody is told they were received.

One SQLite database (WAL, synchronous=FULL). A single writer thread commits in groups: all frames
appended while the last fsync ran share the next one. A committed group is one blob, an Arrow IPC
stream of READING rows, and has one sequence number. Numbers only grow, also after trimming.
Several processes may append and read (an import beside a running collector); SQLite orders them.
"""

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
from collector.reading import KEY_SCHEMA, READING, conform, empty
from collector.settings import JournalSettings

LOG = structlog.get_logger()
BLOB_ROWS = 50_000
"""Rows a group is cut at, so that a reader never has to take more than about 10 MB at once."""
_ENOUGH_ROWS = 1000  # a commit this large gains nothing from waiting for company
_TRIM_BLOBS = 256  # deleted between two commits, so that trimming delays no acknowledgement
_NO_END = 2**62


class JournalError(RuntimeError):
    """The journal could not make readings durable; they must not be acknowledged."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings in the order they were committed."""

    first_seq: int
    """Sequence number of the first blob read; `last_seq + 1` if there was none."""
    last_seq: int
    """Pass it to the next `read`; equals `after` if nothing was found."""
    frame: pl.DataFrame
    """READING, conformed."""


@dataclass(slots=True)
class _Append:
    frame: pl.DataFrame
    done: "Future[int]" = field(default_factory=Future)


@dataclass(slots=True)
class _Trim:
    through: int
    older_than: datetime
    deleted: int = 0
    done: "Future[int]" = field(default_factory=Future)


class Journal:
    """Durable, ordered, bounded queue of readings between sources and the arithmetic."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], datetime],
        settings: JournalSettings | None = None,
        connect: Callable[[Path], Connection] = journalfile.connect,
    ) -> None:
        self._path = path
        self._connect = connect
        self._now = now
        self._settings = settings or JournalSettings()
        self._queue: list[_Append] = []
        self._trims: list[_Trim] = []
        self._queued_rows = 0
        self._closing = False
        self._state = threading.Condition()
        self._writer: threading.Thread | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        self._reader = connect(path)
        self._reading = threading.Lock()
        self._last = 0  # newest commit of this process; only wakes those who wait

    def append(
        self, frame: pl.DataFrame, on_durable: Callable[[int], None] | None = None
    ) -> "Future[int]":
        """Queue READING rows for the next commit; blocks while too much is queued.

        Args:
            frame: READING rows; quantity columns may be absent.
            on_durable: called on the writer thread with the sequence number, after the commit.

        Returns:
            A future of the sequence number, done after commit and fsync. It fails with
            `JournalError` if the disk refused: the rows are then not kept, and the source must
            not acknowledge them. An empty frame is durable at once, as the newest number.

        Raises:
            JournalError: the journal is closed.
            ValueError: the frame is not READING.
        """
        _check(frame)
        one = _Append(frame)
        one.done.set_running_or_notify_cancel()  # what is queued can no longer be taken back
        if on_durable is not None:
            one.done.add_done_callback(lambda done: done.exception() or on_durable(done.result()))
        if frame.is_empty():
            one.done.set_result(self.last())
            return one.done
        with self._state:
            self._state.wait_for(self._has_room)
            self._open_for_writing()
            self._queue.append(one)
            self._queued_rows += frame.height
            self._state.notify_all()
        return one.done

    def read(self, after: int, max_rows: int, through: int | None = None) -> Batch:
        """Return whole blobs with `after < seq <= through`, at least one if there is one.

        Args:
            after: sequence number already worked up.
            max_rows: stop before a blob that would exceed it.
            through: last sequence number wanted; None: the newest.
        """
        upper = _NO_END if through is None else through
        with self._reading:
            blobs = journalfile.select(self._reader, after, upper, max_rows)
        if not blobs:
            return Batch(after + 1, after, empty())
        frame = journalfile.decode([data for _, data in blobs])
        return Batch(blobs[0][0], blobs[-1][0], conform(frame))

    def wait(self, after: int, timeout_s: float) -> bool:
        """Return True as soon as something newer than `after` is durable, False after the time.

        Commits of this process wake it at once, those of another within 50 ms.
        """
        deadline = time.monotonic() + timeout_s
        while self.last() <= after:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            with self._state:
                if self._last <= after:
                    self._state.wait(min(left, 0.05))
        return True

    def last(self) -> int:
        """Return the newest durable sequence number of any process; 0 before the first."""
        with self._reading:
            return journalfile.newest(self._reader)

    def trim(self, through: int, older_than: datetime) -> int:
        """Delete blobs that are worked up and old; returns the number of readings deleted.

        Args:
            through: newest sequence number that may go.
            older_than: blobs written at or after this instant stay.

        Raises:
            JournalError: the disk refused, or the journal is closed.
        """
        job = _Trim(through, older_than)
        with self._state:
            self._open_for_writing()
            self._trims.append(job)
            self._state.notify_all()
        return job.done.result()

    def close(self) -> None:
        """Commit what is queued, stop the writer and close the file."""
        with self._state:
            self._closing = True
            self._state.notify_all()
        if self._writer is not None:
            self._writer.join()
        with self._reading:
            self._reader.close()

    def _has_room(self) -> bool:
        return self._closing or self._queued_rows < self._settings.queue_rows

    def _open_for_writing(self) -> None:
        """Start the writer with the first need; a process that only reads never has one."""
        if self._closing:
            raise JournalError("the journal is closed")
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_all, name="journal")
            self._writer.start()

    def _write_all(self) -> None:
        """Body of the writer thread: until closed and nothing is left."""
        connection = self._connect(self._path)
        try:
            while (work := self._take()) is not None:
                group, trim = work
                if group:
                    self._commit(connection, group)
                if trim:
                    self._trim_some(connection, trim)
        finally:
            connection.close()

    def _take(self) -> tuple[list[_Append], _Trim | None] | None:
        """Wait for work, linger for company, take up to BLOB_ROWS; None: closed and done."""
        with self._state:
            self._state.wait_for(lambda: self._queue or self._trims or self._closing)
            if self._queue and not self._closing:
                linger_s = self._settings.commit_within_ms / 1000
                self._state.wait_for(self._ready, timeout=linger_s)
            if not (self._queue or self._trims):
                return None
            count = rows = 0
            for one in self._queue:
                if count and rows + one.frame.height > BLOB_ROWS:
                    break
                count, rows = count + 1, rows + one.frame.height
            group, self._queue = self._queue[:count], self._queue[count:]
            self._queued_rows -= rows
            self._state.notify_all()
            return group, self._trims.pop(0) if self._trims else None

    def _ready(self) -> bool:
        return self._closing or self._queued_rows >= _ENOUGH_ROWS

    def _commit(self, connection: Connection, group: list[_Append]) -> None:
        try:
            seq = journalfile.insert(connection, [one.frame for one in group], self._now())
        except Exception as error:  # whatever it was, the sources must hear of it
            LOG.exception("journal_refused", frames=len(group))
            for one in group:
                one.done.set_exception(JournalError(f"not durable: {error}"))
            return
        with self._state:
            self._last = seq
            self._state.notify_all()
        for one in group:
            one.done.set_result(seq)

    def _trim_some(self, connection: Connection, job: _Trim) -> None:
        try:
            blobs, rows = journalfile.delete(connection, job.through, job.older_than, _TRIM_BLOBS)
        except Exception as error:  # noqa: BLE001 - it is raised where trim() waits
            job.done.set_exception(JournalError(f"cannot trim: {error}"))
            return
        job.deleted += rows
        if blobs < _TRIM_BLOBS:
            job.done.set_result(job.deleted)
            return
        with self._state:
            self._trims.append(job)


def _check(frame: pl.DataFrame) -> None:
    schema = frame.schema
    wrong = [name for name, kind in schema.items() if READING.get(name) != kind]
    wrong += [name for name in KEY_SCHEMA if name not in schema]
    if wrong:
        raise ValueError(f"not READING rows: {', '.join(wrong)}")
