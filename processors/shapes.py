"""Shapes of load from blocks: typical days, duration curve, shares of tariff periods; pure.

All take the latest INTERVAL rows of whole periods (or `subjects.site_blocks`), `zones`
(`meter_id`, `timezone`) and a Span, and say by RESTS_ON what they rest on. Blocks that state no
energy are never taken as zero. A period has rows for a meter if any interval of it lies in the
period.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from processors.history.days import bounded, local
from processors.indices import KEY, RESTS_ON, Length, Why
from processors.interval import BLOCK, Quality


@dataclass(frozen=True, slots=True)
class Span:
    """The periods asked for, and how good they must be."""

    first: date
    """First local day; the first of its period."""
    after: date
    """First day that is no longer meant; the first of its period."""
    length: Length
    now: datetime
    """Blocks that have ended by then are expected."""
    min_coverage: float
    """0..1; figures that rest on less are null."""


TYPICAL: dict[str, pl.DataType] = (
    KEY
    | {
        "day_type": pl.String(),
        "clock": pl.Time(),
        "mean_kw": pl.Float64(),
        "min_kw": pl.Float64(),
        "max_kw": pl.Float64(),
    }
    | RESTS_ON
)
"""Typical day (典型日负荷曲线): one row a period, type of day and local clock time (start of the
block): mean, least and greatest block demand (kW) of the blocks known. Where clocks go back, an
hour's clock times come twice a day and both count; where they go forward, none."""

DURATION: dict[str, pl.DataType] = (
    KEY | {"share": pl.Float64(), "hours": pl.Float64(), "demand_kw": pl.Float64()} | RESTS_ON
)
"""Duration curve (持续负荷曲线): `demand_kw` is reached or exceeded for `share` (0..1) of the time
known, `hours` long. Share 0 is the greatest block demand, share 1 the least."""

SHARES: dict[str, pl.DataType] = (
    KEY
    | {
        "tariff_period": pl.String(),
        "energy_kwh": pl.Float64(),
        "share": pl.Float64(),
        "max_block_demand_kw": pl.Float64(),
        "max_block_at": pl.Datetime("us", "UTC"),
    }
    | RESTS_ON
)
"""One row a period and tariff period: `energy_kwh` as stated, its `share` (0..1) of all energy
stated in the period, greatest block demand (kW) and the start of its block. Energy of blocks
without a label has the label null. Shares are null if a label's coverage, or the whole period's,
is too low."""


def slots(zones: pl.DataFrame, span: Span) -> pl.DataFrame:
    """Return the blocks of the span that have ended, per zone: timezone, start, date, day, clock.

    `date` is the local day, `day` its period's first, `clock` the local time the block starts.
    """
    days = pl.date_range(span.first, span.after, closed="left", eager=True).alias("day").to_frame()
    names = zones.select("timezone").unique()
    whole = bounded(names.join(days, how="cross"))
    until = pl.min_horizontal("end", pl.lit(span.now, pl.Datetime("us", "UTC")))
    starts = pl.datetime_ranges("start", until - BLOCK, BLOCK)
    rows = whole.filter(until - pl.col("start") >= BLOCK).select(
        "timezone", date="day", day=pl.col("day").dt.truncate(span.length.offset), start=starts
    )
    return _clocked(rows.explode("start"), zones)


def _clocked(rows: pl.DataFrame, zones: pl.DataFrame) -> pl.DataFrame:
    clock = pl.lit(None, pl.Time())
    for zone in zones["timezone"].unique():
        here = pl.col("start").dt.convert_time_zone(zone).dt.time()
        clock = pl.when(pl.col("timezone") == zone).then(here).otherwise(clock)
    return rows.with_columns(clock=clock)


def _placed(intervals: pl.DataFrame, zones: pl.DataFrame, span: Span) -> pl.DataFrame:
    """Return the span's rows with local date, period and clock, and how much is estimated."""
    rows = local(intervals, zones).rename({"day": "date"})
    inside = rows.filter((pl.col("date") >= span.first) & (pl.col("date") < span.after))
    guessed = pl.when(pl.col("quality") == Quality.ESTIMATED.value).then("energy_kwh")
    return _clocked(inside, zones).with_columns(
        pl.col("meter_id").cast(pl.String),
        day=pl.col("date").dt.truncate(span.length.offset),
        guessed=guessed,
    )


