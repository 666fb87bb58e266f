"""Carbon ledger (碳账本) of purchased electricity, and product carbon labels (产品碳标签); pure.

    kg CO2 = Σ energy × factor in force       location-based (scope 2), domain sections 2 and 8

A factor is a year's and a scope's. A month whose own year has none is null with a reason: another
year's is used only where the bureau chose it (`carbon.factors[].year`), and the row says so.
The grid factors count CO2 alone and are another series than the footprint factors of products.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import polars as pl

from collector.dated import in_force
from collector.site import BASES, Site
from processors.allocation import Weights, allocate
from processors.claims import Claim, Period, output_claims
from processors.counted import counts_of, covered, with_counts
from processors.policy.header import Provenance
from processors.policy.pack import Factor, FactorPack
from processors.savings_settings import FactorChoice

BOUNDARY = "purchased electricity only; scope 2, location-based; gate-to-gate"
"""外购电力（范围二，基于位置），厂内工序. Not counted: fuels, heat, materials, transport."""

CARBON: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "month": pl.Date(),
    "energy_kwh": pl.Float64(),
    "factor_kg_per_kwh": pl.Float64(),
    "kg_co2": pl.Float64(),
    "reason": pl.String(),
    "scope": pl.String(),
    "factor_year": pl.Int32(),
    "carried": pl.Boolean(),
    "provenance": pl.String(),
    "source": pl.String(),
    "complete": pl.Boolean(),
    "coverage": pl.Float64(),
    "estimated_share": pl.Float64(),
    "boundary": pl.String(),
}
"""One row a site and local month. `kg_co2` of the energy known, null for `reason` (Lack); at less
than full `coverage` or in a month that is not `complete` a lower bound; `carried`: the factor is of
another year than the month, by the bureau's choice; `provenance` and `source` of the factor;
`estimated_share` 0..1 of energy_kwh."""

LABEL: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "product": pl.String(),
    "start": pl.Date(),
    "end": pl.Date(),
    "output": pl.Float64(),
    "unit": pl.String(),
    "declared_by": pl.String(),
    "allocation": pl.String(),
    "energy_kwh": pl.Float64(),
    "kg_co2": pl.Float64(),
    "kg_co2_per_unit": pl.Float64(),
    "reason": pl.String(),
    "factors": pl.List(pl.String()),
    "provenance": pl.String(),
    "label": pl.String(),
    "coverage": pl.Float64(),
    "estimated_share": pl.Float64(),
    "boundary": pl.String(),
    "count_coverage": pl.Float64(),
}
"""One row a site and product declared or counted. `output` in `unit`; `allocation` how energy was
parted from that of other products (`processors.allocation`), empty if it was not;
`kg_co2_per_unit` = kg_co2 / output; `factors` with scope, year and provenance; `provenance` the
weakest of them; `label` what must stand beside the figure; `coverage` 0..1 of the meter-days of the
output's days that measurement supports; `estimated_share` 0..1 of energy_kwh; `count_coverage` 0..1
of the period that counters of the output support, null where none counts."""

_EPS = 1e-9


class Lack(StrEnum):
    """Why no emission is stated."""

    NO_DATA = "no_data"
    LOW_COVERAGE = "low_coverage"
    NO_FACTOR_CHOSEN = "no_factor_chosen"
    NO_FACTOR_FOR_YEAR = "no_factor_for_year"
    FACTOR_NOT_KNOWN = "factor_not_known"
    """The pack names the year, and holds no value."""
    SHARED_METERS = "shared_meters"
    """Another product claims the energy of the same meters and days, and nothing parts it."""
    COUNT_NOT_COVERED = "count_not_covered"
    """The output is counted by meters, and their readings support too little of the period."""
    NOTHING_COUNTED = "nothing_counted"


@dataclass(frozen=True, slots=True)
class Factors:
    """The factors of one pack, and which of them holds when."""

    pack: FactorPack | None
    choices: tuple[FactorChoice, ...]

    def on(self, month: date) -> tuple[Factor | None, Lack | None]:
        """Return the factor of electricity in force in a month, or why there is none."""
        choice = in_force(self.choices, month)
        if choice is None or self.pack is None:
            return None, Lack.NO_FACTOR_CHOSEN
        year = month.year if choice.year is None else choice.year
        of = ("electricity", choice.scope, year)
        found = [one for one in self.pack.factors if (one.carrier, one.scope, one.year) == of]
        if not found:
            return None, Lack.NO_FACTOR_FOR_YEAR
        return (None, Lack.FACTOR_NOT_KNOWN) if found[0].value is None else (found[0], None)

    def table(self, months: Iterable[date]) -> pl.DataFrame:
        """Return the factor of each month: CARBON's columns of it, and `lack`."""
        rows = [
            (
                month,
                *((one.value, one.scope, one.year, one.year != month.year) if one else [None] * 4),
                *((one.provenance.value, one.source) if one else [None] * 2),
                lack and lack.value,
            )
            for month in months
            for one, lack in [self.on(month)]
        ]
        names = ("month", "factor_kg_per_kwh", "scope", "factor_year", "carried")
        kinds = {name: CARBON[name] for name in (*names, "provenance", "source")}
        return pl.DataFrame(rows, schema=kinds | {"lack": pl.String()}, orient="row")


