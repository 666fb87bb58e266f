"""The ledger's SQLite file: schema, connection, transactions."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS acts (
    seq INTEGER PRIMARY KEY, at TEXT NOT NULL, actor TEXT NOT NULL, act TEXT NOT NULL,
    alert_id TEXT NOT NULL, detail TEXT NOT NULL, prev_hash TEXT NOT NULL, hash TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS acts_of_alert ON acts (alert_id, seq);
CREATE TRIGGER IF NOT EXISTS acts_never_change BEFORE UPDATE ON acts
    BEGIN SELECT RAISE(ABORT, 'acts are never changed'); END;
CREATE TRIGGER IF NOT EXISTS acts_never_go BEFORE DELETE ON acts
    BEGIN SELECT RAISE(ABORT, 'acts are never removed'); END;
CREATE TABLE IF NOT EXISTS alerts (
    alert_id TEXT PRIMARY KEY, rule_id TEXT, rule_digest TEXT, kind TEXT, severity TEXT,
    subject_id TEXT, site_id TEXT, since TEXT, fired_at TEXT, resolved_at TEXT, state TEXT,
    handling TEXT, handled_by TEXT, handled_at TEXT, note TEXT, text_zh TEXT, text_en TEXT,
    labels TEXT, row TEXT);
CREATE INDEX IF NOT EXISTS alerts_by_time ON alerts (fired_at);
CREATE INDEX IF NOT EXISTS alerts_by_subject ON alerts (rule_id, subject_id, since);
CREATE INDEX IF NOT EXISTS alerts_by_site ON alerts (site_id, fired_at);
CREATE TABLE IF NOT EXISTS states (
    rule_id TEXT, subject_id TEXT, phase TEXT, since TEXT, fired_at TEXT, seen_at TEXT,
    PRIMARY KEY (rule_id, subject_id));
CREATE TABLE IF NOT EXISTS outbox (
    notice_id INTEGER PRIMARY KEY AUTOINCREMENT, alert_id TEXT NOT NULL, channel TEXT NOT NULL,
    payload TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'waiting');
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (channel, notice_id) WHERE state = 'waiting';
"""


class LedgerDb:
    """One connection, used by many threads in turn; other processes may open the same file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            path, check_same_thread=False, isolation_level=None, timeout=30.0
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the write lock; commit at the end, roll back on any error.

        Raises:
            sqlite3.Error: the disk is full, the file is damaged or locked for over 30 s.
        """
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, sql: str, values: tuple[object, ...] = ()) -> list[dict[str, object]]:
        """Return the rows of a query as dicts."""
        with self._lock:
            return [dict(row) for row in self._connection.execute(sql, values)]

    def close(self) -> None:
        """Close the file; further calls raise sqlite3.ProgrammingError."""
        with self._lock:
            self._connection.close()
