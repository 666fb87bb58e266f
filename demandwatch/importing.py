"""An import and its undoing, with what journal and history know; beside a running system or not."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import polars as pl

from collector.clock import Clock
from collector.health import Health
from collector.imported import made_by, withdrawals
from collector.imports import Entry, Imports, fingerprint
from collector.intake import Desk
from collector.journal import Journal
from collector.mappings import FileMapping
from collector.metrics import Metrics
from collector.reading import KEY, empty
from collector.rejects import Rejects
from collector.sources.files import CHUNK_ROWS, FileError, Imported, import_file, reader_of
from demandwatch.settings import Configuration
from processors.history.imports import keys_of_import
from processors.history.store import History

_BLOBS_ROWS = 200_000


class EntangledError(ValueError):
    """Another import must be undone first."""


class Importer:
    """What an import needs of one data folder; `close` it."""

    def __init__(self, config: Configuration, clock: Clock) -> None:
        """Open journal, rejects and the book of imports.

        Raises:
            OSError: the folder cannot be written.
        """
        data = config.data
        data.mkdir(parents=True, exist_ok=True)
        self._config, self._clock = config, clock
        self.imports = Imports(data / "imports.db")
        self._journal = Journal(data / "journal.db", clock.now)
        self._rejects = Rejects(data / "rejects.db")
        self._history = History.open_readonly(data / "history", config.book, clock.now)
        self._fresh: pl.DataFrame | None = None
        self._zones = {m.id: site.timezone for site in config.sites for m in site.meters}

    def close(self) -> None:
        """Close every file."""
        self.imports.close()
        self._journal.close()
        self._rejects.close()

    def load(
        self,
        path: Path,
        mapping: FileMapping,
        meter: str | None,
        progress: Callable[[float], None],
        *,
        dry: bool = False,
    ) -> tuple[Entry | None, Imported | None]:
        """Import a file; returns when all of it is durable.

        Args:
            path: the file.
            mapping: what its columns mean.
            meter: whose it is, where the mapping is for one meter.
            progress: called with the share worked up.
            dry: write nothing.

        Returns:
            The import's entry (None in a dry run) and what it did; None: it was done before.

        Raises:
            FileError: the file cannot be read with this mapping.
            JournalError: the disk refused.
            OSError: the file or the folder cannot be read.
        """
        if not path.is_file():
            raise FileError(f"there is no file {path}")
        now = self._clock.now()
        if dry:
            reader = reader_of(path, mapping, now, self._zones, meter, around=self.known)
            return None, import_file(reader, None, progress)
        entry = self.imports.begin(fingerprint(path, mapping, meter, self._zones), path.name, now)
        if entry.finished_at is not None:
            return entry, None
        reader = reader_of(
            path, mapping, now, self._zones, meter, around=self.known, import_id=entry.id
        )
        desk = Desk(self._journal, self._rejects, Metrics(), Health(), self._clock.now)
        done = import_file(reader, desk, progress)
        self.imports.finish(
            entry.id, self._clock.now(), done.readings, done.meters, done.rejected,
            (done.first, done.last), done.continued,
        )  # fmt: skip
        return self.imports.entry(entry.id), done

    def undo(self, entry: Entry, progress: Callable[[float], None]) -> int:
        """Withdraw an import's readings; returns how many, when all of it is durable.

        Nothing is deleted: withdrawals are journalled like readings, and intervals get revisions.

        Raises:
            EntangledError: values of a later import lie among this one's.
            JournalError: the disk refused; call again.
        """
        if later := self.imports.upon(entry.id):
            raise EntangledError(
                f"import {', '.join(later)} set values among those of {entry.id}: undo it first"
            )
        now = self._clock.now()
        stored = keys_of_import(self._config.data / "history", entry.id)
        fresh = [part.filter(made_by(entry.id)).select(KEY) for part in self._tail()]
        rows = withdrawals(pl.concat([stored, *fresh]), entry.id, entry.file, now)
        for number, part in enumerate(rows.iter_slices(CHUNK_ROWS), 1):
            self._journal.append(part).result()
            progress(min(number * CHUNK_ROWS / rows.height, 1.0))
        self.imports.undone(entry.id, now)
        return rows.height

    def known(self, meters: Sequence[str], start: datetime, end: datetime) -> pl.DataFrame:
        """Return the READING rows of `meters` in [start, end), of history and journal."""
        at = pl.col("measured_at")
        wanted = (at >= start) & (at < end) & pl.col("meter_id").is_in(list(meters))
        if self._fresh is None:  # what comes while a file is imported cuts none of its intervals
            kept = pl.col("energy_import_kwh").is_not_null() | (
                pl.col("source").str.contains("import")
            )
            self._fresh = pl.concat([empty(), *(part.filter(kept) for part in self._tail())])
        fresh = [self._fresh.filter(wanted)]
        return pl.concat([self._history.readings(start, end, meters), *fresh])

    def _tail(self) -> Iterator[pl.DataFrame]:
        """Yield what the journal holds beyond what is in history's files."""
        after = self._history.committed("readings")
        while (batch := self._journal.read(after, _BLOBS_ROWS)).last_seq > after:
            after = batch.last_seq
            yield batch.frame
