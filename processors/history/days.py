"""DAY and MONTH rows of a meter: pure, derived from intervals by the site's local days.

Load factor (负荷率) is mean over maximum demand of the period, DL/T 1365 / IEC 60050-691-10-02.
"""

from datetime import datetime

import polars as pl

from collector.reading import UTC_US
from processors.interval import BLOCK, Quality

_FIGURES: dict[str, pl.DataType] = {
    "start": UTC_US,
    "end": UTC_US,
    "energy_kwh": pl.Float64(),
    "max_block_demand_kw": pl.Float64(),
    "max_block_at": UTC_US,
    "max_demand_kw": pl.Float64(),
    "max_demand_at": UTC_US,
    "min_demand_kw": pl.Float64(),
    "load_factor": pl.Float64(),
    "coverage": pl.Float64(),
    "estimated_share": pl.Float64(),
    "zero_share": pl.Float64(),
    "blocks": pl.Int32(),
    "blocks_expected": pl.Int32(),
    "revision": pl.Int32(),
    "computed_at": UTC_US,
    "output_count": pl.Float64(),
}

DAY: dict[str, pl.DataType] = {"meter_id": pl.String(), "day": pl.Date()} | _FIGURES
"""One row a meter and local day with any interval. `start`, `end` its bounds in UTC (23 to 25 h);
`max_block_at` the start of the block of greatest demand, `max_demand_at` the end of the window of
greatest sliding demand (kW), the earlier of equals; `min_demand_kw` the least block demand;
`load_factor` mean block demand of the blocks found over `max_block_demand_kw`; `coverage` 0..1 of
the span of the blocks expected that measurement supports; `estimated_share` 0..1 of the energy that
is estimated; `zero_share` 0..1 of the blocks found whose energy is exactly 0; `blocks` found, those
with energy; `blocks_expected` those that have ended: 92, 96 or 100 once the day is over.
`computed_at` is that of the newest interval used; `output_count` what a counter of output counted,
whose blocks are those with a count. Null, never 0, where nothing is known."""

MONTH: dict[str, pl.DataType] = (
    {"meter_id": pl.String(), "month": pl.Date()}
    | _FIGURES
    | {"days": pl.Int32(), "days_expected": pl.Int32()}
)
"""As DAY, over the local month whose first day is `month`; `days` with energy, of `days_expected`
in the month. `coverage` counts days without a row as not covered."""

USED = (
    "meter_id",
    "start",
    "energy_kwh",
    "demand_kw",
    "max_demand_kw",
    "max_demand_at",
    "coverage",
    "quality",
    "revision",
    "computed_at",
    "output_count",
)
"""The INTERVAL columns a day is made of."""

_BLOCK_US = BLOCK.seconds * 1_000_000
_BLOCK_H = BLOCK.seconds / 3600
_NO_TIME = pl.lit(None, UTC_US)


def local(intervals: pl.DataFrame, zones: pl.DataFrame) -> pl.DataFrame:
    """Add each row's local `day` and `timezone`; meters absent from `zones` are left out.

    Args:
        intervals: any rows with `meter_id` and `start`.
        zones: `meter_id`, `timezone`; other columns are ignored.

    Returns:
        The rows with `meter_id` as an enumeration of the meters in `zones`.
    """
    # as an enumeration a million ids are compared as integers
    coded = pl.col("meter_id").cast(pl.Enum(zones["meter_id"]), strict=False)
    zoned = zones.select(coded, "timezone")
    known = intervals.with_columns(coded).join(zoned, on="meter_id")
    day = pl.lit(None, pl.Date())
    for zone in zones["timezone"].unique():
        here = pl.col("start").dt.convert_time_zone(zone).dt.date()
        day = pl.when(pl.col("timezone") == zone).then(here).otherwise(day)
    return known.with_columns(day.alias("day"))


def bounded(days: pl.DataFrame, length: str = "1d") -> pl.DataFrame:
    """Add `start` and `end` in UTC to rows with `day` and `timezone`; periods are `length` long."""
    parts = [
        part.with_columns(
            start=_midnight(pl.col("day"), str(zone)),
            end=_midnight(pl.col("day").dt.offset_by(length), str(zone)),
        )
        for (zone,), part in days.partition_by("timezone", as_dict=True).items()
    ]
    return pl.concat(parts) if parts else days.with_columns(start=_NO_TIME, end=_NO_TIME)


def _midnight(day: pl.Expr, zone: str) -> pl.Expr:
    """Return the first instant of a local day; where clocks skip midnight, that is 01:00."""
    at = day.cast(pl.Datetime("us"))
    starts = [
        one.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        for one in (at, at.dt.offset_by("1h"))
    ]
    return pl.coalesce(starts).dt.convert_time_zone("UTC")


