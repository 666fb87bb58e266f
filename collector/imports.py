"""The book of imports: which file came when, with what result, and whether it was undone."""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from collector.mappings import FileMapping
from collector.reading import UTC_US

IMPORTS: dict[str, pl.DataType] = {
    "id": pl.String(),
    "file": pl.String(),
    "started_at": UTC_US,
    "finished_at": UTC_US,
    "readings": pl.Int64(),
    "meters": pl.Int64(),
    "refused": pl.Int64(),
    "first": UTC_US,
    "last": UTC_US,
    "undone_at": UTC_US,
}
"""One row an import. `finished_at` is null while it runs and if it was cut off: the same import
again completes it, an undo withdraws it. `first` and `last` are instants of readings."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS imports (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE, print TEXT NOT NULL, file TEXT NOT NULL, started_at TEXT NOT NULL,
    finished_at TEXT, readings INTEGER, meters TEXT, refused INTEGER, first TEXT, last TEXT,
    undone_at TEXT, continued TEXT
)
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One import."""

    id: str
    """Seven hexadecimal digits."""
    file: str
    """The file's name, without its folder."""
    started_at: datetime
    finished_at: datetime | None
    meters: tuple[str, ...]
    undone_at: datetime | None


class Imports:
    """The book, in a SQLite file of its own; any number of processes may use it."""

    def __init__(self, path: Path) -> None:
        """Open the file; made if it is not there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = FULL")
        self._file.execute(_SCHEMA)

    def begin(self, fingerprint: str, file: str, now: datetime) -> Entry:
        """Return the entry of this import: a new one, or what stands already of the same.

        The same: same file, mapping and meters, and not undone.
        """
        found = self._file.execute(
            "SELECT id FROM imports WHERE print = ? AND undone_at IS NULL", (fingerprint,)
        ).fetchone()
        import_id = found[0] if found else _new_id(fingerprint, now)
        if not found:
            self._file.execute(
                "INSERT INTO imports (id, print, file, started_at) VALUES (?, ?, ?, ?)",
                (import_id, fingerprint, file, now.isoformat()),
            )
        return self.entry(import_id)

    def finish(
        self,
        import_id: str,
        now: datetime,
        readings: int,
        meters: tuple[str, ...],
        refused: int,
        span: tuple[datetime | None, datetime | None],
        continued: tuple[str, ...] = (),
    ) -> None:
        """Note that all of an import is durable; `continued`: the imports its values lie among."""
        first, last = (at.isoformat() if at else None for at in span)
        self._file.execute(
            "UPDATE imports SET finished_at = ?, readings = ?, meters = ?, refused = ?, first = ?,"
            " last = ?, continued = ? WHERE id = ?",
            (
                now.isoformat(),
                readings,
                json.dumps(meters),
                refused,
                first,
                last,
                json.dumps(continued),
                import_id,
            ),
        )

    def upon(self, import_id: str) -> list[str]:
        """Return the imports, not undone, whose values lie among this one's; newest first."""
        rows = self._file.execute(
            "SELECT id, continued FROM imports WHERE undone_at IS NULL ORDER BY number DESC"
        )
        return [one for one, continued in rows if import_id in json.loads(continued or "[]")]

    def undone(self, import_id: str, now: datetime) -> None:
        """Note that an import was withdrawn."""
        self._file.execute(
            "UPDATE imports SET undone_at = ? WHERE id = ?", (now.isoformat(), import_id)
        )

    def entry(self, import_id: str) -> Entry:
        """Return an import.

        Raises:
            KeyError: there is none of this id; tells which there are.
        """
        row = self._file.execute(
            "SELECT id, file, started_at, finished_at, meters, undone_at FROM imports WHERE id = ?",
            (import_id,),
        ).fetchone()
        if row is None:
            known = self._file.execute("SELECT id FROM imports ORDER BY number DESC LIMIT 5")
            latest = ", ".join(one for (one,) in known) or "none"
            raise KeyError(f"no import {import_id!r}; the latest are: {latest}")
        started, finished, undone = (_instant(row[place]) for place in (2, 3, 5))
        meters = tuple(json.loads(row[4] or "[]"))
        return Entry(row[0], row[1], started or _EPOCH, finished, meters, undone)

    def all(self) -> pl.DataFrame:
        """Return every import, the newest first; schema IMPORTS."""
        rows = self._file.execute(
            "SELECT id, file, started_at, finished_at, readings, meters, refused, first, last,"
            " undone_at FROM imports ORDER BY number DESC"
        ).fetchall()
        told = [
            {
                name: _instant(value) if kind == UTC_US
                else len(json.loads(value or "[]")) if name == "meters" else value
                for (name, kind), value in zip(IMPORTS.items(), row, strict=True)
            }
            for row in rows
        ]  # fmt: skip
        return pl.DataFrame(told, schema=IMPORTS)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def fingerprint(
    path: Path, mapping: FileMapping, meter: str | None, zones: Mapping[str, str]
) -> str:
    """Return what is alike for the same import: of the file's bytes, the mapping and the meters.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    told = [
        digest,
        mapping.model_dump_json(),
        meter or mapping.meter or path.stem,
        *sorted(zones.items()),
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _new_id(fingerprint: str, now: datetime) -> str:
    """Return seven hexadecimal digits, never all zero."""
    digest = hashlib.sha256(f"{fingerprint} {now.isoformat()}".encode()).hexdigest()
    return digest[:7] if int(digest[:7], 16) else "0000001"


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
