"""The gap ledger on disk: each gap's present row, every change it went through, and our run spans.

Changes are append-only. One transaction carries the changes and the cursor in history they came
from, so that after a crash nothing is told twice; a row told again changes nothing anyway.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from collector.reading import UTC_US
from processors.causes import COLLECTOR, DOWN
from processors.gap_changes import CHANGE, GAP

_COLUMNS = [name for name in GAP if name != "gap_id"]
_TIMES = [name for name, kind in GAP.items() if kind == UTC_US]
_TYPES = {pl.Float64(): "REAL", pl.String(): "TEXT"}
_TABLE = ", ".join(f"{name} {_TYPES.get(GAP[name], 'INTEGER')}" for name in _COLUMNS)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS gaps (gap_id INTEGER PRIMARY KEY, {_TABLE});
CREATE INDEX IF NOT EXISTS gaps_left ON gaps (missing_from) WHERE missing_from IS NOT NULL;
CREATE INDEX IF NOT EXISTS gaps_by_time ON gaps (start);
CREATE INDEX IF NOT EXISTS gaps_open ON gaps (meter_id) WHERE state = 'open';
CREATE TABLE IF NOT EXISTS changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, gap_id INTEGER NOT NULL, at INTEGER NOT NULL,
    change TEXT NOT NULL, row TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS changes_of_gap ON changes (gap_id, seq);
CREATE TRIGGER IF NOT EXISTS changes_never_change BEFORE UPDATE ON changes
    BEGIN SELECT RAISE(ABORT, 'changes of gaps are never changed'); END;
CREATE TRIGGER IF NOT EXISTS changes_never_go BEFORE DELETE ON changes
    BEGIN SELECT RAISE(ABORT, 'changes of gaps are never removed'); END;
CREATE TABLE IF NOT EXISTS spans (
    span_id INTEGER PRIMARY KEY, name TEXT NOT NULL, start INTEGER NOT NULL,
    until INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS cursor (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL);
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END = 2**62
MOST_GAPS = 100_000
"""Rows one answer may carry, the newest."""


class GapLedger:
    """One SQLite file; one process writes, any may read. Methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Raises:
            sqlite3.Error: it cannot be opened.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._file = sqlite3.connect(
            path, timeout=30, isolation_level=None, check_same_thread=False
        )
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = NORMAL")
        self._file.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    # -- gaps --------------------------------------------------------------------------------

    def record(self, changed: pl.DataFrame, cursor: datetime | None = None) -> int:
        """Write changed gaps (GAP and `change`; a null gap_id is a new gap), and the cursor.

        Returns how many were written.

        Raises:
            sqlite3.Error: nothing was written; the same call may be made again.
        """
        rows = changed.with_columns(pl.col(_TIMES).to_physical()).rows(named=True)
        with self._writing():
            for row in rows:
                self._write(row, row.pop(next(iter(CHANGE))))
            if cursor is not None:
                self._file.execute("REPLACE INTO cursor VALUES (1, ?)", (_micros(cursor),))
        return len(rows)

    def _write(self, row: dict[str, Any], change: str) -> None:
        if row["gap_id"] is None:
            marks = ", ".join("?" for _ in _COLUMNS)
            names = ", ".join(_COLUMNS)
            row["gap_id"] = self._file.execute(
                f"INSERT INTO gaps ({names}) VALUES ({marks})",  # noqa: S608 - our own names
                [row[name] for name in _COLUMNS],
            ).lastrowid
        else:
            sets = ", ".join(f"{name} = ?" for name in _COLUMNS)
            self._file.execute(
                f"UPDATE gaps SET {sets} WHERE gap_id = ?",  # noqa: S608 - our own names
                [*(row[name] for name in _COLUMNS), row["gap_id"]],
            )
        told = json.dumps({name: row[name] for name in _COLUMNS if row[name] is not None})
        self._file.execute(
            "INSERT INTO changes (gap_id, at, change, row) VALUES (?, ?, ?, ?)",
            (row["gap_id"], row["changed_at"], change, told),
        )

    def left(self, low: datetime, high: datetime) -> pl.DataFrame:
        """Return the gaps with a hole left that touches [low, high], schema GAP."""
        return self._gaps(
            "missing_from IS NOT NULL AND missing_from <= ? AND ifnull(missing_to, ?) >= ?",
            (_micros(high), _END, _micros(low)),
        )

    def open(self) -> pl.DataFrame:
        """Return the open gaps, schema GAP."""
        return self._gaps("state = 'open'", ())

    def gaps(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        meters: Sequence[str] | None = None,
        limit: int = MOST_GAPS,
    ) -> pl.DataFrame:
        """Return the gaps that touch [start, end), open ones first, then the newest; schema GAP."""
        low, high = (_micros(start) if start else -_END), (_micros(end) if end else _END)
        mine, values = "", [high, _END, low]
        if meters is not None:
            mine = " AND meter_id IN (SELECT value FROM json_each(?))"
            values.append(json.dumps(list(meters)))  # type: ignore[arg-type]  # values are mixed
        return self._gaps(
            f"start < ? AND ifnull(end, ?) > ?{mine}"
            f" ORDER BY state = 'open' DESC, start DESC LIMIT {int(limit)}",
            tuple(values),
        )

    def changes(self, gap_id: int) -> list[dict[str, Any]]:
        """Return what happened to a gap, the oldest first: at, change and the row it came to."""
        with self._lock:
            found = self._file.execute(
                "SELECT at, change, row FROM changes WHERE gap_id = ? ORDER BY seq", (gap_id,)
            ).fetchall()
        return [
            {"at": _instant(at), "change": change, **json.loads(row)} for at, change, row in found
        ]

    def cursor(self) -> datetime | None:
        """Return how far history has been followed, None before the first time."""
        with self._lock:
            row = self._file.execute("SELECT at FROM cursor").fetchone()
        return None if row is None else _instant(row[0])

    def _gaps(self, where: str, values: tuple[object, ...]) -> pl.DataFrame:
        sql = f"SELECT {', '.join(GAP)} FROM gaps WHERE {where}"  # noqa: S608 - our own names
        with self._lock:
            rows = self._file.execute(sql, values).fetchall()
        kinds = {name: pl.Int64() if kind == UTC_US else kind for name, kind in GAP.items()}
        return pl.DataFrame(rows, schema=kinds, orient="row").cast(dict(GAP))  # type: ignore[arg-type]  # a dict of types is one

    # -- spans of running and of links that were down ------------------------------------------

    def begin(self, name: str, at: datetime) -> int:
        """Note that a span begins, e.g. that the collector runs; return its number."""
        with self._writing():
            made = self._file.execute(
                "INSERT INTO spans (name, start, until) VALUES (?, ?, ?)",
                (name, _micros(at), _micros(at)),
            )
        return int(made.lastrowid or 0)

    def extend(self, spans: Sequence[int], at: datetime) -> None:
        """Note that spans last until `at`; what a crash ends lasted until it was last noted."""
        with self._writing():
            self._file.executemany(
                "UPDATE spans SET until = max(until, ?) WHERE span_id = ?",
                [(_micros(at), one) for one in spans],
            )

    def down(self) -> pl.DataFrame:
        """Return when links were down, and when the collector did not run, schema DOWN."""
        with self._lock:
            rows = self._file.execute("SELECT name, start, until FROM spans").fetchall()
        kinds = {"link": pl.String(), "start": pl.Int64(), "end": pl.Int64()}
        spans = pl.DataFrame(rows, schema=kinds, orient="row").cast(dict(DOWN))  # type: ignore[arg-type]  # a dict of types is one
        runs = spans.filter(pl.col("link") == COLLECTOR).sort("start")
        between = runs.select(
            "link", pl.col("end").alias("start"), pl.col("start").shift(-1).alias("end")
        ).filter(pl.col("end") > pl.col("start"))
        return pl.concat([spans.filter(pl.col("link") != COLLECTOR), between])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._file.execute("ROLLBACK")
                raise
            self._file.execute("COMMIT")


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _instant(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)
