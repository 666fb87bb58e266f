"""The journal's file: SQL and Arrow, one connection at a time; no threads, no waiting."""

import sqlite3
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from sqlite3 import Connection

import polars as pl

_SCHEMA = """
CREATE TABLE IF NOT EXISTS blobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    rows INTEGER NOT NULL,
    written_at INTEGER NOT NULL, -- microseconds since 1970, UTC
    data BLOB NOT NULL           -- Arrow IPC stream of READING rows
)
"""
_WORTH_COMPRESSING = 500  # rows; below, LZ4 costs more time than it saves space
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def connect(path: Path) -> Connection:
    """Open (and make, if new) a journal file; a commit returns after fsync."""
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA page_size = 8192")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone stops at the drive's cache
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute(_SCHEMA)
    return connection


def insert(connection: Connection, frames: list[pl.DataFrame], at: datetime) -> int:
    """Commit READING frames as one blob and return its sequence number.

    Raises:
        sqlite3.Error: the disk refused; nothing was kept.
    """
    joined = pl.concat(frames, how="diagonal") if len(frames) > 1 else frames[0]
    counts = joined.null_count().row(0)
    filled = [n for n, nulls in zip(joined.columns, counts, strict=True) if nulls < joined.height]
    buffer = BytesIO()
    worth = joined.height >= _WORTH_COMPRESSING
    joined.select(filled).write_ipc_stream(buffer, compression="lz4" if worth else "uncompressed")
    cursor = connection.execute(  # autocommit: this statement is the transaction
        "INSERT INTO blobs (rows, written_at, data) VALUES (?, ?, ?)",
        (joined.height, _micros(at), buffer.getbuffer()),
    )
    return int(cursor.lastrowid or 0)


def select(
    connection: Connection, after: int, through: int, max_rows: int
) -> list[tuple[int, bytes]]:
    """Return (seq, data) of the blobs after `after`, up to `max_rows` readings but at least one."""
    taken: list[tuple[int, bytes]] = []
    rows = 0
    cursor = connection.execute(
        "SELECT seq, rows, data FROM blobs WHERE seq > ? AND seq <= ? ORDER BY seq",
        (after, through),
    )
    for seq, count, data in cursor:
        rows += count
        if taken and rows > max_rows:
            break
        taken.append((seq, data))
    cursor.close()
    return taken


def decode(blobs: list[bytes]) -> pl.DataFrame:
    """Return the rows of the blobs in order; columns nobody filled are absent."""
    return pl.concat(
        [pl.read_ipc_stream(BytesIO(data)) for data in blobs], how="diagonal", rechunk=True
    )


def delete(
    connection: Connection, through: int, older_than: datetime, limit: int
) -> tuple[int, int]:
    """Delete the oldest blobs, at most `limit`; returns (blobs, readings) deleted."""
    rows = connection.execute(
        "DELETE FROM blobs WHERE seq IN (SELECT seq FROM blobs WHERE seq <= ? AND written_at < ?"
        " ORDER BY seq LIMIT ?) RETURNING rows",
        (through, _micros(older_than), limit),
    ).fetchall()
    return len(rows), sum(count for (count,) in rows)


def newest(connection: Connection) -> int:
    """Return the greatest sequence number ever given; 0 before the first."""
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'blobs'").fetchone()
    return int(found[0]) if found else 0


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
