"""The book of manual edits: a SQLite file beside the history, appended to, never changed."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import polars as pl

from processors.edits import EDIT, standing
from processors.history.actbook import acts_of, microseconds, opened
from processors.interval import BLOCK

_COLUMNS = """
    edit_id INTEGER PRIMARY KEY AUTOINCREMENT, meter_id TEXT NOT NULL, start_us INTEGER NOT NULL,
    end_us INTEGER NOT NULL, energy_kwh REAL, by TEXT NOT NULL, why TEXT NOT NULL,
    at_us INTEGER NOT NULL, withdraws INTEGER REFERENCES edits"""
_TOLD = "meter_id, start_us, end_us, energy_kwh, by, why, at_us, withdraws"
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
        self._now = now
        self._db = opened(path, "edits", _COLUMNS)
        self._db.execute("CREATE TABLE IF NOT EXISTS applied (edit_id INTEGER NOT NULL)")

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
        low, high = microseconds(start), microseconds(end)
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
        span = microseconds(one["start"]), microseconds(one["end"])
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
            (meter, microseconds(first), microseconds(last), None, by, why, None)
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
        values = (*act[:4], by, why, microseconds(self._now()), act[6])
        sql = f"INSERT INTO edits ({_TOLD}) VALUES (?,?,?,?,?,?,?,?)"  # noqa: S608 - constants
        return int(self._db.execute(sql, values).lastrowid or 0)

    def last(self) -> int:
        """Return the id of the last act, 0 if there is none."""
        return int(self._db.execute("SELECT coalesce(max(edit_id), 0) FROM edits").fetchone()[0])

    def acts(self) -> pl.DataFrame:
        """Return every act in order, schema EDIT."""
        return acts_of(self._db, "edits", f"edit_id, {_TOLD}", EDIT)

    def applied(self) -> int:
        """Return the last act that history on disk knows of."""
        return int(self._db.execute("SELECT coalesce(max(edit_id), 0) FROM applied").fetchone()[0])

    def note_applied(self, edit_id: int) -> None:
        """Note that history on disk knows of every act through `edit_id`."""
        self._db.execute("DELETE FROM applied")
        self._db.execute("INSERT INTO applied VALUES (?)", (edit_id,))
