"""The journal's file: SQL and Arrow, one connection at a time; no threads, no waiting.

A blob holds one committed group. Small neighbours are later *packed* into one blob that answers for
all their sequence numbers (`first..seq`); each row keeps its own number, so a reader whose cursor
lies inside takes the rest of it and no row twice.
"""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from sqlite3 import Connection
from typing import NamedTuple

import numpy as np
import polars as pl

_SCHEMA = """
CREATE TABLE IF NOT EXISTS blobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    rows INTEGER NOT NULL,
    written_at INTEGER NOT NULL, -- microseconds since 1970, UTC; of a pack: the youngest
    data BLOB NOT NULL,          -- Arrow IPC stream of READING rows; of a pack: also row_seq
    first INTEGER                -- of a pack: the first sequence number it answers for
)
"""
ROW_SEQ = "row_seq"
"""Column of a pack: the number its row was committed under."""
SMALL_ROWS = 500
"""Below it compressing costs more time than it saves space, and a blob is worth packing."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPAN = "seq > ? AND coalesce(first, seq) <= ?"


class Blob(NamedTuple):
    """One row of the table."""

    seq: int
    first: int
    rows: int
    data: bytes


class Usage(NamedTuple):
    """Room the journal's file takes (bytes)."""

    used: int
    """Pages that hold something."""
    spare: int
    """Pages of the file that will be used again before it grows."""


def connect(path: Path) -> Connection:
    """Open (and make, if new) a journal file; a commit returns after fsync."""
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA page_size = 8192")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone stops at the drive's cache
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute(_SCHEMA)
    if "first" not in {row[1] for row in connection.execute("PRAGMA table_info(blobs)")}:
        connection.execute("ALTER TABLE blobs ADD COLUMN first INTEGER")  # a file from before packs
    return connection


def insert(connection: Connection, frames: list[pl.DataFrame], at: datetime) -> tuple[int, int]:
    """Commit READING frames as one blob; return its sequence number and its bytes.

    Raises:
        sqlite3.Error: the disk refused; nothing was kept.
    """
    joined = pl.concat(frames, how="diagonal") if len(frames) > 1 else frames[0]
    data = encode(joined)
    cursor = connection.execute(  # autocommit: this statement is the transaction
        "INSERT INTO blobs (rows, written_at, data) VALUES (?, ?, ?)",
        (joined.height, micros(at), data),
    )
    return int(cursor.lastrowid or 0), len(data)


def encode(frame: pl.DataFrame) -> memoryview:
    """Return an Arrow IPC stream of the columns somebody filled."""
    counts = frame.null_count().row(0)
    filled = [n for n, nulls in zip(frame.columns, counts, strict=True) if nulls < frame.height]
    buffer = BytesIO()
    worth = frame.height >= SMALL_ROWS
    frame.select(filled).write_ipc_stream(buffer, compression="lz4" if worth else "uncompressed")
    return buffer.getbuffer()


def select(connection: Connection, after: int, through: int, max_rows: int) -> list[Blob]:
    """Return the blobs of `after < seq <= through`, up to `max_rows` readings but at least one."""
    taken: list[Blob] = []
    rows = 0
    cursor = connection.execute(
        f"SELECT seq, coalesce(first, seq), rows, data FROM blobs WHERE {_SPAN} ORDER BY seq",  # noqa: S608 - a constant of ours
        (after, through),
    )
    for row in cursor:
        one = Blob(*row)
        rows += one.rows
        if taken and rows > max_rows:
            break
        taken.append(one)
    cursor.close()
    return taken


def decode(blobs: Sequence[Blob], after: int, through: int) -> pl.DataFrame:
    """Return the rows of the blobs with `after < number <= through`, in order.

    Columns nobody filled are absent.
    """
    frames = []
    for one in blobs:
        frame = pl.read_ipc_stream(BytesIO(one.data))
        if one.first <= after or one.seq > through:
            frame = frame.filter(pl.col(ROW_SEQ) > after, pl.col(ROW_SEQ) <= through)
        frames.append(frame.drop(ROW_SEQ) if one.first < one.seq else frame)
    return pl.concat(frames, how="diagonal", rechunk=True)


def pack(connection: Connection, first: int, last: int) -> int:
    """Replace the small blobs `first..last` by one; return how many there were, 0: left alone.

    Raises:
        sqlite3.Error: the disk refused; nothing has changed.
    """
    with transaction(connection):
        found = connection.execute(
            "SELECT seq, rows, written_at, data FROM blobs"
            " WHERE seq BETWEEN ? AND ? AND first IS NULL ORDER BY seq",
            (first, last),
        ).fetchall()
        if len(found) != last - first + 1:  # trimmed meanwhile, or packed by another process
            return 0
        frames = [pl.read_ipc_stream(BytesIO(data)) for _, _, _, data in found]
        numbers = np.repeat([one[0] for one in found], [one[1] for one in found])
        joined = pl.concat(frames, how="diagonal", rechunk=True).with_columns(
            pl.Series(ROW_SEQ, numbers, dtype=pl.Int64)
        )
        connection.execute("DELETE FROM blobs WHERE seq BETWEEN ? AND ?", (first, last))
        connection.execute(
            "INSERT INTO blobs (seq, rows, written_at, data, first) VALUES (?, ?, ?, ?, ?)",
            (last, joined.height, max(one[2] for one in found), encode(joined), first),
        )
        return len(found)


def transaction(connection: Connection) -> Connection:
    """Begin to write; `with` it commits, or rolls back what an exception interrupts."""
    connection.execute("BEGIN IMMEDIATE")
    return connection


def delete(
    connection: Connection, after: int, through: int, older_than: datetime, limit: int
) -> tuple[int, int]:
    """Delete the oldest blobs of `after < seq <= through`, at most `limit`.

    Returns:
        How many blobs and how many readings are gone.
    """
    rows = connection.execute(
        "DELETE FROM blobs WHERE seq IN (SELECT seq FROM blobs"
        " WHERE coalesce(first, seq) > ? AND seq <= ? AND written_at < ?"
        " ORDER BY seq LIMIT ?) RETURNING rows",
        (after, through, micros(older_than), limit),
    ).fetchall()
    return len(rows), sum(count for (count,) in rows)


def newest(connection: Connection) -> int:
    """Return the greatest sequence number ever given; 0 before the first."""
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'blobs'").fetchone()
    return int(found[0]) if found else 0


def oldest(connection: Connection, after: int, through: int) -> datetime | None:
    """Return when the first blob of `after < seq <= through` was written, None: there is none."""
    found = connection.execute(
        f"SELECT written_at FROM blobs WHERE {_SPAN} ORDER BY seq LIMIT 1",  # noqa: S608 - a constant of ours
        (after, through),
    ).fetchone()
    return _EPOCH + timedelta(microseconds=found[0]) if found else None


def usage(connection: Connection) -> Usage:
    """Return the room the file takes, without its write-ahead log (64 MB at most)."""
    pages, spare, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return Usage((pages - spare) * size, spare * size)


def micros(at: datetime) -> int:
    """Return microseconds since 1970, UTC."""
    return (at - _EPOCH) // timedelta(microseconds=1)
