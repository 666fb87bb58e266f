"""File source: CSV, Excel and Parquet exports become readings, through the same journal as all.

Interval values become registers in runs (`collector.sources.fileruns`): a missing interval is a
hole between two runs and never a zero, and a second file joins the first without a seam. Importing
the same file twice makes the same readings. Large files are sorted on disk, so memory does not grow
with them.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from collector.imported import START_AFTER
from collector.intake import Desk
from collector.mappings import FileMapping
from collector.reason import Reason
from collector.sources.filefaults import BAD, FileError
from collector.sources.filereader import FileReader

__all__ = [
    "BAD",
    "Contents",
    "FileError",
    "FileReader",
    "Imported",
    "import_file",
    "plain",
    "read_file",
    "reader_of",
]

CHUNK_ROWS = 50_000
_IN_FLIGHT = 4


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file held."""

    frame: pl.DataFrame
    """READING without the quantities the file does not have; by time, then meter."""
    bad: pl.DataFrame
    """Schema BAD."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or in a dry run would do."""

    readings: int
    meters: tuple[str, ...]
    first: datetime | None
    last: datetime | None
    """The earliest and the latest instant read."""
    refused: Mapping[str, int]
    """Refused lines and figures, by reason."""
    bad: pl.DataFrame
    """The first of them, schema BAD, by line."""
    continued: tuple[str, ...] = ()
    """Ids of imports whose values this one's lie among: they cannot be undone before it."""

    @property
    def rejected(self) -> int:
        """How many lines and figures were refused."""
        return sum(self.refused.values())


def reader_of(
    path: Path,
    mapping: FileMapping,
    now: datetime,
    zones: Mapping[str, str] | None = None,
    meter_id: str | None = None,
    **more: object,
) -> FileReader:
    """Return the reader of a file.

    Args:
        path: `.csv` (or any text), an Excel workbook or `.parquet`.
        mapping: what its columns mean.
        now: stamps `received_at`; later stamps are refused.
        zones: IANA zone of each known meter; others are refused. None: any meter may be.
        meter_id: id for layout `one_meter`, over the mapping's; else the file's name.
        more: fields of FileReader.
    """
    one = meter_id or mapping.meter or path.stem
    if zones is not None and mapping.layout == "one_meter" and one not in zones:
        raise FileError(f"no site has a meter {one!r}: name the file's meter with --meter")
    return FileReader(path, mapping, now, zones, one, **more)  # type: ignore[arg-type]  # named by the caller


def read_file(
    path: Path,
    mapping: FileMapping,
    now: datetime,
    zones: Mapping[str, str] | None = None,
    meter_id: str | None = None,
) -> Contents:
    """Read a whole file without journalling it; arguments as `reader_of`'s.

    Raises:
        FileError: a column is missing, or the file is no table.
    """
    reader = reader_of(path, mapping, now, zones, meter_id)
    frames = list(reader.frames())
    return Contents(pl.concat(frames).sort("measured_at", "meter_id"), reader.sieve.bad())


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a file's readings as one meter would have told them: for a replay over a protocol.

    The source does not travel, so neither do the marks between runs: a hole's energy is nobody's,
    and the register stands still over it.
    """
    start = pl.col("source").str.starts_with("import-start:")
    first = pl.col("measured_at") == pl.col("measured_at").min().over("meter_id")
    at = pl.when(start).then(pl.col("measured_at") - START_AFTER).otherwise("measured_at")
    return frame.filter(~start | first).with_columns(at.alias("measured_at"))


def import_file(
    reader: FileReader, desk: Desk | None, progress: Callable[[float], None] = lambda _share: None
) -> Imported:
    """Journal a file; returns when all of it is durable.

    Args:
        reader: of the file.
        desk: journal and rejects; None: a dry run, nothing is written.
        progress: called with the share worked up.

    Raises:
        FileError: a column is missing, or the file is no table.
        JournalError: the disk refused; what was durable before is withdrawn by an undo, or
            completed by the same import again.
    """
    count, meters = 0, set[str]()
    span: list[datetime] = []
    pending: list[Future[int]] = []
    with closing(reader.frames()) as frames:
        for frame in frames:
            if desk is not None:
                parts = frame.iter_slices(CHUNK_ROWS)
                pending.extend(desk.journal.append(part) for part in parts)
            while len(pending) > _IN_FLIGHT:
                pending.pop(0).result()
            count += frame.height
            meters |= set(frame["meter_id"].unique().to_list())
            span += [at for at in (frame["measured_at"].min(), frame["measured_at"].max()) if at]  # type: ignore[misc]  # instants
            progress(reader.done)
    for future in pending:
        future.result()
    sieve = reader.sieve
    done = Imported(
        count, tuple(sorted(meters)), min(span, default=None), max(span, default=None),
        dict(sieve.counts), sieve.bad(), reader.continued,
    )  # fmt: skip
    if desk is not None:
        _note(done, reader, desk)
    return done


def _note(done: Imported, reader: FileReader, desk: Desk) -> None:
    """Put the refused lines among the rejects, and count."""
    kept = done.bad.group_by("reason", "meter_id", maintain_order=True).agg(
        pl.len().alias("count"), pl.format("line {}: {} {}", "line", "at", "value").first()
    )
    for reason, meter, count, excerpt in kept.iter_rows():
        subject = meter or reader.path.name
        desk.rejects.add(Reason(reason), "import", subject, excerpt, reader.now, count)
    desk.metrics.counter("readings", "Readings made durable in the journal", ("source",)).labels(
        "import"
    ).inc(done.readings)
