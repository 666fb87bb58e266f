"""Year on year (同比) and the profile of the week, of load indices; pure."""

from datetime import datetime

import polars as pl

from processors.history.days import bounded
from processors.indices import BLOCK_H, KEY, Length, Why

YEAR_ON_YEAR: dict[str, pl.DataType] = KEY | {
    "energy_kwh": pl.Float64(),
    "last_energy_kwh": pl.Float64(),
    "energy_change": pl.Float64(),
    "mean_demand_change": pl.Float64(),
    "max_demand_change": pl.Float64(),
    "load_factor_change": pl.Float64(),
    "coverage": pl.Float64(),
    "last_coverage": pl.Float64(),
    "reason": pl.String(),
}
"""One row of INDICES beside the same period of the year before (`last_`): changes are relative
(0.05: 5 % more), that of the load factor a difference. `mean_demand_change` compares the mean
power of the blocks known: unlike energy it is not moved by a 29 February or by gaps.
`max_demand_change` compares block demand. Null with its reason (Why) where either is not whole and
covered. 29 February has no counterpart."""

WEEKDAYS: dict[str, pl.DataType] = KEY | {
    "weekday": pl.Int8(),
    "mean_kwh": pl.Float64(),
    "min_kwh": pl.Float64(),
    "max_kwh": pl.Float64(),
    "mean_demand_kw": pl.Float64(),
    "days": pl.Int32(),
    "days_expected": pl.Int32(),
    "blocks": pl.Int32(),
    "coverage": pl.Float64(),
    "reason": pl.String(),
}
"""One row a period and day of the week (1 Monday .. 7 Sunday). `mean_kwh` a day, least and most,
of the `days` that are over and covered, of `days_expected` that are over; `mean_demand_kw` their
energy over the hours of their `blocks` (a day of 23 hours is no thrifty day); `coverage` 0..1 over
the days expected, an absent one counting 0; null below the minimum, with the reason (Why)."""


def year_on_year(rows: pl.DataFrame) -> pl.DataFrame:
    """Return YEAR_ON_YEAR of each of the INDICES rows; all must be of one length."""
    day = pl.col("day")
    last = rows.select(
        "meter_id",
        (day.dt.year() + 1).alias("year"),
        day.dt.month().alias("month"),
        day.dt.day().alias("date"),
        *(pl.col(name).alias(f"last_{name}") for name in _COMPARED),
    )
    placed = rows.with_columns(year=day.dt.year(), month=day.dt.month(), date=day.dt.day())
    both = placed.join(
        last, on=["meter_id", "year", "month", "date"], how="left", maintain_order="left"
    ).with_columns(reason=_unlike())
    return both.with_columns(
        _change("energy_kwh", "energy_change"),
        _change("mean_demand_kw", "mean_demand_change"),
        _change("max_block_demand_kw", "max_demand_change"),
        pl.when(pl.col("reason").is_null())
        .then(pl.col("load_factor") - pl.col("last_load_factor"))
        .alias("load_factor_change"),
    ).select(pl.col(n).cast(t) for n, t in YEAR_ON_YEAR.items())


_COMPARED = (
    "energy_kwh",
    "mean_demand_kw",
    "max_block_demand_kw",
    "load_factor",
    "coverage",
    "reason",
)


def _unlike() -> pl.Expr:
    own, last = pl.col("reason"), pl.col("last_reason")
    return (
        pl.when(~pl.col("complete"))
        .then(pl.lit(Why.RUNNING.value))
        .when(own.is_in([Why.NO_DATA.value, Why.LOW_COVERAGE.value]))
        .then(own)
        .when(pl.col("last_coverage").is_null() | (last == Why.NO_DATA.value))
        .then(pl.lit(Why.NO_LAST_YEAR.value))
        .when(last == Why.LOW_COVERAGE.value)
        .then(pl.lit(Why.LAST_YEAR_LOW_COVERAGE.value))
        .when(last == Why.NO_LOAD.value)
        .then(pl.lit(Why.NO_LOAD.value))
    )


def _change(name: str, named: str) -> pl.Expr:
    before = pl.col(f"last_{name}")
    sound = pl.col("reason").is_null() & (before > 0)
    return pl.when(sound).then(pl.col(name) / before - 1.0).alias(named)


def weekdays(
    days: pl.DataFrame, zones: pl.DataFrame, length: Length, now: datetime, min_coverage: float
) -> pl.DataFrame:
    """Return the WEEKDAYS rows of every period the DAY rows lie in.

    Args:
        days: latest DAY rows of whole periods.
        zones: `meter_id`, `timezone`; meters absent here have no rows.
        length: MONTH or YEAR.
        now: days that are over by then are expected.
        min_coverage: 0..1, of a day to be used and of a weekday's days to be stated.
    """
    expected = _calendar(days, zones, length, now)
    weekday = pl.col("day").dt.weekday().alias("weekday")
    over = days.filter(pl.col("end") <= now)
    found = over.group_by("meter_id", pl.col("day").dt.truncate(length.offset), weekday).agg(
        *_of_days(pl.col("coverage") >= min_coverage - 1e-9), pl.col("coverage").sum()
    )
    rows = expected.join(found, on=[*KEY, "weekday"], how="left").with_columns(
        pl.col("days", "blocks").fill_null(0),
        pl.col("coverage").fill_null(0.0) / pl.col("days_expected"),
    )
    low = pl.col("coverage") < min_coverage - 1e-9
    none = pl.col("coverage") == 0
    reason = pl.when(none).then(pl.lit(Why.NO_DATA.value)).when(low | (pl.col("days") == 0))
    rows = rows.with_columns(reason=reason.then(pl.lit(Why.LOW_COVERAGE.value)))
    figures = ("mean_kwh", "min_kwh", "max_kwh", "mean_demand_kw")
    return (
        rows.with_columns(pl.when(pl.col("reason").is_null()).then(pl.col(figures)))
        .select(pl.col(n).cast(t) for n, t in WEEKDAYS.items())
        .sort(*KEY, "weekday")
    )


def _of_days(used: pl.Expr) -> list[pl.Expr]:
    energy, blocks = pl.col("energy_kwh").filter(used), pl.col("blocks").filter(used)
    return [
        energy.mean().alias("mean_kwh"),
        energy.min().alias("min_kwh"),
        energy.max().alias("max_kwh"),
        (energy.sum() / (blocks.sum() * BLOCK_H)).alias("mean_demand_kw"),
        used.sum().alias("days"),
        blocks.sum().alias("blocks"),
    ]


def _calendar(
    days: pl.DataFrame, zones: pl.DataFrame, length: Length, now: datetime
) -> pl.DataFrame:
    """Return KEY, weekday and `days_expected`: the days of each meter's periods that are over."""
    first = pl.col("day").dt.truncate(length.offset)
    periods = (
        days.join(zones.select("meter_id", "timezone"), on="meter_id")
        .select("meter_id", "timezone", first.alias("first"))
        .unique()
    )
    after = pl.col("first").dt.offset_by(length.offset)
    dates = (
        periods.select("timezone", "first")
        .unique()
        .with_columns(pl.date_ranges("first", after, closed="left").alias("day"))
        .explode("day", empty_as_null=True)
    )
    over = bounded(dates).filter(pl.col("end") <= now)
    count = over.group_by("timezone", "first", pl.col("day").dt.weekday().alias("weekday")).agg(
        pl.len().alias("days_expected")
    )
    return periods.join(count, on=["timezone", "first"]).select(
        "meter_id", pl.col("first").alias("day"), "weekday", "days_expected"
    )
