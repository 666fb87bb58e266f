"""The book of manual edits: a SQLite file beside the history, appended to, never changed."""

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import polars as pl

from collector.reading import UTC_US
from processors.edits import EDIT, standing
from processors.interval import BLOCK

_SCHEMA = """
CREATE TABLE IF NOT EXISTS edits (
    edit_id INTEGER PRIMARY KEY AUTOINCREMENT, meter_id TEXT NOT NULL, start_us INTEGER NOT NULL,
    end_us INTEGER NOT NULL, energy_kwh REAL, by TEXT NOT NULL, why TEXT NOT NULL,
    at_us INTEGER NOT NULL, withdraws INTEGER REFERENCES edits);
CREATE TRIGGER IF NOT EXISTS edits_never_change BEFORE UPDATE ON edits
    BEGIN SELECT RAISE(ABORT, 'edits are never changed'); END;
CREATE TRIGGER IF NOT EXISTS edits_never_go BEFORE DELETE ON edits
    BEGIN SELECT RAISE(ABORT, 'edits are never removed'); END;
CREATE TABLE IF NOT EXISTS applied (edit_id INTEGER NOT NULL);
"""
_BLOCK_US = BLOCK.seconds * 1_000_000


class EditError(ValueError):
    """The edit cannot be made; the text says why."""


class EditBook:
    """Opened by each process that needs it; safe beside a running system.

    Args:
        path: the file, made on first use.
        now: stamps the acts.
    """

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._now = now
        self._db = sqlite3.connect(
            path, check_same_thread=False, isolation_level=None, timeout=30.0
        )
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def set(
        self, meter: str, start: datetime, end: datetime, energy_kwh: float, by: str, why: str
    ) -> int:
        """State the energy of the blocks in [start, end); return the edit's id.

        Raises:
            EditError: the span is no whole blocks or empty, the energy negative or not finite, or
                nobody or no reason is named.
            sqlite3.Error: the disk failed.
        """
        low, high = _us(start), _us(end)
        if low % _BLOCK_US or high % _BLOCK_US or low >= high:
            raise EditError("an edit spans whole 15-minute blocks: from 10:00 to 10:30, say")
        if not 0 <= energy_kwh < float("inf"):
            raise EditError(f"{energy_kwh:g} kWh: energy is not negative, and finite")
        return self._append((meter, low, high, energy_kwh, by, why, None))

    def withdraw(self, edit_id: int, by: str, why: str) -> int:
        """Withdraw an edit: what is computed from readings counts again; return the act's id.

        Raises:
            EditError: there is no such edit that still stands, or nobody or no reason is named.
            sqlite3.Error: the disk failed.
        """
        rows = standing(self.acts()).filter(pl.col("edit_id") == edit_id)
        if rows.is_empty():
            raise EditError(f"there is no edit {edit_id} that still stands")
        one = rows.row(0, named=True)
        span = _us(one["start"]), _us(one["end"])
        return self._append((one["meter_id"], *span, None, by, why, edit_id))

    def recompute(self, spans: pl.DataFrame, by: str, why: str) -> int:
        """Order that spans be computed anew from what was read; return how many acts that is.

        Args:
            spans: `meter_id, first, last` (instants), one row a meter.
            by: who orders it.
            why: the reason.

        Raises:
            EditError: nobody or no reason is named.
            sqlite3.Error: the disk failed; nothing is ordered.
        """
        rows = [
            (meter, _us(first), _us(last), None, by, why, None)
            for meter, first, last in spans.select("meter_id", "first", "last").iter_rows()
        ]
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for row in rows:
                self._append(row)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        return len(rows)

    def _append(self, act: tuple[object, ...]) -> int:
        by, why = str(act[4]).strip(), str(act[5]).strip()
        if not by or not why:
            raise EditError("an edit needs the name of who makes it, and why")
        values = (*act[:4], by, why, _us(self._now()), act[6])
        columns = "meter_id, start_us, end_us, energy_kwh, by, why, at_us, withdraws"
        sql = f"INSERT INTO edits ({columns}) VALUES (?,?,?,?,?,?,?,?)"  # noqa: S608 - constants
        return int(self._db.execute(sql, values).lastrowid or 0)

    def last(self) -> int:
        """Return the id of the last act, 0 if there is none."""
        return int(self._db.execute("SELECT coalesce(max(edit_id), 0) FROM edits").fetchone()[0])

    def acts(self) -> pl.DataFrame:
        """Return every act in order, schema EDIT."""
        sql = """SELECT edit_id, meter_id, start_us, end_us, energy_kwh, by, why, at_us, withdraws
                 FROM edits ORDER BY edit_id"""
        raw = {n: pl.Int64() if kind == UTC_US else kind for n, kind in EDIT.items()}
        rows = self._db.execute(sql).fetchall()
        return pl.DataFrame(rows, schema=raw, orient="row").cast(pl.Schema(EDIT))

    def applied(self) -> int:
        """Return the last act that history on disk knows of."""
        return int(self._db.execute("SELECT coalesce(max(edit_id), 0) FROM applied").fetchone()[0])

    def note_applied(self, edit_id: int) -> None:
        """Note that history on disk knows of every act through `edit_id`."""
        self._db.execute("DELETE FROM applied")
        self._db.execute("INSERT INTO applied VALUES (?)", (edit_id,))


def _us(at: datetime) -> int:
    return int(pl.Series([at]).cast(UTC_US).to_physical()[0])
