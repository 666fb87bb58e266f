"""Load indices (负荷指标) of a meter or site by local day, month and year: pure, from DAY rows.

Formulas: domain section 5 (负荷率 Pavg/Pmax, 峰谷差率 (Pmax-Pmin)/Pmax, 最大负荷利用小时 W/Pmax;
recalled there). Pavg, Pmax and Pmin are of 15-minute block demand. Power drawn between two days'
rows is not lost: a period's figures are those of all its blocks, not means of days.
"""

from datetime import datetime
from enum import StrEnum

import polars as pl

from collector.reading import UTC_US
from processors.history.days import bounded, period_rows
from processors.interval import BLOCK

BLOCK_H = BLOCK.seconds / 3600


class Length(StrEnum):
    """How long a period is, in the site's time zone."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"

    @property
    def offset(self) -> str:
        """Return the length as polars writes it."""
        return {"day": "1d", "month": "1mo", "year": "1y"}[self.value]


class Why(StrEnum):
    """Why a figure is not stated."""

    NO_DATA = "no_data"
    """Not one block states energy."""
    LOW_COVERAGE = "low_coverage"
    """Measurement supports less than the wanted share of the blocks that have ended."""
    NO_LOAD = "no_load"
    """The greatest demand is zero: ratios to it do not exist."""
    RUNNING = "running"
    """The period is not over: it cannot be compared with a whole one."""
    NO_LAST_YEAR = "no_last_year"
    LAST_YEAR_LOW_COVERAGE = "last_year_low_coverage"
    NO_LABEL = "no_label"
    """Energy of blocks for which no tariff period is known."""


KEY: dict[str, pl.DataType] = {"meter_id": pl.String(), "day": pl.Date()}
"""`meter_id` a meter, or the site whose main meters were summed; `day` the period's first."""

RESTS_ON: dict[str, pl.DataType] = {
    "blocks": pl.Int32(),
    "blocks_expected": pl.Int32(),
    "coverage": pl.Float64(),
    "estimated_share": pl.Float64(),
    "reason": pl.String(),
}
"""`blocks` with energy that were used, of `blocks_expected` that have ended (92 and 100 on the
days clocks change); `coverage` 0..1 of the latter that measurement supports, an absent one
counting 0; `estimated_share` 0..1 of the energy; `reason` (Why) if figures are null for it."""

INDICES: dict[str, pl.DataType] = (
    KEY
    | {
        "start": UTC_US,
        "end": UTC_US,
        "complete": pl.Boolean(),
        "energy_kwh": pl.Float64(),
        "max_block_demand_kw": pl.Float64(),
        "max_block_at": UTC_US,
        "max_demand_kw": pl.Float64(),
        "max_demand_at": UTC_US,
        "min_demand_kw": pl.Float64(),
        "mean_demand_kw": pl.Float64(),
        "load_factor": pl.Float64(),
        "peak_valley_kw": pl.Float64(),
        "peak_valley_ratio": pl.Float64(),
        "utilisation_h": pl.Float64(),
        "mean_day_load_factor": pl.Float64(),
        "max_day_peak_valley_kw": pl.Float64(),
        "days": pl.Int32(),
        "days_expected": pl.Int32(),
    }
    | RESTS_ON
    | {"computed_at": UTC_US}
)
"""One row a meter and period between its first and last with data. Stated whatever the coverage,
as what is known so far: `energy_kwh`, `max_block_demand_kw` (kW) with `max_block_at` (start of the
block), `max_demand_kw` (sliding; no more than block demand, a lower bound, where readings are
sparse) with `max_demand_at` (end of the window). Null below the minimum coverage: `min_demand_kw`;
`mean_demand_kw` energy over the hours of the blocks used; `load_factor` 负荷率 mean over maximum
block demand; `peak_valley_kw` 峰谷差 and `peak_valley_ratio` 峰谷差率; `utilisation_h`
最大负荷利用小时 energy over maximum block demand (h) = load factor x hours of the blocks used;
`mean_day_load_factor` 平均日负荷率 and `max_day_peak_valley_kw` 最大日峰谷差 over the days that
are covered. `days` with energy, of `days_expected` in the period; `complete`: it is over. Power
fed back is not counted (import only)."""

