"""One file on its way to readings: piece by piece, so that memory does not grow with it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from collector.imported import Form, source_of
from collector.mappings import FileMapping
from collector.quantity import COUNTERS
from collector.reading import KEY, UTC_US, empty
from collector.reason import Reason
from collector.sources import filecells, fileclock
from collector.sources.filefaults import Sieve
from collector.sources.fileruns import Runs
from collector.sources.fileseen import Seen
from collector.sources.filetable import PIECE_CELLS, WORKBOOKS, Piece, pieces

NO_ID = "0000000"
"""Import id of a file that is read and not imported."""
_AHEAD = timedelta(days=1, seconds=1)
"""Longer than any interval: what follows the file's last one is seen."""

Around = Callable[[list[str], datetime, datetime], pl.DataFrame]
"""READING rows of some meters with `measured_at` in [start, end): what journal and history know,
every version received."""


@dataclass(slots=True)
class FileReader:
    """One file on its way to readings."""

    path: Path
    mapping: FileMapping
    now: datetime
    zones: Mapping[str, str] | None
    one_meter: str
    import_id: str = NO_ID
    around: Around | None = None
    cells: int = PIECE_CELLS
    """Cells read at a time."""
    sieve: Sieve = field(default_factory=Sieve)
    done: float = 0.0
    """Share of the file worked up, 0..1."""
    _runs: Runs | None = None
    _seen: Seen = field(default_factory=lambda: Seen(timedelta()))

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield READING rows piece by piece, each by time, then meter.

        Raises:
            FileError: a column is missing, or the file is no table.
        """
        self.sieve.stamp = self.mapping.time.column
        self.sieve.figure = self.mapping.values[0].column
        if every := self.mapping.time.every_minutes:
            names = [one.quantity for one in self.mapping.values]
            names.sort(key=lambda name: name != COUNTERS[0])
            self._runs = Runs(names, timedelta(minutes=every))
            self._seen = Seen(timedelta(minutes=every))
        unclear: list[pl.DataFrame] = []
        for number, piece in enumerate(pieces(self.path, self.mapping, self.cells)):
            rows, doubled = self._placed(piece, first=number == 0)
            if piece.whole:
                rows = pl.concat([rows, self._twice(doubled)])
            else:
                unclear.append(doubled)
            self.done = piece.done
            yield self._readings(rows, number, whole=piece.whole)
        if unclear and sum(frame.height for frame in unclear):
            # The two halves of a doubled hour may lie in different pieces.
            yield self._readings(self._twice(pl.concat(unclear)), len(unclear), whole=False)

    def _placed(self, piece: Piece, *, first: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the rows with numbers and instants, and those in an hour the zone has twice."""
        if piece.torn.height:
            torn = piece.torn.with_columns(meter_id=pl.lit(""), stamp=pl.lit(""), column=pl.lit(""))
            self.sieve.refuse(torn, pl.lit(Reason.COLUMN_COUNT.value), pl.col("value"))
        workbook = self.path.suffix.lower() in WORKBOOKS
        rows = filecells.long(
            piece.rows, self.mapping, self.one_meter, self.zones, self.sieve, first=first
        )
        rows = filecells.numbers(rows, self.mapping, self.sieve, workbook=workbook)
        return fileclock.instants(
            rows, self.mapping, self.zones or {}, self.now, self.sieve, workbook=workbook
        )

    def _twice(self, doubled: pl.DataFrame) -> pl.DataFrame:
        return fileclock.twice(doubled, self.mapping, self.now, self.sieve)

    def _readings(self, rows: pl.DataFrame, number: int, *, whole: bool) -> pl.DataFrame:
        rows = rows.sort(*KEY, maintain_order=True)
        rows = self.sieve.keep(
            rows, pl.struct(*KEY).is_first_distinct(), Reason.DUPLICATE_KEY, self._figure()
        )
        if not whole:
            rows = self._seen.fresh(rows, self.sieve, self.mapping.values[0].quantity)
        if self._runs is None:
            form = pl.lit(int(Form.REGISTER)).alias("form")
            made = rows.select(*KEY, form, *(one.quantity for one in self.mapping.values))
        else:
            made = self._runs.registers(rows, self._beside(rows), self.sieve)
        # A later piece is received later: what it says of a key it shares stands.
        at = self.now + timedelta(microseconds=number)
        sources = {int(f): source_of(f, self.import_id, self.path.name) for f in Form}
        return made.select(
            *KEY,
            pl.lit(at, dtype=UTC_US).alias("received_at"),
            pl.col("form").replace_strict(sources, return_dtype=pl.String).alias("source"),
            *(one.quantity for one in self.mapping.values),
        ).sort("measured_at", "meter_id")

    @property
    def continued(self) -> tuple[str, ...]:
        """Ids of the imports whose values go on behind this one's."""
        return () if self._runs is None else tuple(sorted(self._runs.continued))

    def _figure(self) -> pl.Expr:
        return pl.col(self.mapping.values[0].quantity)

    def _beside(self, rows: pl.DataFrame) -> pl.DataFrame:
        if self.around is None or self._runs is None or rows.is_empty():
            return empty()
        first, last = rows.select(
            pl.col("measured_at").min().alias("first"), pl.col("measured_at").max().alias("last")
        ).row(0)
        meters = rows["meter_id"].unique().sort().to_list()
        known = self.around(meters, first - self._runs.every, last + _AHEAD)
        own = pl.col("source").str.contains(f":{self.import_id}:", literal=True)
        undo = pl.col("source").str.starts_with("import-undo:")
        return known.filter(~own | undo)
