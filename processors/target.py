"""Targets of sectors, districts and sites, year by year, against a straight path; pure.

    change(y)  = mean power(y) / mean power(base year) - 1
    path(y)    = target change × (y - base year) / (target year - base year)
    on the path: change(y) <= path(y)

Mean power of the blocks known, not energy, is compared: a gap of 5 % or a leap day must not look
like a saving. Groups compare like with like: only sites known in both years, and which share that
is. A target is law only where value, measure and years are `published`: the weakest is told.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from collector.site import Kind, Site
from processors.indices import Why
from processors.policy.header import Provenance
from processors.policy.target_pack import TargetPack

TARGET: dict[str, pl.DataType] = {
    "level": pl.String(),
    "group_id": pl.String(),
    "sector": pl.String(),
    "year": pl.Int32(),
    "energy_kwh": pl.Float64(),
    "base_energy_kwh": pl.Float64(),
    "change": pl.Float64(),
    "change_last": pl.Float64(),
    "intensity": pl.Float64(),
    "base_intensity": pl.Float64(),
    "intensity_change": pl.Float64(),
    "intensity_unit": pl.String(),
    "path_change": pl.Float64(),
    "target_change": pl.Float64(),
    "base_year": pl.Int32(),
    "target_year": pl.Int32(),
    "state": pl.String(),
    "reason": pl.String(),
    "sites": pl.Int32(),
    "sites_compared": pl.Int32(),
    "coverage": pl.Float64(),
    "base_coverage": pl.Float64(),
    "estimated_share": pl.Float64(),
    "provenance": pl.String(),
}
"""One row a level (sector, district, site), group, sector and year. Of the `sites_compared` of its
`sites`: `energy_kwh` and `base_energy_kwh` stated by their meters, `change` by the formula above
(-0.07: 7 % less), `change_last` against the year before; `intensity` mean power over the year's
hours by the denominator, in `intensity_unit`, where all have one of the same unit; `path_change`
where the straight path stands; `state` on, behind or undecided for `reason` (Lack, or Why of a
site's year); `coverage` 0..1 mean over all sites, an unknown one 0; `estimated_share` of
energy_kwh; `provenance` the weakest of the target's parts."""

YEARS: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "year": pl.Int32(),
    "hours": pl.Float64(),
    "energy_kwh": pl.Float64(),
    "mean_kw": pl.Float64(),
    "coverage": pl.Float64(),
    "estimated_share": pl.Float64(),
    "why": pl.String(),
}

BASES: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "year": pl.Int32(),
    "denominator": pl.Float64(),
    "unit": pl.String(),
}
"""Denominators of whole years: mean floor area (m2.a) or the output of one product."""

LEVELS = {"sector": "sector", "district": "district", "site": "site_id"}
_EPS = 1e-9


class Lack(StrEnum):
    """Why a group is undecided, besides `Why` of its only site."""

    NO_BASE_YEAR = "no_base_year"
    NO_LOAD = "no_load"
    """Nothing was used in the base year: no ratio to it exists."""
    SITES_MISSING = "sites_missing"
    """Fewer sites than wanted are known in both years."""
    NO_DENOMINATOR = "no_denominator"


@dataclass(frozen=True, slots=True)
class Course:
    """The targets, and between which years: the pack's own, or others the bureau tries."""

    pack: TargetPack
    base_year: int
    target_year: int
    min_site_share: float
    """Least share of a group's sites known in both years; below, it is undecided."""

    @classmethod
    def of(cls, pack: TargetPack, base_year: int | None, min_site_share: float) -> "Course":
        """Lay the pack's span of years at another base year; None: its own."""
        begin = pack.base_year if base_year is None else base_year
        return cls(pack, begin, begin + pack.target_year - pack.base_year, min_site_share)

    def provenance(self, sector: Provenance) -> Provenance:
        """Return the weakest of what the target is made of; other years are illustrative."""
        own = self.base_year == self.pack.base_year
        years = self.pack.years_provenance if own else Provenance.ILLUSTRATIVE
        return max((sector, self.pack.measure_provenance, years), key=list(Provenance).index)


