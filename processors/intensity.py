"""Energy intensity (单耗): energy over a denominator of the same span, with what it rests on.

    per_unit = Σ_meters  Σ_days energy / Σ_days (denominator of the day × share of the day known)

summed over the days that count. A day counts where energy is stated and the meter did not read zero
throughout: months of zeros before commissioning shorten the span, they do not make a building look
efficient. Numerator and denominator thus always have the same span, and a meter that was silent for
a month is taken at its own mean. Source of the rule: GB/T 2589-2020 and GB/T 51161-2016 divide a
period's energy by that period's output or area; how to treat gaps is this product's own choice,
stated with each figure as coverage.
"""

from collections.abc import Sequence
from datetime import timedelta

import polars as pl

from processors.claims import Claim, Period, area_claim, mains, output_claims
from processors.interval import BLOCK

__all__ = ["Claim", "Period", "area_claim", "mains", "measure", "output_claims"]

INTENSITY: dict[str, pl.DataType] = {
    "claim": pl.Int32(),
    "energy_kwh": pl.Float64(),
    "per_unit_kwh": pl.Float64(),
    "stated_per_unit_kwh": pl.Float64(),
    "coverage": pl.Float64(),
    "estimated_share": pl.Float64(),
    "days_counted": pl.Int32(),
    "zero_days": pl.Int32(),
    "silent_meters": pl.List(pl.String()),
}
"""One row a claim. `energy_kwh` of the days that count, nothing extrapolated; `per_unit_kwh` by the
formula above; `stated_per_unit_kwh` = energy_kwh over the denominator of the whole span, a lower
bound; `coverage` 0..1 of the meter-days supported by measurement, weighted by each meter's mean
energy; `estimated_share` 0..1 of energy_kwh; `days_counted`, `zero_days` meter-days;
`silent_meters` those without a single day that counts. Null where nothing is known."""

_RATIOS = pl.col("per_unit_kwh", "stated_per_unit_kwh", "coverage", "estimated_share")
"""Rounded far below any meter's resolution: the order in which threads add must not show."""
_BLOCK_US = BLOCK.seconds * 1e6  # a float: 96 blocks would overflow the 32 bits of `blocks`


def measure(days: pl.DataFrame, claims: Sequence[Claim]) -> pl.DataFrame:
    """Compute each claim's intensity.

    Args:
        days: DAY rows (latest revision, one a meter and local day) covering the claims' spans.
        claims: the denominators; row `claim` of the result is the index in this sequence.

    Returns:
        INTENSITY, one row a claim, in order.
    """
    by_meter = _by_meter(days, claims)
    weight = pl.col("energy_kwh") / pl.col("known_days")
    per_claim = by_meter.group_by("claim").agg(
        energy_kwh=_sum("energy_kwh"),
        per_unit_kwh=_sum(pl.col("energy_kwh") / pl.col("denominator")),
        covered=_sum(weight * pl.col("covered_days")) / _sum(weight),
        estimated_share=_sum("estimated_kwh") / _sum("energy_kwh"),
        days_counted=pl.col("days_counted").sum(),
        zero_days=pl.col("zero_days").sum(),
        silent_meters=pl.col("meter_id").filter(pl.col("days_counted") == 0).sort(),
    )
    return (
        _whole(claims)
        .join(per_claim, on="claim", how="left", maintain_order="left")
        .with_columns(
            stated_per_unit_kwh=pl.col("energy_kwh") / pl.col("whole"),
            coverage=(pl.col("covered") / pl.col("expected")).fill_nan(None).fill_null(0.0),
            estimated_share=pl.col("estimated_share").fill_nan(None),
        )
        .with_columns(pl.col("energy_kwh").round(6), _RATIOS.round(9))
        .select(pl.col(name).cast(kind) for name, kind in INTENSITY.items())
    )


def _whole(claims: Sequence[Claim]) -> pl.DataFrame:
    """Return the whole of each claim, known or not: claim, expected (days), whole (denominator)."""
    rows = [
        (n, one.days_expected, sum((e - s).days * per_day for s, e, per_day in one.segments))
        for n, one in enumerate(claims)
    ]
    kinds = {"claim": pl.Int32(), "expected": pl.Int32(), "whole": pl.Float64()}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def _sum(value: str | pl.Expr) -> pl.Expr:
    """Return the sum of what is known, null (never 0) if nothing is."""
    expr = pl.col(value) if isinstance(value, str) else value
    return pl.when(expr.count() > 0).then(expr.sum())


def _by_meter(days: pl.DataFrame, claims: Sequence[Claim]) -> pl.DataFrame:
    """Sum the days that count: one row a claim and meter, null where none counts."""
    spans = _spans_of(claims)
    sums = (
        spans.lazy()
        .join(_known(days), on="meter_id")
        .filter(pl.col("day").is_between("first", "last"))
        .group_by("claim", "meter_id")
        .agg(
            _sum("energy_kwh").alias("energy_kwh"),
            _sum("estimated_kwh").alias("estimated_kwh"),
            _sum(pl.col("per_day") * pl.col("known")).alias("denominator"),
            _sum("known").alias("known_days"),
            _sum("coverage").alias("covered_days"),
            pl.col("energy_kwh").count().alias("days_counted"),
            pl.col("zero").sum().alias("zero_days"),
        )
        .collect()
    )
    meters = spans.select("claim", "meter_id").unique(maintain_order=True)
    return meters.join(sums, on=["claim", "meter_id"], how="left").with_columns(
        pl.col("days_counted", "zero_days").fill_null(0)
    )


def _known(days: pl.DataFrame) -> pl.LazyFrame:
    """Return what each day contributes; all null where it does not count."""
    stated = pl.col("energy_kwh").is_not_null() & (pl.col("blocks") > 0)
    zero = stated & (pl.col("zero_share") >= 1.0).fill_null(value=False)
    length = (pl.col("end") - pl.col("start")).dt.total_microseconds()
    values = {
        "energy_kwh": pl.col("energy_kwh"),
        "estimated_kwh": pl.col("energy_kwh") * pl.col("estimated_share").fill_null(0.0),
        "known": (pl.col("blocks") * _BLOCK_US / length).clip(0.0, 1.0),
        "coverage": pl.col("coverage"),
    }
    return days.lazy().select(
        "meter_id",
        "day",
        *(pl.when(stated & ~zero).then(value).alias(name) for name, value in values.items()),
        zero=zero,
    )


def _spans_of(claims: Sequence[Claim]) -> pl.DataFrame:
    """Return one row a claim, meter and span of days: claim, meter_id, first, last, per_day."""
    rows = [
        (n, meter, start, end - timedelta(days=1), per_day)
        for n, one in enumerate(claims)
        for meter in one.rows
        for start, end, per_day in one.segments
    ]
    kinds = {
        "claim": pl.Int32(),
        "meter_id": pl.String(),
        "first": pl.Date(),
        "last": pl.Date(),
        "per_day": pl.Float64(),
    }
    return pl.DataFrame(rows, schema=kinds, orient="row")
