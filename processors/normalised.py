"""Savings at the weather that was (天气归一化): what is compared, and what it adds up to; pure.

    baseline(t) = what the site of the 365 days before would have used at t's temperature
    savings     = Σ (baseline(t) - actual(t))   over the hours or days where both are known

The model is CalTRACK's (`processors.caltrack`). Here are the rows that go into it and the sums that
come out. Only what was measured is compared: estimated energy would compare one model with another.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import polars as pl

from collector.imported import standing
from collector.reading import UTC_US
from processors.interval import Quality

HOUR: dict[str, pl.DataType] = {
    "start": UTC_US,
    "energy_kwh": pl.Float64(),
    "temperature_c": pl.Float64(),
}
"""One row an hour of the span, without holes, sorted. `energy_kwh` null unless all blocks of the
hour were measured; `temperature_c` mean of its readings, null without one."""

NORMALISED: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "start": UTC_US,
    "temperature_c": pl.Float64(),
    "actual_kwh": pl.Float64(),
    "baseline_kwh": pl.Float64(),
    "uncertainty_kwh": pl.Float64(),
}
"""One row an hour or local day of the time judged: `baseline_kwh` null without a temperature,
`uncertainty_kwh` half the width of its 90 % interval."""

FINDING: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "period": pl.String(),
    "finding": pl.String(),
    "disqualifies": pl.Boolean(),
    "text": pl.String(),
    "data": pl.String(),
}
"""What CalTRACK's sufficiency criteria say, in the library's words: `period` baseline or model
(its fit); `data` the figures behind it (JSON)."""

SAVINGS: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "method": pl.String(),
    "station": pl.String(),
    "baseline_start": UTC_US,
    "baseline_end": UTC_US,
    "start": UTC_US,
    "end": UTC_US,
    "verdict": pl.String(),
    "reason": pl.String(),
    "baseline_kwh": pl.Float64(),
    "actual_kwh": pl.Float64(),
    "savings_kwh": pl.Float64(),
    "savings_ratio": pl.Float64(),
    "uncertainty_kwh": pl.Float64(),
    "coverage": pl.Float64(),
    "cvrmse": pl.Float64(),
    "model": pl.String(),
}
"""One row a site. `verdict` sufficient | insufficient: then no figure is stated and `reason` names
the findings. `baseline_kwh`, `actual_kwh` over what is compared, `coverage` 0..1 its share of the
hours or days of [start, end); `savings_ratio` = savings / baseline; `uncertainty_kwh` half the
width of the 90 % interval of the savings, by the root of the sum of squares: a lower bound for
days, which are not independent. `cvrmse` of the fit (hourly: of the worst month), `model` the
library and its edition."""

NOTHING_TO_COMPARE = "nothing_to_compare"
"""Not one hour or day of the time judged has both energy and temperature."""


class Method(StrEnum):
    """How fine the model is."""

    DAILY = "daily"
    """CalTRACK 2 daily: a change-point line of the day's mean temperature."""
    HOURLY = "hourly"
    """CalTRACK 2 hourly: time of week, occupancy and temperature, by month."""


@dataclass(frozen=True, slots=True)
class Span:
    """The two times that are compared: UTC instants of local midnights."""

    zone: str
    baseline_start: datetime
    baseline_end: datetime
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a model says."""

    rows: pl.DataFrame
    """NORMALISED without `site_id`; no rows if the data do not suffice."""
    findings: pl.DataFrame
    """FINDING without `site_id`."""
    cvrmse: float | None
    model: str


def hours(
    blocks: pl.DataFrame, readings: pl.DataFrame, start: datetime, end: datetime
) -> pl.DataFrame:
    """Return HOUR of [start, end).

    Args:
        blocks: latest blocks of one site (`subjects.site_blocks`).
        readings: READING rows of the weather station, any order, repetitions allowed.
        start: a local midnight, in UTC.
        end: another.
    """
    grid = pl.datetime_range(
        start, end, "1h", closed="left", time_unit="us", time_zone="UTC", eager=True
    )
    measured = pl.col("quality") == Quality.MEASURED.value
    energy = (
        blocks.filter(measured, pl.col("energy_kwh").is_not_null())
        .group_by(_hour("start", start))
        .agg(pl.col("energy_kwh").sum(), pl.len().alias("_blocks"))
        .filter(pl.col("_blocks") == 4)  # of 15 minutes
    )
    return (
        grid.alias("start")
        .to_frame()
        .join(energy.select("start", "energy_kwh"), on="start", how="left")
        .join(_temperatures(readings, start), on="start", how="left")
        .select(pl.col(n).cast(t) for n, t in HOUR.items())
        .sort("start")
    )


def _hour(name: str, start: datetime) -> pl.Expr:
    """Return the hour since `start` that a column lies in: the local hour in any zone."""
    lapsed = (pl.col(name) - pl.lit(start)).dt.total_microseconds() // 3_600_000_000
    return (pl.lit(start) + pl.duration(hours=lapsed)).cast(UTC_US).alias("start")


def _temperatures(readings: pl.DataFrame, start: datetime) -> pl.DataFrame:
    if "temperature_c" not in readings.columns or readings.is_empty():
        return pl.DataFrame(schema={"start": UTC_US, "temperature_c": pl.Float64})
    counted = standing(readings) if "source" in readings.columns else readings
    newest = counted.sort("received_at").unique("measured_at", keep="last")
    known = newest.filter(pl.col("temperature_c").is_finite())
    return known.group_by(_hour("measured_at", start)).agg(pl.col("temperature_c").mean())


def days(hourly: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Return HOUR rows of local days: energy null unless every hour of the day was measured."""
    whole = pl.col("energy_kwh").is_not_null().all()
    return (
        hourly.group_by(day=pl.col("start").dt.convert_time_zone(zone).dt.date())
        .agg(
            pl.col("start").min(),
            pl.when(whole).then(pl.col("energy_kwh").sum()).alias("energy_kwh"),
            pl.col("temperature_c").mean(),
        )
        .select(pl.col(n).cast(t) for n, t in HOUR.items())
        .sort("start")
    )


def savings(site_id: str, method: Method, station: str, span: Span, told: Fitted) -> pl.DataFrame:
    """Return the site's SAVINGS row."""
    wrong = told.findings.filter("disqualifies")
    at, actual, base = pl.col("start"), pl.col("actual_kwh"), pl.col("baseline_kwh")
    inside = told.rows.filter(at >= span.start, at < span.end)
    both = inside.filter(actual.is_not_null() & base.is_not_null())
    stated = wrong.is_empty() and not both.is_empty()
    reasons = wrong["finding"].unique(maintain_order=True).to_list()
    if wrong.is_empty() and both.is_empty():
        reasons = [NOTHING_TO_COMPARE]
    figures = both.select(
        base.sum(),
        actual.sum(),
        savings_kwh=base.sum() - actual.sum(),
        savings_ratio=pl.when(base.sum() > 0).then((base.sum() - actual.sum()) / base.sum()),
        uncertainty_kwh=pl.col("uncertainty_kwh").pow(2).sum().sqrt(),
    )
    row = {
        "site_id": site_id,
        "method": method.value,
        "station": station,
        "baseline_start": span.baseline_start,
        "baseline_end": span.baseline_end,
        "start": span.start,
        "end": span.end,
        "verdict": "sufficient" if stated else "insufficient",
        "reason": None if stated else ", ".join(reasons),
        "coverage": both.height / inside.height if inside.height else 0.0,
        "cvrmse": told.cvrmse,
        "model": told.model,
    } | (figures.row(0, named=True) if stated else {})
    return pl.DataFrame([row], schema=SAVINGS)