def years_of(indices: pl.DataFrame) -> pl.DataFrame:
    """Return YEARS from INDICES rows of years of sites; a year that runs has no mean power."""
    over = pl.col("complete")
    why = pl.when(~over).then(pl.lit(Why.RUNNING.value)).otherwise("reason")
    quiet = pl.col("reason") == Why.NO_LOAD.value
    return indices.select(
        pl.col("meter_id").cast(pl.String).alias("site_id"),
        pl.col("day").dt.year().alias("year"),
        hours=(pl.col("end") - pl.col("start")).dt.total_seconds() / 3600.0,
        energy_kwh="energy_kwh",
        mean_kw=pl.when(over).then("mean_demand_kw"),
        coverage="coverage",
        estimated_share="estimated_share",
        why=pl.when(over & quiet.fill_null(value=False)).then(None).otherwise(why),
    ).select(pl.col(n).cast(t) for n, t in YEARS.items())


def members(sites: Iterable[Site], pack: TargetPack) -> pl.DataFrame:
    """Return site_id, district and sector of the sites that belong to a sector."""
    sector: dict[Kind, str] = {kind: one.id for one in pack.sectors for kind in one.kinds}
    rows = [(one.id, one.district, sector[one.kind]) for one in sites if one.kind in sector]
    return pl.DataFrame(rows, schema=["site_id", "district", "sector"], orient="row")


def targets(
    years: pl.DataFrame, bases: pl.DataFrame, places: pl.DataFrame, course: Course
) -> pl.DataFrame:
    """Compare each year after the base year with it.

    Args:
        years: YEARS of the sites, from the base year on.
        bases: BASES; sites without a row have no intensity.
        places: from `members`.
        course: the targets.

    Returns:
        TARGET, sorted by level (sector, district, site), group, sector and year.
    """
    every = places.join(_path(course), on="sector")
    sites = _compared(every, years.join(bases, on=["site_id", "year"], how="left"), course)
    parts = [_level(sites, level, key, course) for level, key in LEVELS.items()]
    whole = pl.concat(parts).select(pl.col(n).cast(t) for n, t in TARGET.items())
    rank = pl.col("level").replace_strict(list(LEVELS), [0, 1, 2], return_dtype=pl.Int8)
    return whole.sort(rank, "group_id", "sector", "year")


def _path(course: Course) -> pl.DataFrame:
    length = course.target_year - course.base_year
    rows = [
        (
            *(one.id, year, one.change * (year - course.base_year) / length, one.change),
            course.provenance(one.provenance).value,
        )
        for one in course.pack.sectors
        for year in range(course.base_year + 1, course.target_year + 1)
    ]
    kinds = {"sector": pl.String(), "year": pl.Int32(), "path_change": pl.Float64()}
    kinds |= {"target_change": pl.Float64(), "provenance": pl.String()}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def _compared(every: pl.DataFrame, years: pl.DataFrame, course: Course) -> pl.DataFrame:
    """Return one row a site and year, beside the base year (`base_`) and the year before."""
    base = years.filter(pl.col("year") == course.base_year).drop("year")
    last = years.select("site_id", pl.col("year") + 1, last_kw="mean_kw")
    rows = (
        every.join(years, on=["site_id", "year"], how="left")
        .join(
            base.select("site_id", pl.exclude("site_id").name.prefix("base_")),
            on="site_id",
            how="left",
        )
        .join(last, on=["site_id", "year"], how="left")
    )
    reason = (
        pl.when(pl.col("hours").is_null())
        .then(pl.lit(Why.NO_DATA.value))
        .when(pl.col("why").is_not_null())
        .then("why")
        .when(pl.col("base_mean_kw").is_null())
        .then(pl.lit(Lack.NO_BASE_YEAR.value))
        .when(pl.col("base_mean_kw") <= 0)
        .then(pl.lit(Lack.NO_LOAD.value))
    )
    return rows.with_columns(lack=reason)