def day_rows(intervals: pl.DataFrame, zones: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Return the DAY row of each meter and local day that has any interval, revision 0.

    Args:
        intervals: latest INTERVAL rows (columns USED) of whole days, in any order.
        zones: `meter_id`, `timezone`; meters absent here have no days.
        now: what has ended is expected; a block that ended last may still be on its way.
    """
    rows = local(intervals, zones).group_by("meter_id", "day", "timezone").agg(_day_figures())
    whole = bounded(rows).with_columns(blocks_expected=_expected(now))
    return _shaped(_covered(whole), DAY)


def _day_figures() -> list[pl.Expr]:
    energy, demand, start = pl.col("energy_kwh"), pl.col("demand_kw"), pl.col("start")
    sliding = pl.coalesce("max_demand_kw", "demand_kw")
    at = pl.coalesce("max_demand_at", start + BLOCK)
    estimated = energy.filter(pl.col("quality") == Quality.ESTIMATED.value)
    return [
        _total(energy).alias("energy_kwh"),
        demand.max().alias("max_block_demand_kw"),
        start.filter(demand == demand.max()).min().alias("max_block_at"),
        sliding.max().alias("max_demand_kw"),
        at.filter(sliding == sliding.max()).min().alias("max_demand_at"),
        demand.min().alias("min_demand_kw"),
        _ratio(demand.mean(), demand.max()).alias("load_factor"),
        pl.coalesce(
            _ratio(estimated.sum(), energy.sum()), _ratio(estimated.count(), energy.count())
        ).alias("estimated_share"),
        (energy == 0).mean().alias("zero_share"),
        pl.coalesce(energy, "output_count").count().alias("blocks"),
        _total(pl.col("output_count")).alias("output_count"),
        pl.lit(0).alias("revision"),
        pl.col("computed_at").max(),
        pl.col("coverage").sum().alias("_covered"),
        start.max().alias("_last"),
    ]


def month_rows(days: pl.DataFrame, zones: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Return the MONTH rows of the months the DAY rows lie in.

    Args:
        days: latest DAY rows of whole months.
        zones: `meter_id`, `timezone`; meters absent here have no months.
        now: blocks that have ended are expected.
    """
    return _shaped(period_rows(days, zones, now, "1mo").rename({"day": "month"}), MONTH)


def period_rows(
    days: pl.DataFrame, zones: pl.DataFrame, now: datetime, length: str
) -> pl.DataFrame:
    """Return the figures of the local periods the DAY rows lie in, named as in MONTH, unsorted.

    Args:
        days: latest DAY rows of whole periods.
        zones: `meter_id`, `timezone`; meters absent here have no rows.
        now: blocks that have ended are expected.
        length: `1d`, `1mo` or `1y`; `day` is then the period's first local day.
    """
    known = days.join(zones.select("meter_id", "timezone"), on="meter_id")
    placed = known.with_columns(pl.col("day").dt.truncate(length))
    rows = placed.group_by("meter_id", "day", "timezone").agg(_period_figures())
    long = (pl.col("day").dt.offset_by(length) - pl.col("day")).dt.total_days()
    whole = bounded(rows, length).with_columns(blocks_expected=_expected(now), days_expected=long)
    return _covered(whole)


def _period_figures() -> list[pl.Expr]:
    energy, blocks = pl.col("energy_kwh"), pl.col("blocks")
    block, sliding = pl.col("max_block_demand_kw"), pl.col("max_demand_kw")
    return [
        _total(energy).alias("energy_kwh"),
        block.max(),
        pl.col("max_block_at").filter(block == block.max()).min(),
        sliding.max(),
        pl.col("max_demand_at").filter(sliding == sliding.max()).min(),
        pl.col("min_demand_kw").min(),
        _ratio(energy.sum() / (blocks.sum() * _BLOCK_H), block.max()).alias("load_factor"),
        pl.coalesce(
            _ratio((pl.col("estimated_share") * energy).sum(), energy.sum()),
            _ratio((pl.col("estimated_share") * blocks).sum(), blocks.sum()),
        ).alias("estimated_share"),
        _ratio((pl.col("zero_share") * blocks).sum(), blocks.sum()).alias("zero_share"),
        blocks.sum(),
        _total(pl.col("output_count")).alias("output_count"),
        (blocks > 0).sum().alias("days"),
        pl.col("revision").sum(),
        pl.col("computed_at").max(),
        (pl.col("coverage") * pl.col("blocks_expected")).sum().alias("_covered"),
        (pl.col("start") + pl.col("blocks_expected") * BLOCK - BLOCK).max().alias("_last"),
    ]


def _expected(now: datetime) -> pl.Expr:
    """Count the period's blocks that have ended by `now`, or lie before the last one found."""
    start, end = pl.col("start"), pl.col("end")
    ended = pl.min_horizontal(end, pl.lit(now, UTC_US)) - start
    on_its_way = pl.when(end > now).then(1).otherwise(0)
    found = pl.col("_last") + BLOCK - start
    return pl.max_horizontal(_blocks(ended) - on_its_way, _blocks(found))


def _covered(rows: pl.DataFrame) -> pl.DataFrame:
    share = _ratio(pl.col("_covered"), pl.col("blocks_expected"))
    return rows.with_columns(coverage=share.clip(upper_bound=1.0))


def _blocks(span: pl.Expr) -> pl.Expr:
    return span.dt.total_microseconds() // _BLOCK_US


def _total(column: pl.Expr) -> pl.Expr:
    return pl.when(column.count() > 0).then(column.sum())


def _ratio(above: pl.Expr, below: pl.Expr) -> pl.Expr:
    return pl.when(below > 0).then(above / below)


def _shaped(rows: pl.DataFrame, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    return rows.select(pl.col(n).cast(t) for n, t in schema.items()).sort(list(schema)[:2])
