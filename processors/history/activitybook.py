"""The book of declared activity: a SQLite file beside the history, appended to, never changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

import polars as pl

from processors.activity import ACTIVITY, Declaration, DeclarationError, overlapping, standing
from processors.history.actbook import acts_of, microseconds, opened

_COLUMNS = """
    declaration_id INTEGER PRIMARY KEY AUTOINCREMENT, site_id TEXT NOT NULL,
    activity TEXT NOT NULL, start_day INTEGER NOT NULL, until_day INTEGER, value REAL,
    unit TEXT NOT NULL, share REAL, other_energy_kgce REAL, meters TEXT NOT NULL,
    note TEXT NOT NULL, declared_by TEXT NOT NULL, declared_at_us INTEGER NOT NULL,
    replaces INTEGER REFERENCES activity"""
_TOLD = """site_id, activity, start_day, until_day, value, unit, share, other_energy_kgce, meters,
    note, declared_by, declared_at_us, replaces"""
_EPOCH = date(1970, 1, 1)
_HEARD = """CREATE TABLE IF NOT EXISTS heard (site_id TEXT NOT NULL, key TEXT NOT NULL,
    declaration_id INTEGER NOT NULL REFERENCES activity, PRIMARY KEY (site_id, key))"""
"""Senders' own names of what was delivered, and the declaration each became."""


class ActivityBook:
    """Opened by each process that needs it; safe beside a running system.

    Args:
        path: the file, made on first use.
        now: stamps the declarations.
    """

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self._now = now
        self._db = opened(path, "activity", _COLUMNS)
        index = "CREATE INDEX IF NOT EXISTS of_site ON activity (site_id, activity)"
        self._db.execute(index)
        self._db.execute(_HEARD)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def declare(self, site_id: str, one: Declaration) -> tuple[int, bool]:
        """Keep a declaration; one of a period already declared becomes its revision.

        Returns:
            Its id, and whether it is new: what stands with the same figures is not repeated.

        Raises:
            DeclarationError: it overlaps a declaration of another period.
            sqlite3.Error: the disk failed.
        """
        with self.whole():
            mine = "WHERE site_id = ? AND activity = ?"
            stand = standing(self._acts(mine, (site_id, one.activity)))
            if problem := overlapping(one, stand):
                raise DeclarationError(problem)
            start, until = pl.col("start"), pl.col("until")
            same = (start == one.since) & until.eq_missing(pl.lit(one.until, pl.Date()))
            before = stand.filter(same).rows(named=True)
            told = _told(one)
            if before and {name: before[0][name] for name in told} == told:
                return int(before[0]["declaration_id"]), False
            replaces = before[0]["declaration_id"] if before else None
            key = (site_id, one.activity, _days(one.since), _days(one.until))
            return self._append(key, told, replaces), True

    def deliver(self, site_id: str, one: Declaration, key: str | None) -> tuple[int, bool]:
        """Keep a declaration that may be delivered again, at any time: it is declared once.

        Args:
            site_id: whom it is for.
            one: the declaration.
            key: the sender's name for it. Without one, what was said word for word and has been
                revised since is refused: nobody can tell a delivery of old from a new act.

        Returns:
            Its id, and whether it is new.

        Raises:
            DeclarationError: as `declare`; or the name was given to another declaration.
            sqlite3.Error: the disk failed.
        """
        with self.whole():
            before = self._said(site_id, one)
            if key is None:
                return self._unnamed(site_id, one, before)
            sql = "SELECT declaration_id FROM heard WHERE site_id = ? AND key = ?"
            known = self._db.execute(sql, (site_id, key)).fetchone()
            if known is None:
                made, new = self.declare(site_id, one)
                self._db.execute("INSERT INTO heard VALUES (?, ?, ?)", (site_id, key, made))
                return made, new
            if known[0] in before["declaration_id"]:
                return int(known[0]), False
            raise DeclarationError(f"id {key!r} is declaration {known[0]}, which says otherwise")

    def _unnamed(self, site_id: str, one: Declaration, before: pl.DataFrame) -> tuple[int, bool]:
        stand = standing(self._acts("WHERE site_id = ?", (site_id,)))["declaration_id"]
        if before.is_empty() or before["declaration_id"].is_in(stand.implode()).any():
            return self.declare(site_id, one)
        raise DeclarationError(
            f"declaration {before['declaration_id'][-1]} said the same and does not stand any "
            "more: if it is meant anew, give it an `id` of its own"
        )

    def _said(self, site_id: str, one: Declaration) -> pl.DataFrame:
        """Return the acts that say the same word for word, whether or not they stand."""
        acts = self._acts("WHERE site_id = ? AND activity = ?", (site_id, one.activity))
        told = _told(one) | {"start": one.since, "until": one.until}
        same = [
            pl.col(name).eq_missing(pl.lit(value, ACTIVITY[name])) for name, value in told.items()
        ]
        return acts.filter(same)

    def withdraw(self, declaration_id: int, by: str, why: str) -> int:
        """Withdraw a declaration: nothing is declared for its period; return the act's id.

        Raises:
            DeclarationError: there is no such declaration that still stands, or nobody or no
                reason is named.
            sqlite3.Error: the disk failed.
        """
        if not by.strip() or not why.strip():
            raise DeclarationError("a withdrawal needs the name of who makes it, and why")
        with self.whole():
            rows = standing(self._acts()).filter(pl.col("declaration_id") == declaration_id)
            if rows.is_empty():
                raise DeclarationError(f"there is no declaration {declaration_id} that stands")
            one = rows.row(0, named=True)
            key = (one["site_id"], one["activity"], _days(one["start"]), _days(one["until"]))
            told = one | {"value": None, "note": why.strip(), "declared_by": by.strip()}
            return self._append(key, told, declaration_id)

    @contextmanager
    def whole(self, *, keep: bool = True) -> Iterator[None]:
        """Do several acts as one, with no other process in between: all are kept, or none.

        Args:
            keep: False forgets them at the end, as a trial.
        """
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT" if keep else "ROLLBACK")

    def acts(self) -> pl.DataFrame:
        """Return every act in order, schema ACTIVITY."""
        return self._acts()

    def _acts(self, where: str = "", values: tuple[object, ...] = ()) -> pl.DataFrame:
        return acts_of(self._db, f"activity {where}", f"declaration_id, {_TOLD}", ACTIVITY, values)

    def _append(
        self, key: tuple[object, ...], told: dict[str, object], replaces: int | None
    ) -> int:
        names = ("value", "unit", "share", "other_energy_kgce", "meters", "note", "declared_by")
        values = (*key, *(told[name] for name in names), microseconds(self._now()), replaces)
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO activity ({_TOLD}) VALUES ({marks})"  # noqa: S608 - constants
        return int(self._db.execute(sql, values).lastrowid or 0)


def _told(one: Declaration) -> dict[str, object]:
    return {
        "value": one.value,
        "unit": one.unit,
        "share": one.share,
        "other_energy_kgce": one.other_energy_kgce,
        "meters": " ".join(one.meters),
        "note": one.note,
        "declared_by": one.declared_by,
    }


def _days(day: date | None) -> int | None:
    return None if day is None else (day - _EPOCH).days