_RESTS = (
    pl.col("energy_kwh").count().alias("blocks"),
    pl.col("coverage").sum().alias("covered"),
    pl.col("guessed").sum(),
    pl.col("guessed").count().alias("guesses"),
    pl.col("energy_kwh").sum().alias("stated_kwh"),
)


def _rested(rows: pl.DataFrame, span: Span) -> pl.DataFrame:
    """Fill in RESTS_ON from what `_RESTS` gathered and `blocks_expected`."""
    share = pl.col("guessed") / pl.col("stated_kwh")
    none = pl.col("guesses") / pl.col("blocks")  # of no energy at all: by count
    rows = rows.with_columns(
        pl.col("blocks").fill_null(0),
        coverage=(pl.col("covered").fill_null(0.0) / pl.col("blocks_expected")).clip(0.0, 1.0),
        estimated_share=pl.when(pl.col("stated_kwh") > 0).then(share).when(pl.col("blocks") > 0)
        .then(none),
    )  # fmt: skip
    low = pl.col("coverage") < span.min_coverage - 1e-9
    reason = pl.when(pl.col("blocks") == 0).then(pl.lit(Why.NO_DATA.value))
    return rows.with_columns(reason=reason.when(low).then(pl.lit(Why.LOW_COVERAGE.value)))


def _stated(*names: str) -> pl.Expr:
    return pl.when(pl.col("reason").is_null()).then(pl.col(names))


