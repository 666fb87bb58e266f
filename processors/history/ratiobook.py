"""The book of ratios: what readers multiplied by, and since when; appended to, never changed."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import polars as pl

from collector.multiplied import NOTE, Multiplied
from processors.history.actbook import acts_of, microseconds, opened

_COLUMNS = """
    note_id INTEGER PRIMARY KEY AUTOINCREMENT, meter_id TEXT NOT NULL, noted_at_us INTEGER NOT NULL,
    via TEXT NOT NULL, quantities TEXT NOT NULL, steps TEXT NOT NULL"""
_TOLD = "meter_id, noted_at_us, via, quantities, steps"
FILE = "ratios.db"


class RatioBook:
    """Opened by each process that needs it; safe beside a running system.

    Args:
        path: the file, made on first use.
        now: stamps the notes.
    """

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self._now = now
        self._db = opened(path, "ratios", _COLUMNS)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def note(self, used: Iterable[tuple[str, Multiplied]]) -> int:
        """Note what readers multiply by from now on, where it is not what was noted; how many.

        To be called before the first reading is received by them. A meter that is not multiplied
        is noted only if it was before.

        Raises:
            sqlite3.Error: the disk failed; nothing is noted.
        """
        at_us = microseconds(self._now())
        last = self._by_meter("ORDER BY note_id")
        # a clock that went back hides later notes behind older ones: those are told again
        shown = self._by_meter("WHERE noted_at_us <= ? ORDER BY noted_at_us, note_id", (at_us,))
        fresh = []
        for meter, how in used:
            told = how.written()
            stands = last.get(meter) == told and shown.get(meter) == told
            if not stands and (how.quantities or meter in last):
                fresh.append((meter, at_us, *told))
        if not fresh:
            return 0
        self._db.execute("BEGIN IMMEDIATE")
        try:
            sql = f"INSERT INTO ratios ({_TOLD}) VALUES (?,?,?,?,?)"  # noqa: S608 - constants
            self._db.executemany(sql, fresh)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        return len(fresh)

    def notes(self) -> pl.DataFrame:
        """Return every note in order, schema NOTE."""
        return acts_of(self._db, "ratios", f"note_id, {_TOLD}", NOTE)

    def _by_meter(self, which: str, values: tuple[int, ...] = ()) -> dict[str, tuple[str, ...]]:
        """Return each meter's last note among these."""
        sql = f"SELECT meter_id, via, quantities, steps FROM ratios {which}"  # noqa: S608 - constants
        return {meter: tuple(told) for meter, *told in self._db.execute(sql, values)}