def _level(sites: pl.DataFrame, level: str, key: str, course: Course) -> pl.DataFrame:
    ok = pl.col("lack").is_null()
    keys = [pl.col(key).alias("group_id"), *map(pl.col, ("sector", "year"))]
    rows = sites.group_by(keys).agg(
        pl.lit(level).alias("level"),
        pl.col("path_change", "target_change", "provenance").first(),
        pl.len().alias("sites"),
        ok.sum().alias("sites_compared"),
        pl.when((~ok).any()).then(pl.col("lack").drop_nulls().min()).alias("lack"),
        *_power(ok),
        *_intensity(ok),
        pl.col("coverage").fill_null(0.0).mean(),
        pl.col("base_coverage").fill_null(0.0).mean(),
    )
    wanted = "intensity_change" if course.pack.measure == "intensity" else "change"
    told = rows.with_columns(reason=_reason(course)).with_columns(
        pl.when(pl.col("reason").is_null() & pl.col(wanted).is_null())
        .then(pl.lit(Lack.NO_DENOMINATOR.value))
        .otherwise("reason")
        .alias("reason"),
        base_year=pl.lit(course.base_year),
        target_year=pl.lit(course.target_year),
    )
    on = pl.col(wanted) <= pl.col("path_change") + _EPS
    state = (
        pl.when(pl.col("reason").is_not_null())
        .then(pl.lit("undecided"))
        .when(on)
        .then(pl.lit("on"))
        .otherwise(pl.lit("behind"))
    )
    return told.with_columns(state=state).select(list(TARGET))


def _reason(course: Course) -> pl.Expr:
    share = pl.col("sites_compared") / pl.col("sites")
    return (
        pl.when(pl.col("sites_compared") == 0)
        .then("lack")
        .when(share < course.min_site_share - _EPS)
        .then(pl.lit(Lack.SITES_MISSING.value))
    )


def _power(ok: pl.Expr) -> list[pl.Expr]:
    def of(name: str) -> pl.Expr:
        return pl.col(name).filter(ok)

    whole = of("last_kw").null_count() == 0
    kwh = of("energy_kwh")
    return [
        pl.when(ok.any()).then(kwh.sum()).alias("energy_kwh"),
        pl.when(ok.any()).then(of("base_energy_kwh").sum()).alias("base_energy_kwh"),
        pl.when(ok.any()).then(of("mean_kw").sum() / of("base_mean_kw").sum() - 1).alias("change"),
        pl.when(ok.any() & whole & (of("last_kw").sum() > 0))
        .then(of("mean_kw").sum() / of("last_kw").sum() - 1)
        .alias("change_last"),
        pl.when(kwh.sum() > 0)
        .then((kwh * of("estimated_share").fill_null(0.0)).sum() / kwh.sum())
        .alias("estimated_share"),
    ]


def _intensity(ok: pl.Expr) -> list[pl.Expr]:
    def of(name: str) -> pl.Expr:
        return pl.col(name).filter(ok)

    both = (of("denominator").null_count() + of("base_denominator").null_count()) == 0
    alike = (of("unit").n_unique() == 1) & (of("unit") == of("base_unit")).all()
    stated = ok.any() & both & alike
    now, then = (
        (of(f"{head}mean_kw") * of(f"{head}hours")).sum() / of(f"{head}denominator").sum()
        for head in ("", "base_")
    )
    return [
        pl.when(stated).then(now).alias("intensity"),
        pl.when(stated).then(then).alias("base_intensity"),
        pl.when(stated & (then > 0)).then(now / then - 1).alias("intensity_change"),
        pl.when(stated).then("kWh/" + of("unit").first()).alias("intensity_unit"),
    ]
