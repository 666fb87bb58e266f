"""What every book of human acts shares: a SQLite file that is appended to and never changed."""

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import polars as pl

from collector.reading import UTC_US


def opened(path: Path, table: str, columns: str) -> sqlite3.Connection:
    """Open a book, made on first use; the file itself refuses to change or forget an act.

    Several processes may hold one open, also beside a running system.

    Args:
        path: the file.
        table: the table of the acts.
        columns: its columns, as SQL.

    Raises:
        sqlite3.Error: the file is not a book, or the disk failed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30.0)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.executescript(
        f"""CREATE TABLE IF NOT EXISTS {table} ({columns});
        CREATE TRIGGER IF NOT EXISTS {table}_never_change BEFORE UPDATE ON {table}
            BEGIN SELECT RAISE(ABORT, '{table} are never changed'); END;
        CREATE TRIGGER IF NOT EXISTS {table}_never_go BEFORE DELETE ON {table}
            BEGIN SELECT RAISE(ABORT, '{table} are never removed'); END;"""
    )
    return db


def acts_of(
    db: sqlite3.Connection,
    table: str,
    columns: str,
    schema: Mapping[str, pl.DataType],
    values: tuple[object, ...] = (),
) -> pl.DataFrame:
    """Return every act in order.

    Args:
        db: the book.
        table: its table, which has an integer key, and which of it, as SQL.
        columns: as SQL, in the order of `schema`; instants in microseconds, days as days, since
            1970.
        schema: what the frame's columns are.
        values: what stands for the question marks.
    """
    sql = f"SELECT {columns} FROM {table} ORDER BY rowid"  # noqa: S608 - constants of the books
    kept: Mapping[pl.DataType, pl.DataType] = {UTC_US: pl.Int64(), pl.Date(): pl.Int32()}
    raw = {name: kept.get(kind, kind) for name, kind in schema.items()}
    rows = db.execute(sql, values).fetchall()
    return pl.DataFrame(rows, schema=raw, orient="row").cast(pl.Schema(schema))


def microseconds(at: datetime) -> int:
    """Return an instant as the books keep it."""
    return int(pl.Series([at]).cast(UTC_US).to_physical()[0])