_EPS = 1e-9


def indices(
    days: pl.DataFrame, zones: pl.DataFrame, length: Length, now: datetime, min_coverage: float
) -> pl.DataFrame:
    """Return the INDICES rows of every period the DAY rows lie in, and of those in between.

    Args:
        days: latest DAY rows of whole periods; of a site: `subjects.site_days`.
        zones: `meter_id`, `timezone`; meters absent here have no rows.
        length: of the periods.
        now: blocks that have ended by then are expected.
        min_coverage: 0..1, below which figures are null.
    """
    found = period_rows(days, zones, now, length.offset).drop("start", "end", "timezone")
    whole = _between(found, zones, length)
    daily = _daily(days, length, min_coverage)
    span = pl.col("end") - pl.col("start")
    rows = (
        whole.join(found, on=list(KEY), how="left")
        .join(daily, on=list(KEY), how="left")
        .with_columns(
            pl.coalesce("blocks_expected", span.dt.total_seconds() // BLOCK.seconds),
            pl.col("blocks", "coverage", "days").fill_null(0),
            complete=pl.col("end") <= now,
        )
    )
    judged = rows.with_columns(reason=lacking(min_coverage)).with_columns(_figures())
    return judged.select(pl.col(n).cast(t) for n, t in INDICES.items()).sort(list(KEY))


def _between(found: pl.DataFrame, zones: pl.DataFrame, length: Length) -> pl.DataFrame:
    """Return KEY, start, end of all periods from each meter's first to its last."""
    first, last = pl.col("day").min().alias("first"), pl.col("day").max().alias("last")
    spans = found.group_by("meter_id").agg(first, last)
    each = pl.date_ranges("first", "last", length.offset).alias("day")
    rows = spans.select("meter_id", each).explode("day", empty_as_null=True)
    return bounded(rows.join(zones.select("meter_id", "timezone"), on="meter_id"), length.offset)


def _daily(days: pl.DataFrame, length: Length, min_coverage: float) -> pl.DataFrame:
    """Return what is a mean or maximum over days, of the days that are covered."""
    covered = days.filter(pl.col("coverage") >= min_coverage - _EPS)
    swing = pl.col("max_block_demand_kw") - pl.col("min_demand_kw")
    return covered.group_by("meter_id", pl.col("day").dt.truncate(length.offset)).agg(
        pl.col("load_factor").mean().alias("mean_day_load_factor"),
        swing.max().alias("max_day_peak_valley_kw"),
    )


def lacking(min_coverage: float) -> pl.Expr:
    """Return why figures are null (NO_DATA, LOW_COVERAGE, NO_LOAD), null if they are not."""
    top = pl.col("max_block_demand_kw")
    return (
        pl.when(pl.col("blocks") == 0)
        .then(pl.lit(Why.NO_DATA.value))
        .when(pl.col("coverage") < min_coverage - _EPS)
        .then(pl.lit(Why.LOW_COVERAGE.value))
        .when(top <= 0)
        .then(pl.lit(Why.NO_LOAD.value))
    )


def _figures() -> list[pl.Expr]:
    energy, top, low = pl.col("energy_kwh"), pl.col("max_block_demand_kw"), pl.col("min_demand_kw")
    hours = pl.col("blocks") * BLOCK_H
    stated = pl.col("reason").is_null() | (pl.col("reason") == Why.NO_LOAD.value)
    ratio = pl.col("reason").is_null()
    return [
        pl.when(stated).then(low).alias("min_demand_kw"),
        pl.when(stated).then(energy / hours).alias("mean_demand_kw"),
        pl.when(stated).then(top - low).alias("peak_valley_kw"),
        pl.when(ratio).then(energy / hours / top).alias("load_factor"),
        pl.when(ratio).then((top - low) / top).alias("peak_valley_ratio"),
        pl.when(ratio).then(energy / top).alias("utilisation_h"),
        pl.when(stated).then(pl.col("mean_day_load_factor")),
        pl.when(stated).then(pl.col("max_day_peak_valley_kw")),
    ]
