"""Output that meters count: what a site's counters gained by the day, laid out as production; pure.

    output = Σ_days Σ_counters  counts of the day × per_count

A day is *stated* when each counter of the product states every block of it: what was counted across
a gap is the register's difference, as energy is, and nothing is stated across a reset. Days that
are not stated are left out of output and energy alike, and days for which somebody declared the
product are the declaration's. Stated days that follow one another make one span of production.

    coverage = mean over the days asked for of: the least coverage of the counters; 0 if not stated
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import zip_longest

import polars as pl

from collector.counting import Counted
from collector.site import Production, Site
from processors.claims import Claim, Period, mains

_KEY = ["group", "day"]
_ASKED = {
    "group": pl.Int64(),
    "meter_id": pl.String(),
    "start": pl.Date(),
    "end": pl.Date(),
    "per_count": pl.Float64(),
}


@dataclass(frozen=True, slots=True)
class Counts:
    """What the counters of one product of a site counted in a period."""

    site: Site
    product: str
    unit: str
    meters: tuple[str, ...]
    """As in Production: those of the product's energy; empty: the mains."""
    production: tuple[Production, ...]
    """One a run of stated days; an output of 0 where they counted nothing."""
    coverage: float
    """0..1 of the days asked for; see above."""


def counts_of(sites: Iterable[Site], days: pl.DataFrame, period: Period) -> list[Counts]:
    """Return what the sites' counters counted.

    Args:
        sites: with what is declared of them.
        days: DAY rows that hold those of their counters over the period.
        period: whole local days that are over.

    Returns:
        One for each site, product, unit and set of meters that is counted on any day of the period
        for which the product is not declared.
    """
    asked = [(site, *one) for site in sites for one in _bindings(site, period)]
    if not asked:
        return []
    groups: dict[tuple[str, str, str, tuple[str, ...]], list[tuple[Site, str, Counted]]] = {}
    rows = []
    for site, meter_id, start, end, one in asked:
        key = (site.id, one.product, one.unit, one.meters)
        groups.setdefault(key, []).append((site, meter_id, one))
        rows.append((list(groups).index(key), meter_id, start, end, one.per_count))
    known = _days(pl.DataFrame(rows, _ASKED, orient="row"), _declared(groups.values()), days)
    runs, covered = _runs(known), dict(known.group_by("group").agg(_coverage()).iter_rows())
    return [
        _counts(told, runs.filter(group=n).rows(), covered[n])
        for n, told in enumerate(groups.values())
        if n in covered
    ]


def _bindings(site: Site, period: Period) -> Iterator[tuple[str, date, date, Counted]]:
    """Yield what each counter counts, with the days of the period it does so."""
    for meter in site.meters:
        told = meter.counts.of if meter.counts is not None else ()
        for one, later in zip_longest(told, told[1:]):
            start = max(one.since, period.start)
            end = min(later.since, period.end) if later else period.end
            if start < end:
                yield meter.id, start, end, one


def _declared(groups: Iterable[list[tuple[Site, str, Counted]]]) -> pl.DataFrame:
    """Return the days (`group`, `day`) for which the product is declared."""
    rows = [
        (n, one.since, one.until)
        for n, told in enumerate(groups)
        for one in told[0][0].production
        if one.product == told[0][2].product
    ]
    kinds = {"group": pl.Int64(), "start": pl.Date(), "end": pl.Date()}
    return _by_day(pl.DataFrame(rows, kinds, orient="row")).select(_KEY).unique()


def _by_day(spans: pl.DataFrame) -> pl.DataFrame:
    ranges = pl.date_ranges("start", "end", closed="left").alias("day")
    return spans.with_columns(ranges).explode("day", empty_as_null=False)


def _days(asked: pl.DataFrame, declared: pl.DataFrame, days: pl.DataFrame) -> pl.DataFrame:
    """Return one row a group and day asked for: `output`, `stated`, `coverage`."""
    told = days.select("meter_id", "day", "output_count", "blocks", "blocks_expected", "coverage")
    stated = pl.col("output_count").is_not_null() & (pl.col("blocks") >= pl.col("blocks_expected"))
    return (
        _by_day(asked)
        .join(declared, on=_KEY, how="anti")
        .join(told, on=["meter_id", "day"], how="left")
        .sort(*_KEY, "meter_id")
        .group_by(_KEY, maintain_order=True)
        .agg(
            output=(pl.col("output_count") * pl.col("per_count")).sum(),
            stated=stated.fill_null(value=False).all(),
            coverage=pl.col("coverage").fill_null(0.0).min(),
        )
    )


def _coverage() -> pl.Expr:
    return pl.when("stated").then("coverage").otherwise(0.0).mean().alias("covered")


def _runs(days: pl.DataFrame) -> pl.DataFrame:
    """Return the runs of stated days: group, first, last, output; in order."""
    run = pl.col("day").to_physical() - pl.col("day").cum_count().over("group")
    return (
        days.filter("stated")
        .with_columns(run.alias("run"))
        .group_by("group", "run", maintain_order=True)
        .agg(
            first=pl.col("day").min(),
            after=pl.col("day").max().dt.offset_by("1d"),
            output=pl.col("output").sum().round(9),
        )
        .select("first", "after", "output", "group")
    )


def _counts(
    told: Sequence[tuple[Site, str, Counted]],
    runs: Iterable[tuple[date, date, float, int]],
    coverage: float,
) -> Counts:
    site, _, one = told[0]
    names = [f"{which.declared_by} (counter {meter})" for _, meter, which in told]
    by = "" if any(not which.declared_by for *_, which in told) else "; ".join(dict.fromkeys(names))
    made = [
        # not validated: nothing made is a fact here, where a declared 0 would be a mistake
        Production.model_construct(
            since=first, until=after, product=one.product, output=output, unit=one.unit,
            declared_by=by, meters=one.meters,
        )
        for first, after, output, _ in runs
    ]  # fmt: skip
    return Counts(site, one.product, one.unit, one.meters, tuple(made), coverage)


def with_counts(sites: Iterable[Site], told: Sequence[Counts]) -> tuple[Site, ...]:
    """Return the sites with what was counted among their production."""
    more: dict[str, list[Production]] = {}
    for one in told:
        more.setdefault(one.site.id, []).extend(one.production)
    return tuple(
        site.model_copy(update={"production": (*site.production, *more[site.id])})
        if site.id in more
        else site
        for site in sites
    )


def covered(claims: Iterable[Claim], told: Sequence[Counts], period: Period) -> list[Claim]:
    """Return the claims, each with the coverage of its counters, and one where nothing is stated.

    Args:
        claims: of the sites `with_counts`.
        told: what was counted.
        period: the statistics period.
    """
    found = list(claims)
    for one in told:
        mine = [n for n, claim in enumerate(found) if _of(claim, one)]
        for n in mine:
            found[n] = replace(found[n], count_coverage=one.coverage)
        if not mine:
            empty = Claim(one.site, period, one.product, 0.0, one.unit, "", (), ())
            found.append(replace(empty, count_coverage=one.coverage))
    return found


def _of(claim: Claim, one: Counts) -> bool:
    if (claim.site.id, claim.product, claim.unit) != (one.site.id, one.product, one.unit):
        return False
    return not claim.segments or set(claim.meters) == set(one.meters or mains(one.site))