def ledger(months: pl.DataFrame, factors: Factors) -> pl.DataFrame:
    """Return CARBON of INDICES rows of months of sites (the site in `meter_id`)."""
    rows = months.with_columns(
        site_id=pl.col("meter_id").cast(pl.String), month="day", boundary=pl.lit(BOUNDARY)
    ).drop("reason")
    placed = rows.join(factors.table(rows["month"].unique()), on="month", how="left")
    none = pl.when(pl.col("energy_kwh").is_null()).then(pl.lit(Lack.NO_DATA.value))
    told = placed.with_columns(
        reason=none.otherwise("lack"), kg_co2=pl.col("energy_kwh") * pl.col("factor_kg_per_kwh")
    )
    return told.select(pl.col(n).cast(t) for n, t in CARBON.items()).sort("site_id", "month")


def labels(
    days: pl.DataFrame,
    sites: Iterable[Site],
    period: Period,
    factors: Factors,
    least: float,
    weights: Weights,
) -> pl.DataFrame:
    """Return LABEL of every product declared or counted within a period.

    Args:
        days: latest DAY rows of the period of the sites' meters, counters of output among them.
        sites: whose declarations and counters.
        period: declarations that reach beyond it are left out.
        factors: which hold when.
        least: coverage 0..1 below which no label is stated, of energy or of what is counted.
        weights: quotas that part what products have in common.
    """
    sites = tuple(sites)
    counts = counts_of(sites, days, period)
    known = with_counts(sites, counts)
    made = covered((one for site in known for one in output_claims(site, period)), counts, period)
    told, claims = allocate(days, [one for one in made if one.product not in BASES], weights)
    names = (
        *("site_id", "product", "start", "end", "output", "unit", "declared_by", "allocation"),
        "count_coverage",
    )
    kinds = {"claim": pl.Int32()} | {name: LABEL[name] for name in names}
    facts = pl.DataFrame(
        [_facts(one, n) for n, one in enumerate(claims)],
        schema=kinds | {"shared": pl.Boolean()},
        orient="row",
    )
    rows = facts.join(_energies(told, claims, factors), on="claim", how="left").with_columns(
        reason=_lack(least), label=_words(), boundary=pl.lit(BOUNDARY)
    )
    stated = rows.with_columns(kg_co2=pl.when(pl.col("reason").is_null()).then("kg_co2"))
    each = stated.with_columns(kg_co2_per_unit=pl.col("kg_co2") / pl.col("output"))
    return each.select(pl.col(n).cast(t) for n, t in LABEL.items()).sort(
        "site_id", "product", "start"
    )


