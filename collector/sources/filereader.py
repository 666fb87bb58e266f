"""One file on its way to readings, in bounded memory, whatever the order of its lines.

A file of one piece is worked up at once. The pieces of a larger one are placed in time and set down
(`collector.sources.filespool`); their rows are then taken up in windows of ascending time. So a run
of interval values is only ever continued, and every row of a meter and instant is seen beside the
others: the result is that of the file in one piece.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
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
from collector.sources.filefaults import FileError, Sieve
from collector.sources.fileruns import Runs
from collector.sources.filespool import Spool
from collector.sources.filetable import PIECE_CELLS, WORKBOOKS, Piece, pieces

NO_ID = "0000000"
"""Import id of a file that is read and not imported."""
_AHEAD = timedelta(days=1, seconds=1)
"""Longer than any interval: what follows the file's last one is seen."""
_PLACED = 0.5
"""Share of the work on a large file that is done when all its rows are set down."""

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
    """Share of the work done, 0..1."""
    _runs: Runs | None = None

    def frames(self) -> Generator[pl.DataFrame]:
        """Yield READING rows, each frame by time, then meter, and of each meter later than before.

        While a large file is set down, frames are empty: `done` can be told. Close the generator,
        or temporary files stay until it is collected.

        Raises:
            FileError: a column is missing, the file is no table, or there is no room to sort it.
        """
        self.sieve.stamp = self.mapping.time.column
        self.sieve.figure = self.mapping.values[0].column
        if every := self.mapping.time.every_minutes:
            names = [one.quantity for one in self.mapping.values]
            names.sort(key=lambda name: name != COUNTERS[0])
            self._runs = Runs(names, timedelta(minutes=every))
        with Spool() as spool:
            yield from self._read(spool)
            taken = 0
            for number, rows in enumerate(spool.windows(), 1):
                taken += rows.height
                self.done = _PLACED + (1.0 - _PLACED) * taken / spool.rows
                yield self._readings(rows, number)
        self.done = 1.0

    def _read(self, spool: Spool) -> Iterator[pl.DataFrame]:
        """Yield the readings of a file of one piece; set down the rows of a larger one."""
        unclear: list[pl.DataFrame] = []
        with closing(pieces(self.path, self.mapping, self.cells)) as read:
            for piece in read:
                rows, doubled = self._placed(piece)
                if piece.whole:
                    self.done = 1.0
                    yield self._readings(pl.concat([rows, self._twice(doubled)]), 0)
                    return
                spool.put(self._once(rows, "measured_at", "meter_id"))
                unclear.append(doubled)
                self.done = _PLACED * piece.done
                yield empty().select(
                    *KEY, "received_at", "source", *(one.quantity for one in self.mapping.values)
                )
        # The two halves of a doubled hour may lie in different pieces.
        spool.put(self._once(self._twice(pl.concat(unclear)), "measured_at", "meter_id"))

    def _placed(self, piece: Piece) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the rows with numbers and instants, and those in an hour the zone has twice."""
        try:
            return self._place(piece)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            if not self.path.suffix.lower() == ".parquet":
                raise  # all other cells are text
            kinds = ", ".join(f"{name} {kind}" for name, kind in piece.rows.schema.items())
            raise FileError(
                f"{self.path}: its columns are not what the mapping takes them for: {kinds}"
            ) from error

    def _place(self, piece: Piece) -> tuple[pl.DataFrame, pl.DataFrame]:
        if piece.torn.height:
            torn = piece.torn.with_columns(meter_id=pl.lit(""), stamp=pl.lit(""), column=pl.lit(""))
            self.sieve.refuse(torn, pl.lit(Reason.COLUMN_COUNT.value), pl.col("value"))
        workbook = self.path.suffix.lower() in WORKBOOKS
        rows = filecells.long(piece.rows, self.mapping, self.one_meter, self.zones, self.sieve)
        rows = filecells.numbers(rows, self.mapping, self.sieve, workbook=workbook)
        return fileclock.instants(
            rows, self.mapping, self.zones or {}, self.now, self.sieve, workbook=workbook
        )

    def _twice(self, doubled: pl.DataFrame) -> pl.DataFrame:
        return fileclock.twice(doubled, self.mapping, self.now, self.sieve)

    def _once(self, rows: pl.DataFrame, *order: str) -> pl.DataFrame:
        """Return the rows by the two columns of their key; of a key that comes again, the first."""
        rows = rows.sort(*order, "line", maintain_order=True)
        fresh = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(1)) for name in KEY)
        return self.sieve.keep(rows, fresh, Reason.DUPLICATE_KEY, self._figure())

    def _readings(self, rows: pl.DataFrame, number: int) -> pl.DataFrame:
        rows = self._once(rows, *KEY)
        if self._runs is None:
            form = pl.lit(int(Form.REGISTER)).alias("form")
            made = rows.select(*KEY, form, *(one.quantity for one in self.mapping.values))
        else:
            made = self._runs.registers(rows, self._beside(rows), self.sieve)
        # A later frame is received later: what it says of a key it shares stands.
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