def _shape(rows: pl.DataFrame, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    return rows.select(pl.col(n).cast(t) for n, t in schema.items())


def typical_days(
    intervals: pl.DataFrame, zones: pl.DataFrame, types: pl.DataFrame, span: Span
) -> pl.DataFrame:
    """Return TYPICAL rows.

    Args:
        intervals: as of the module.
        zones: as of the module.
        types: `timezone`, `date`, `day_type` (working, rest, holiday, ...) of the days of the span;
            days it lacks are left out.
        span: the periods.
    """
    typed = types.select("timezone", "date", pl.col("day_type").cast(pl.String))
    of = ["day", "day_type", "clock"]
    expected = (
        slots(zones, span)
        .join(typed, on=["timezone", "date"])
        .group_by("timezone", *of)
        .agg(pl.len().alias("blocks_expected"))
    )
    known = _placed(intervals, zones, span).join(typed, on=["timezone", "date"])
    kw = pl.col("demand_kw")
    found = known.group_by("meter_id", *of).agg(
        kw.mean().alias("mean_kw"), kw.min().alias("min_kw"), kw.max().alias("max_kw"), *_RESTS
    )
    subjects = known.select("meter_id", "timezone", "day").unique()
    rows = subjects.join(expected, on=["timezone", "day"]).join(
        found, on=["meter_id", *of], how="left"
    )
    told = _rested(rows, span).with_columns(_stated("mean_kw", "min_kw", "max_kw"))
    return _shape(told, TYPICAL).sort("meter_id", *of)


def weekday_types(zones: pl.DataFrame, span: Span) -> pl.DataFrame:
    """Return `types` for `typical_days` by weekday alone: `working` or `rest`."""
    days = pl.date_range(span.first, span.after, closed="left", eager=True).alias("date")
    rest = pl.col("date").dt.weekday() >= 6
    kind = pl.when(rest).then(pl.lit("rest")).otherwise(pl.lit("working"))
    names = zones.select("timezone").unique()
    return names.join(days.to_frame().with_columns(day_type=kind), how="cross")


def duration(
    intervals: pl.DataFrame, zones: pl.DataFrame, span: Span, steps: int = 100
) -> pl.DataFrame:
    """Return DURATION rows: `steps` + 1 points, share k / steps of the n blocks known.

    At share k / steps stands the ceil(k n / steps)-th greatest block demand, the first at k = 0:
    the demand that so many blocks reach.
    """
    expected = _expected(zones, span)
    kw = pl.col("demand_kw").drop_nulls().sort(descending=True).alias("ranked")
    known = _placed(intervals, zones, span)
    found = known.group_by("meter_id", "timezone", "day").agg(kw, *_RESTS)
    told = _rested(found.join(expected, on=["timezone", "day"]), span)
    n, ks = pl.col("blocks").cast(pl.Int64), range(steps + 1)
    ranks = pl.concat_list(_rank(k, n, steps) for k in ks)
    picked = told.with_columns(
        demand_kw=pl.col("ranked").list.gather(ranks, null_on_oob=True),
        share=pl.lit([k / steps for k in ks]),
    ).drop("ranked")  # before it is exploded: a year's list is long
    rows = picked.explode("demand_kw", "share").with_columns(
        hours=pl.col("share") * n * (BLOCK / timedelta(hours=1))
    )
    return _shape(rows.with_columns(_stated("demand_kw")), DURATION).sort(*KEY, "share")


def _rank(k: int, n: pl.Expr, steps: int) -> pl.Expr:
    """Return the place of the ceil(k n / steps)-th of n, counted from 0; 0 for the 0-th."""
    return ((n * k + steps - 1) // steps - 1).clip(lower_bound=0)


def _expected(zones: pl.DataFrame, span: Span) -> pl.DataFrame:
    found = slots(zones, span).group_by("timezone", "day")
    return found.agg(pl.len().alias("blocks_expected"))


def period_shares(
    intervals: pl.DataFrame, zones: pl.DataFrame, labels: pl.DataFrame, span: Span
) -> pl.DataFrame:
    """Return SHARES rows.

    Args:
        intervals: as of the module.
        zones: as of the module.
        labels: `meter_id`, `start`, `tariff_period` of all blocks of the span, whether measured or
            not (`slots` lays them out): a label's coverage is counted over them.
        span: the periods.
    """
    known = _placed(intervals, zones, span)
    labelled = labels.select("meter_id", "start", pl.col("tariff_period").cast(pl.String))
    blocks = known.join(labelled, on=["meter_id", "start"], how="left")
    of = [*KEY, "tariff_period"]
    kw = pl.col("demand_kw")
    found = blocks.group_by(of).agg(
        *_RESTS,
        pl.when(kw.count() > 0).then(pl.col("energy_kwh").sum()),
        kw.max().alias("max_block_demand_kw"),
        pl.col("start").filter(kw == kw.max()).min().alias("max_block_at"),
    )
    expected = slots(zones, span).join(zones.select("meter_id", "timezone"), on="timezone")
    counted = (
        expected.join(labelled, on=["meter_id", "start"], how="left")
        .join(known.select(*KEY).unique(), on=list(KEY), how="semi")
        .group_by(of)
        .agg(pl.len().alias("blocks_expected"))
    )
    told = _rested(counted.join(found, on=of, how="left", nulls_equal=True), span)
    return _shape(_shared(told, span), SHARES).sort(of)


def _shared(rows: pl.DataFrame, span: Span) -> pl.DataFrame:
    """Add each label's share, null where the label or the period is covered too little."""
    expected = pl.col("blocks_expected")
    whole = ((pl.col("coverage") * expected).sum() / expected.sum()).over(list(KEY))
    total = pl.col("energy_kwh").sum().over(list(KEY))
    unlabelled = pl.col("tariff_period").is_null()
    low = whole < span.min_coverage - 1e-9
    reason = (
        pl.when(unlabelled)
        .then(pl.lit(Why.NO_LABEL.value))
        .when(pl.col("reason").is_not_null())
        .then("reason")
        .when(low)
        .then(pl.lit(Why.LOW_COVERAGE.value))
        .when(total <= 0)
        .then(pl.lit(Why.NO_LOAD.value))
    )
    share = pl.when(reason.is_null()).then(pl.col("energy_kwh") / total)
    return rows.with_columns(reason=reason, share=share)
