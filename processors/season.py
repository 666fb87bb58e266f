"""A site's own seasonal shape: the months' shares of its energy in its last full year; pure.

    s_m = Σ_meters (mean energy of the known days of month m × days of m) / Σ_months of the same

A part of a year is scaled by it: annual = energy of the period / Σ_days s_month(day) / days of the
month. The figure is an estimate (估算), so an overrun of it is a clue and never evidence. The rule
is this product's own; no standard read so far says how to annualise.
"""

import calendar
from collections.abc import Sequence

import polars as pl

from processors.claims import Claim, Period, by_season, mains
from processors.interval import BLOCK

_BLOCK_US = BLOCK.seconds * 1e6


def shape_year(period: Period) -> int:
    """Return the last full calendar year before a period."""
    return period.start.year - 1


def shapes(
    days: pl.DataFrame, meters_of: dict[str, Sequence[str]], year: int, min_coverage: float
) -> dict[str, tuple[float, ...]]:
    """Return the shares of January to December of each site whose whole year is known.

    Args:
        days: DAY rows of the year, latest revision; days beside it are left out.
        meters_of: main meters by site.
        year: the year.
        min_coverage: least coverage (0..1) of every month and meter; a month below it, without
            energy, or zero throughout, leaves the site without a shape.
    """
    known = days.filter(
        (pl.col("day").dt.year() == year)
        & pl.col("energy_kwh").is_not_null()
        & (pl.col("blocks") > 0)
        & (pl.col("zero_share").fill_null(0.0) < 1.0)
    )
    length = (pl.col("end") - pl.col("start")).dt.total_microseconds()
    part = (pl.col("blocks") * _BLOCK_US / length).clip(0.0, 1.0)
    months = known.group_by("meter_id", pl.col("day").dt.month().alias("month")).agg(
        mean=pl.col("energy_kwh").sum() / part.sum(), covered=pl.col("coverage").sum()
    )
    found = {
        (meter, month): (float(mean), float(covered))
        for meter, month, mean, covered in months.select(
            "meter_id", "month", "mean", "covered"
        ).iter_rows()
    }
    told = {site: _shape(found, meters, year, min_coverage) for site, meters in meters_of.items()}
    return {site: shape for site, shape in told.items() if shape}


def _shape(
    found: dict[tuple[str, int], tuple[float, float]],
    meters: Sequence[str],
    year: int,
    min_coverage: float,
) -> tuple[float, ...]:
    energies = []
    for month in range(1, 13):
        length = calendar.monthrange(year, month)[1]
        rows = [found.get((meter, month), (0.0, 0.0)) for meter in meters]
        if not rows or any(covered / length < min_coverage - 1e-9 for _, covered in rows):
            return ()
        energies.append(sum(mean * length for mean, _ in rows))
    total = sum(energies)
    return tuple(one / total for one in energies) if min(energies) > 0 else ()


def in_season(
    claims: Sequence[Claim], days: pl.DataFrame, period: Period, min_coverage: float
) -> list[Claim]:
    """Return the claims, those of floor area over a part of a year by their site's season.

    A site without a whole year before keeps its claim, which is annualised by its plain mean.

    Args:
        claims: of sites over `period`.
        days: DAY rows of the period and of the year before.
        period: the statistics period.
        min_coverage: least coverage of each month of the year before.
    """
    if period.days >= 365:
        return list(claims)
    meant = [one for one in claims if not one.product and one.segments]
    year = shape_year(period)
    found = shapes(days, {one.site.id: mains(one.site) for one in meant}, year, min_coverage)
    return [
        by_season(one, found[one.site.id], year)
        if not one.product and one.segments and one.site.id in found
        else one
        for one in claims
    ]