def _energies(days: pl.DataFrame, claims: Sequence[Claim], factors: Factors) -> pl.DataFrame:
    """Return energy, emission and what they rest on, of each claim in order."""
    dated = _dated(days, claims, factors)
    kwh = pl.col("energy_kwh")
    text = pl.format("{} ({} {}, {})", "factor_kg_per_kwh", "scope", "factor_year", "provenance")
    order = [one.value for one in Provenance]
    rank = pl.col("provenance").replace_strict(order, range(len(order)), return_dtype=pl.Int8)
    return (
        dated.group_by("claim")
        .agg(
            pl.when(kwh.count() > 0).then(kwh.sum()).alias("energy_kwh"),
            (kwh * pl.col("factor_kg_per_kwh")).sum().alias("kg_co2"),
            pl.col("lack").drop_nulls().min(),
            pl.col("carried").any(),
            rank.max().replace_strict(range(len(order)), order, return_dtype=pl.String),
            text.drop_nulls().unique().sort().alias("factors"),
            pl.col("coverage").fill_null(0.0).mean(),
            pl.when(kwh.sum() > 0)
            .then((kwh * pl.col("estimated_share").fill_null(0.0)).sum() / kwh.sum())
            .alias("estimated_share"),
        )
        .sort("claim")
    )


def _dated(days: pl.DataFrame, claims: Sequence[Claim], factors: Factors) -> pl.DataFrame:
    """Return one row a claim, meter and local day of it, with the factor of the day."""
    spans = [
        (n, meter, start, end)
        for n, one in enumerate(claims)
        for meter in one.rows
        for start, end, _ in one.segments
    ]
    kinds = {"claim": pl.Int32(), "meter_id": pl.String(), "first": pl.Date(), "after": pl.Date()}
    due = pl.DataFrame(spans, schema=kinds, orient="row").select(
        "claim", "meter_id", day=pl.date_ranges("first", "after", closed="left")
    )
    told = days.select(
        pl.col("meter_id").cast(pl.String), "day", "energy_kwh", "coverage", "estimated_share"
    )
    each = (
        due.explode("day")
        .with_columns(month=pl.col("day").dt.truncate("1mo"))
        .join(told, on=["meter_id", "day"], how="left")
    )
    return each.join(factors.table(each["month"].unique()), on="month", how="left")


def _facts(claim: Claim, number: int) -> tuple[object, ...]:
    period = claim.period
    return (
        *(number, claim.site.id, claim.product, period.start, period.end),
        *(claim.denominator, claim.unit, claim.declared_by, claim.allocation),
        *(claim.count_coverage, claim.shared),
    )


def _lack(least: float) -> pl.Expr:
    return (
        pl.when(pl.col("count_coverage") < least - _EPS)
        .then(pl.lit(Lack.COUNT_NOT_COVERED.value))
        .when(pl.col("output") <= 0)
        .then(pl.lit(Lack.NOTHING_COUNTED.value))
        .when("shared")
        .then(pl.lit(Lack.SHARED_METERS.value))
        .when(pl.col("energy_kwh").is_null())
        .then(pl.lit(Lack.NO_DATA.value))
        .when(pl.col("coverage") < least - _EPS)
        .then(pl.lit(Lack.LOW_COVERAGE.value))
        .when(pl.col("lack").is_not_null())
        .then("lack")
    )


def _words() -> pl.Expr:
    """Return what must stand beside a figure; null where no factor is known."""
    known = pl.col("provenance")
    head = (
        pl.when(known == Provenance.PUBLISHED.value)
        .then(pl.lit("published factors"))
        .otherwise(pl.format("factor is {}: no published label", known))
    )
    year = pl.when("carried").then(pl.lit("; factor of another year")).otherwise(pl.lit(""))
    return pl.concat_str(head, year, pl.lit("; CO2 only, not the product-footprint series"))
