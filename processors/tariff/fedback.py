"""Reactive energy fed back (反向无功电量) by block, from readings. Pure.

(83)水电财字第215号 counts it with what is drawn where capacitors feed back: the sum of both
absolutes at the billing point (reference-data/power-factor-adjustment.yaml; recalled, unverified).
Intervals hold what is drawn; only a month's bill asks for the other register, so it is not kept.
"""

from datetime import datetime

import polars as pl

from collector.reading import UTC_US
from processors.book import Book
from processors.step import State, step

FED_BACK: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "start": UTC_US,
    "fed_back_kvarh": pl.Float64(),
}
"""One row a meter and block whose reactive export register is known at both ends (kvarh)."""

_AT_ONCE = 10
"""Meters in the step at a time: a month at 15 s takes it 50 MB each."""


def fed_back(readings: pl.DataFrame, book: Book, now: datetime) -> pl.DataFrame:
    """Return FED_BACK rows; none of meters that do not tell the register.

    The register is taken as the step takes the drawn one: the same values at boundaries, falls,
    withdrawals and limits of what is plausible.

    Args:
        readings: READING rows of the span and some hours on either side, every version received.
        book: the meters.
        now: stamps nothing that is returned.
    """
    if "reactive_export_kvarh" not in readings.columns:
        return pl.DataFrame(schema=FED_BACK)
    told = readings.select("meter_id", "reactive_export_kvarh").drop_nulls()["meter_id"].unique()
    ids = told.sort().to_list()
    parts = [_of(readings, ids[n : n + _AT_ONCE], book, now) for n in range(0, len(ids), _AT_ONCE)]
    return pl.concat([pl.DataFrame(schema=FED_BACK), *parts])


def _of(readings: pl.DataFrame, meters: list[str], book: Book, now: datetime) -> pl.DataFrame:
    mine = readings.filter(pl.col("meter_id").is_in(meters))
    swapped = mine.with_columns(reactive_import_kvarh="reactive_export_kvarh")
    _, result = step(State.empty(), swapped, book, now)
    known = result.intervals.filter(pl.col("reactive_kvarh").is_not_null())
    return known.select("meter_id", "start", fed_back_kvarh="reactive_kvarh")


def with_fed_back(blocks: pl.DataFrame, told: pl.DataFrame, mains: int) -> pl.DataFrame:
    """Add `fed_back_kvarh` (sum over main meters, null if none tells) and `fed_back_whole`.

    Args:
        blocks: of one site.
        told: FED_BACK rows of its main meters.
        mains: how many there are; `fed_back_whole`: all of them tell it.
    """
    sums = told.group_by("start").agg(
        pl.col("fed_back_kvarh").sum(), (pl.len() == mains).alias("fed_back_whole")
    )
    return blocks.join(sums, on="start", how="left").with_columns(
        pl.col("fed_back_whole").fill_null(value=False)
    )
