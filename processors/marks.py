"""How far each meter has been read, and whether its latest readings leave older ones in doubt."""

import numpy as np
import numpy.typing as npt
import polars as pl

from collector.imported import Form
from collector.reading import UTC_US
from processors.book import Book
from processors.grid import BLOCK_US
from processors.limits import LOOK, NOISE_KWH, Bools
from processors.samples import breaks, code_of, in_order

MARKS: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "watermark": UTC_US,
    "register_kwh": pl.Float64(),
    "doubt": pl.Int64(),
}
"""One row a meter heard. `watermark` the latest instant at which its register was read, and
`register_kwh` what it showed; `doubt` how many more readings may still change what the register's
last fall, repetition or late reading meant: until then closed blocks are looked at anew."""

DOUBT = 3 * LOOK

LATE: dict[str, pl.DataType] = {"meter_id": pl.String(), "first": UTC_US, "last": UTC_US}
"""One row a meter: the earliest and the latest instant whose surroundings must be computed anew."""


def heard(coded: pl.DataFrame, marks: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Return one row a meter whose register was read.

    Args:
        coded: SAMPLE rows of meters of the book, with their `code`.
        marks: schema MARKS, before these rows.
        book: numbers the meters.

    Returns:
        `meter_id, oldest, newest` (of the rows), `last_kwh` (at the newest), `count`, and `fell`:
        the register fell, from the mark or among the rows, or an instant was told differently.
    """
    told = coded.select("meter_id", "measured_at", "energy_import_kwh", "origin", "code")
    rows = in_order(told.filter(pl.col("energy_import_kwh").is_not_null()))
    code, at = rows["code"].to_numpy(), rows["measured_at"].to_physical().to_numpy()
    value = rows["energy_import_kwh"].to_numpy()
    before = np.full(book.meters.height, -np.inf)
    old = code_of(marks, book)
    before[old["code"].to_numpy()] = old["register_kwh"].to_numpy()
    starts = np.ones(len(code), dtype=bool)
    starts[1:] = code[1:] != code[:-1]
    previous = np.where(starts, before[code], np.roll(value, 1))
    odd = ((value < previous - NOISE_KWH) & ~_begun(rows["origin"].to_numpy(), starts)) | (
        ~starts & (at == np.roll(at, 1)) & (value != previous)
    )
    first = np.flatnonzero(starts)
    last = np.append(first[1:], len(code))[: len(first)] - 1
    return pl.DataFrame(
        {
            "meter_id": rows["meter_id"].gather(first),
            "oldest": rows["measured_at"].gather(first),
            "newest": rows["measured_at"].gather(last),
            "last_kwh": value[last] if len(code) else value,
            "count": last - first + 1,
            "fell": np.logical_or.reduceat(odd, first) if len(code) else odd,
        }
    )


def _begun(origin: npt.NDArray[np.int32], starts: Bools) -> Bools:
    """Return which rows show another register than their meter's row before; `starts`: no row."""
    return np.where(starts, origin % 4 == Form.START, breaks(origin))


def advance(marks: pl.DataFrame, news: pl.DataFrame, late: pl.DataFrame) -> pl.DataFrame:
    """Return MARKS after `news`.

    Args:
        marks: schema MARKS.
        news: what `heard` returned.
        late: schema LATE: meters with readings behind their watermark.

    Returns:
        MARKS with each meter's `last_heard`, `oldest` and `newest` of the news, its closed boundary
        before and after (`closed_before`, `closed_after`, microseconds), and `uneasy`: its closed
        blocks must be looked at.
    """
    both = marks.join(news, on="meter_id", how="full", coalesce=True)
    behind = pl.col("meter_id").is_in(late["meter_id"].implode())
    boundary = BLOCK_US * (pl.col("watermark").to_physical() // BLOCK_US)
    further = pl.col("newest") > pl.col("watermark")
    ahead = further.fill_null(pl.col("newest").is_not_null())
    odd = pl.col("fell").fill_null(value=False) | behind
    doubt = pl.col("doubt").fill_null(0)
    return both.with_columns(
        pl.col("watermark").alias("last_heard"),
        boundary.alias("closed_before"),
        (pl.col("count").is_not_null() & (odd | (doubt > 0))).alias("uneasy"),
        pl.when(odd)
        .then(DOUBT)
        .otherwise((doubt - pl.col("count").fill_null(0)).clip(lower_bound=0))
        .cast(pl.Int64)
        .alias("doubt"),
        pl.when(ahead).then("last_kwh").otherwise("register_kwh").alias("register_kwh"),
        pl.max_horizontal("watermark", "newest").alias("watermark"),
    ).with_columns(boundary.alias("closed_after"))
