"""The journal: readings made durable before anybody is told they were received.

One SQLite database (WAL, synchronous=FULL). A single writer thread commits in groups: all frames
appended while the last fsync ran share the next one. A committed group is one blob, an Arrow IPC
stream of READING rows, and has one sequence number. Numbers only grow, also after trimming.
Several processes may append and read (an import beside a running collector); SQLite orders them.
"""

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from threading import Lock

import polars as pl

from collector import journalfile, journallost
from collector.journalfile import Usage
from collector.journalwriter import CHORE_BLOBS, Append, JournalError, Writer
from collector.metrics import Metrics
from collector.reading import KEY_SCHEMA, READING, conform, empty
from collector.settings import JournalSettings

__all__ = ["Batch", "Journal", "JournalError", "Usage"]
_NO_END = 2**62


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings in the order they were committed."""

    first_seq: int
    """Sequence number of the first blob read; `last_seq + 1` if there was none."""
    last_seq: int
    """Pass it to the next `read`; equals `after` if nothing was found."""
    frame: pl.DataFrame
    """READING, conformed."""


class Journal:
    """Durable, ordered, bounded queue of readings between sources and the arithmetic."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], datetime],
        settings: JournalSettings | None = None,
        connect: Callable[[Path], Connection] = journalfile.connect,
        metrics: Metrics | None = None,
    ) -> None:
        """Open the file, or make it.

        Raises:
            OSError: the disk refuses, or it is no journal.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._reader = connect(path)
        except sqlite3.Error as error:
            raise OSError(f"{path}: {error}") from error
        self._reading = Lock()
        self._writer = Writer(
            path, now, settings or JournalSettings(), connect, metrics or Metrics()
        )

    def append(
        self, frame: pl.DataFrame, on_durable: Callable[[int], None] | None = None
    ) -> "Future[int]":
        """Queue READING rows for the next commit; blocks while too much is queued.

        Args:
            frame: READING rows; quantity columns may be absent.
            on_durable: called on the writer thread with the sequence number, after the commit.

        Returns:
            A future of the sequence number, done after commit and fsync. It fails with
            `JournalError` if the disk refused or the journal is held: the rows are then not kept,
            and the source must not acknowledge them. An empty frame is durable at once, as the
            newest number.

        Raises:
            JournalError: the journal is closed.
            ValueError: the frame is not READING.
        """
        _check(frame)
        one = Append(frame)
        one.done.set_running_or_notify_cancel()  # what is queued can no longer be taken back
        if on_durable is not None:
            one.done.add_done_callback(lambda done: done.exception() or on_durable(done.result()))
        if frame.is_empty():
            one.done.set_result(self.last())
        elif (held := self._writer.held) is not None:
            one.done.set_exception(JournalError(held))
        else:
            self._writer.append(one)
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
        frame = journalfile.decode(blobs, after, upper)
        first, last = max(blobs[0].first, after + 1), min(blobs[-1].seq, upper)
        return Batch(first, last, conform(frame))

    def wait(self, after: int, timeout_s: float) -> bool:
        """Return True as soon as something newer than `after` is durable, False after the time.

        Commits of this process wake it at once, those of another within 50 ms.
        """
        deadline = time.monotonic() + timeout_s
        state = self._writer.state
        while self.last() <= after:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            with state:
                if self._writer.last <= after:
                    state.wait(min(left, 0.05))
        return True

    def last(self) -> int:
        """Return the newest durable sequence number of any process; 0 before the first."""
        with self._reading:
            return journalfile.newest(self._reader)

    def trim(self, through: int, older_than: datetime, after: int = 0) -> int:
        """Delete blobs that are worked up and old; returns the number of readings deleted.

        Args:
            through: newest sequence number that may go.
            older_than: blobs written at or after this instant stay.
            after: sequence numbers up to this one stay.

        Raises:
            JournalError: the disk refused, or the journal is closed.
        """

        def some(connection: Connection) -> tuple[int, bool]:
            blobs, rows = journalfile.delete(connection, after, through, older_than, CHORE_BLOBS)
            return rows, blobs < CHORE_BLOBS

        return self._writer.do(some)

    def drop(self, after: int, through: int, since: datetime, cause: str) -> int:
        """Give up a few of the oldest blobs of `after < seq <= through` for want of room.

        What goes is noted in the same transaction: see `lost`.

        Args:
            after: sequence number already worked up.
            through: newest sequence number that may go.
            since: when the want of room began; notes of one episode and meter are one row.
            cause: why, for the operator.

        Returns:
            How many readings were given up; 0: there was nothing.

        Raises:
            JournalError: the disk refused, or the journal is closed.
        """
        return self._writer.do(
            lambda connection: (
                journallost.drop(connection, after, through, CHORE_BLOBS, since, cause),
                True,
            )
        )

    def lost(self) -> pl.DataFrame:
        """Return what was given up unread, schema `journallost.LOST`."""
        with self._reading:
            return journallost.lost(self._reader)

    def hold(self, why: str | None) -> None:
        """Refuse all appends with this reason until `hold(None)`."""
        self._writer.held = why

    @property
    def trouble(self) -> str | None:
        """Why readings are not taken at present: the disk refuses, or the journal is held."""
        return self._writer.trouble or self._writer.held

    @property
    def written_bytes(self) -> int:
        """Bytes of readings this process has made durable."""
        return self._writer.written_bytes

    def usage(self) -> Usage:
        """Return the room the file takes."""
        with self._reading:
            return journalfile.usage(self._reader)

    def oldest(self, after: int, through: int | None = None) -> datetime | None:
        """Return when the first blob of `after < seq <= through` was written, None: none is."""
        with self._reading:
            return journalfile.oldest(self._reader, after, _NO_END if through is None else through)

    def close(self) -> None:
        """Commit what is queued, stop the writer and close the file."""
        self._writer.close()
        with self._reading:
            self._reader.close()


def _check(frame: pl.DataFrame) -> None:
    schema = frame.schema
    wrong = [name for name, kind in schema.items() if READING.get(name) != kind]
    wrong += [name for name in KEY_SCHEMA if name not in schema]
    if wrong:
        raise ValueError(f"not READING rows: {', '.join(wrong)}")
