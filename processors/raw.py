"""Before validation beside after it: what the register itself said, and whether the sums agree."""

import numpy as np
import polars as pl

from collector.imported import standing
from collector.reading import UTC_US
from processors.book import Book
from processors.history.days import local
from processors.limits import Floats, Ints
from processors.samples import Samples, arrange, code_of, to_samples

RAW: dict[str, pl.DataType] = {
    "raw_register_start_kwh": pl.Float64(),
    "raw_register_end_kwh": pl.Float64(),
    "raw_energy_kwh": pl.Float64(),
}
"""The register at a block's boundaries, on the straight line between the readings around them as
received, nothing left out or repaired, and its difference: it may be negative, or absurd. Null
where no reading lies on either side."""

SUM_CHECK: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "day": pl.Date(),
    "blocks": pl.Int64(),
    "missing_blocks": pl.Int64(),
    "estimated_blocks": pl.Int64(),
    "flags": pl.List(pl.String()),
    "raw_register_start_kwh": pl.Float64(),
    "raw_register_end_kwh": pl.Float64(),
    "register_difference_kwh": pl.Float64(),
    "energy_kwh": pl.Float64(),
    "difference_kwh": pl.Float64(),
    "agrees": pl.Boolean(),
}
"""One row a meter and local day. `energy_kwh` what its blocks state; `difference_kwh` that minus
the register's raw difference over the same span; `agrees` by the rule `sum_check` (null: off, or
not known). Where they do not agree `flags` says why: a rollover, a reset, a change, an edit."""


def with_raw(intervals: pl.DataFrame, readings: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Return INTERVAL rows with the columns of RAW.

    Args:
        intervals: of meters of the book.
        readings: READING rows of the same meters, reaching beyond the blocks on either side.
        book: numbers the meters.
    """
    samples = arrange(code_of(standing(to_samples(readings, book)), book))
    code = code_of(intervals.select("meter_id"), book)["code"].to_numpy()
    start, end = (
        _register(samples, code, intervals[name].cast(UTC_US).to_physical().to_numpy())
        for name in ("start", "end")
    )
    told = dict(zip(RAW, (start, end, end - start), strict=True))
    return intervals.with_columns(
        pl.Series(name, values, dtype=pl.Float64).fill_nan(None) for name, values in told.items()
    )


def sum_check(rows: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Return SUM_CHECK rows of what `with_raw` returned."""
    placed = local(rows, book.meters).with_columns(pl.col("meter_id").cast(pl.String))
    limits = book.meters.select("meter_id", book.rules["sum_kwh"])
    stated = pl.col("energy_kwh")
    days = placed.sort("start").group_by("meter_id", "day").agg(
        pl.len().cast(pl.Int64).alias("blocks"),
        stated.null_count().cast(pl.Int64).alias("missing_blocks"),
        (pl.col("quality") == "estimated").sum().cast(pl.Int64).alias("estimated_blocks"),
        pl.col("flags").explode().drop_nulls().unique().sort(),
        pl.col("raw_register_start_kwh").drop_nulls().first(),
        pl.col("raw_register_end_kwh").drop_nulls().last(),
        pl.when(stated.count() > 0).then(stated.sum()).alias("energy_kwh"),
    )  # fmt: skip
    raw = pl.col("raw_register_end_kwh") - pl.col("raw_register_start_kwh")
    apart = pl.col("energy_kwh") - pl.col("register_difference_kwh")
    checked = (
        days.with_columns(register_difference_kwh=raw)
        .with_columns(difference_kwh=apart)
        .join(limits, on="meter_id")
        .with_columns(agrees=pl.col("difference_kwh").abs() <= pl.col("sum_kwh"))
    )
    return checked.select(pl.col(n).cast(kind) for n, kind in SUM_CHECK.items()).sort(
        "meter_id", "day"
    )


def _register(samples: Samples, code: Ints, t: Ints) -> Floats:
    """Return the raw register of meters `code` at instants `t`, NaN outside their readings."""
    has = ~np.isnan(samples.energy)
    owner, at, v = samples.code[has], samples.t[has], samples.energy[has]
    value = np.full(len(t), np.nan)
    if not len(at) or not len(t):
        return value
    base = min(int(at.min()), int(t.min()))
    span = max(int(at.max()), int(t.max())) - base + 1
    place = np.searchsorted(owner * span + (at - base), code * span + (t - base), "right") - 1
    low, high = np.maximum(place, 0), np.minimum(place + 1, len(at) - 1)
    known = (place >= 0) & (owner[low] == code)
    exact, between = known & (at[low] == t), known & (owner[high] == code) & (at[high] > t)
    value[exact] = v[low[exact]]
    rest = np.flatnonzero(between & ~exact)
    share = (t[rest] - at[low[rest]]) / (at[high[rest]] - at[low[rest]])
    value[rest] = v[low[rest]] + (v[high[rest]] - v[low[rest]]) * share
    return value
