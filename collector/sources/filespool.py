"""The rows of a file too large for one piece: set down on disk, taken up in order of time."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from collector.reading import UTC_US
from collector.sources.filefaults import FileError

_STEP = timedelta(minutes=15)
"""Rows are counted in these; from 2000 to today there are less than a million."""
_GROUP_ROWS = 32_768
"""Rows a Parquet reader can leave out at once, by the times in them."""


@dataclass(frozen=True, slots=True)
class _Part:
    path: Path
    first: datetime
    last: datetime


class Spool:
    """Rows in temporary Parquet files, some 2 to 11 bytes each; gone with the context.

    Memory holds what is being set down, or one window, and a count for each quarter of an hour.
    """

    def __init__(self) -> None:
        self.rows = 0
        """Rows set down."""
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._parts: list[_Part] = []
        self._most = 1
        self._counts = pl.DataFrame(schema={"at": UTC_US, "rows": pl.UInt64()})

    def __enter__(self) -> Self:
        """Return the spool, still without a file."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove every file."""
        if self._folder is not None:
            self._folder.cleanup()

    def put(self, rows: pl.DataFrame) -> None:
        """Set rows down.

        Args:
            rows: `measured_at, meter_id` and more, by time; the same columns each time.

        Raises:
            FileError: the disk has no room for them.
        """
        if rows.is_empty():
            return
        at = pl.col("measured_at").dt.truncate("15m").alias("at")
        counts = rows.group_by(at).agg(pl.len().cast(pl.UInt64).alias("rows"))
        self._counts = pl.concat([self._counts, counts]).group_by("at").agg(pl.col("rows").sum())
        self.rows += rows.height
        self._most = max(self._most, rows.height)
        try:
            path = self._home() / f"{len(self._parts)}.parquet"
            rows.write_parquet(path, compression="lz4", row_group_size=_GROUP_ROWS)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise FileError(
                f"the rows of a large file are sorted in {tempfile.gettempdir()}, which cannot take"
                f" them: {error}; make room there, or set TMPDIR to a folder that has it"
                " (about half the size of a text file)"
            ) from error
        first, last = rows["measured_at"][0], rows["measured_at"][-1]
        self._parts.append(_Part(path, first, last))

    def windows(self) -> Iterator[pl.DataFrame]:
        """Yield all rows: of each meter in windows of ascending time, in any order inside one.

        A window has about as many rows as the most that were set down at once, or fewer; all rows
        of one meter and instant are in the same one.

        Raises:
            FileError: a file set down cannot be read again.
        """
        for start, end, shares in self._spans():
            for share in range(shares):
                rows = self._taken(start, end, share, shares)
                if rows.height:
                    yield rows

    def _spans(self) -> Iterator[tuple[datetime, datetime, int]]:
        """Yield start, end and into how many shares, of different meters, it must be divided."""
        begun, end, held = None, None, 0
        for at, count in self._counts.sort("at").iter_rows():
            if begun is not None and end is not None and held + count > self._most:
                yield begun, end, -(-held // self._most)
                begun, held = None, 0
            begun, end, held = begun or at, at + _STEP, held + count
        if begun is not None and end is not None:
            yield begun, end, -(-held // self._most)

    def _taken(self, start: datetime, end: datetime, share: int, shares: int) -> pl.DataFrame:
        paths = [one.path for one in self._parts if one.first < end and one.last >= start]
        at, meter = pl.col("measured_at"), pl.col("meter_id")
        wanted = (at >= start) & (at < end)
        if shares > 1:
            wanted &= meter.hash() % shares == share
        try:
            return pl.scan_parquet(paths).filter(wanted).collect()
        except (OSError, pl.exceptions.PolarsError) as error:
            raise FileError(f"cannot read what was set down, {paths[0]}: {error}") from error

    def _home(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="demandwatch-import-")
        return Path(self._folder.name)
