"""What the journal had to give up unread: by meter, span and cause, in the journal's own file.

The note and the deletion are one transaction: nothing goes without it.
"""

from datetime import datetime
from io import BytesIO
from sqlite3 import Connection

import polars as pl

from collector.journalfile import ROW_SEQ, micros, transaction
from collector.reading import UTC_US

LOST: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "first_measured_at": UTC_US,
    "last_measured_at": UTC_US,
    "readings": pl.Int64(),
    "cause": pl.String(),
    "since": UTC_US,
}
"""One row a meter and episode of want of room; `since` is when the episode began."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS lost (
    since INTEGER NOT NULL, meter_id TEXT NOT NULL, -- instants: microseconds since 1970, UTC
    first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
    readings INTEGER NOT NULL, cause TEXT NOT NULL,
    PRIMARY KEY (since, meter_id)
)
"""
_NOTE = """
INSERT INTO lost VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (since, meter_id) DO UPDATE SET
    first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at),
    readings = readings + excluded.readings
"""


def drop(
    connection: Connection, after: int, through: int, limit: int, since: datetime, cause: str
) -> int:
    """Give up the oldest blobs of `after < seq <= through`, at most `limit`.

    Returns:
        How many readings were lost; 0: there was none to give up.

    Raises:
        sqlite3.Error: the disk refused; nothing has changed.
    """
    connection.execute(_SCHEMA)
    with transaction(connection):
        found = connection.execute(
            "SELECT seq, first, data FROM blobs WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (after, through, limit),
        ).fetchall()
        if not found:
            return 0
        frames = [_keys(data, after if first is not None else None) for _, first, data in found]
        spans = (
            pl.concat(frames)
            .group_by("meter_id", maintain_order=True)
            .agg(
                pl.col("measured_at").min().dt.epoch("us").alias("first"),
                pl.col("measured_at").max().dt.epoch("us").alias("last"),
                pl.len().alias("readings"),
            )
        )
        began = micros(since)
        connection.executemany(_NOTE, ((began, *row, cause) for row in spans.iter_rows()))
        connection.execute("DELETE FROM blobs WHERE seq BETWEEN ? AND ?",
                           (found[0][0], found[-1][0]))  # fmt: skip
        return int(spans["readings"].sum())


def lost(connection: Connection) -> pl.DataFrame:
    """Return what was given up, oldest episode first, schema LOST."""
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'lost'").fetchone()
    rows = connection.execute(
        "SELECT meter_id, first_at, last_at, readings, cause, since FROM lost"
        " ORDER BY since, meter_id"
    ).fetchall() if there else []  # fmt: skip
    instants = [name for name, kind in LOST.items() if kind == UTC_US]
    raw = LOST | dict.fromkeys(instants, pl.Int64())
    return pl.DataFrame(rows, schema=raw, orient="row").cast(dict.fromkeys(instants, UTC_US))


def _keys(data: bytes, after: int | None) -> pl.DataFrame:
    """Return meters and instants; of a pack (`after` given) only rows not yet forwarded."""
    frame = pl.read_ipc_stream(BytesIO(data))
    if after is not None:
        frame = frame.filter(pl.col(ROW_SEQ) > after)
    return frame.select("meter_id", "measured_at")
