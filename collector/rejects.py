"""Rejected data, kept for the operator to read: the newest few thousand, counted by reason.

Counting is exact; keeping is bounded. Under a flood notes are written about once a second, so
`add` costs a lock and an append.
"""

import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import structlog

from collector.metrics import Metrics
from collector.reading import UTC_US
from collector.reason import Reason

LOG = structlog.get_logger()
__all__ = ["REJECTED", "Reason", "Rejects"]

REJECTED: dict[str, pl.DataType] = {
    "at": UTC_US,
    "reason": pl.String(),
    "source": pl.String(),
    "subject": pl.String(),
    "excerpt": pl.String(),
    "count": pl.Int64(),
}
"""`at` when we noticed; `subject` the topic, meter or file; `excerpt` the first bad piece; `count`
how many alike came together."""
_EXCERPT_CHARS = 300
_FLUSH_S = 1.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS rejected (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL, -- microseconds since 1970, UTC
    reason TEXT NOT NULL, source TEXT NOT NULL, subject TEXT NOT NULL, excerpt TEXT NOT NULL,
    count INTEGER NOT NULL
)
"""

_INSERT = (
    "INSERT INTO rejected (at, reason, source, subject, excerpt, count) VALUES (?, ?, ?, ?, ?, ?)"
)
_FORGET = "DELETE FROM rejected WHERE id <= (SELECT max(id) FROM rejected) - ?"


class Rejects:
    """Where every source reports the data it could not take."""

    def __init__(
        self,
        path: Path | None,
        limit: int = 10_000,
        metrics: Metrics | None = None,
        listener: Callable[[Reason, str, datetime, int], None] = lambda *_: None,
    ) -> None:
        """Open the file.

        Args:
            path: SQLite file of its own; None keeps the notes in memory.
            limit: notes kept; the oldest go first.
            metrics: where `demandwatch_rejected_total{reason,source}` is counted.
            listener: called with reason, subject, instant and count of each note.
        """
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._limit, self._listener = limit, listener
        self._file = sqlite3.connect(
            path or ":memory:", timeout=30, isolation_level=None, check_same_thread=False
        )
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = NORMAL")
        self._file.execute(_SCHEMA)
        self._lock = threading.Lock()
        self._pending: deque[tuple[int, str, str, str, str, int]] = deque(maxlen=limit)
        self._counts: Counter[str] = Counter()
        self._flushed_at = -_FLUSH_S
        self._metric = (metrics or Metrics()).counter(
            "rejected",
            "Readings, messages and answers that could not be taken",
            ("reason", "source"),
        )

    def add(
        self,
        reason: Reason,
        source: str,
        subject: str,
        excerpt: str,
        at: datetime,
        count: int = 1,
    ) -> None:
        """Count and keep one note; from any thread."""
        self._metric.labels(reason.value, source).inc(count)
        self._listener(reason, subject, at, count)
        micros = (at - _EPOCH) // timedelta(microseconds=1)
        note = (micros, reason.value, source, subject[:_EXCERPT_CHARS], _printable(excerpt), count)
        with self._lock:
            self._counts[reason.value] += count
            self._pending.append(note)
            if time.monotonic() - self._flushed_at >= _FLUSH_S:
                self._flush()

    def latest(self, limit: int = 100) -> pl.DataFrame:
        """Return the newest notes first, schema REJECTED."""
        with self._lock:
            self._flush()
            rows = self._file.execute(
                "SELECT at, reason, source, subject, excerpt, count FROM rejected"
                " ORDER BY id DESC LIMIT ?",
                (limit,),
            ).fetchall()
        schema = REJECTED | {"at": pl.Int64()}
        return pl.DataFrame(rows, schema=schema, orient="row").cast({"at": UTC_US})

    def counts(self) -> dict[str, int]:
        """Return how many of each reason since the start of this process."""
        with self._lock:
            return dict(self._counts)

    def close(self) -> None:
        """Write what is pending and close the file."""
        with self._lock:
            self._flush()
            self._file.close()

    def _flush(self) -> None:
        self._flushed_at = time.monotonic()
        if not self._pending:
            return
        try:
            with self._file:  # commits, or rolls back
                self._file.execute("BEGIN IMMEDIATE")
                self._file.executemany(_INSERT, self._pending)
                self._file.execute(_FORGET, (self._limit,))
        except sqlite3.Error:
            # Notes must never stop a source: they stay pending (bounded) and are counted.
            LOG.exception("rejects_not_written", pending=len(self._pending))
            return
        self._pending.clear()


def _printable(excerpt: str) -> str:
    """Shorten, and show control characters as escapes: notes are read on terminals."""
    short = excerpt[:_EXCERPT_CHARS]
    return (
        short
        if short.isprintable()
        else "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in short)
    )
