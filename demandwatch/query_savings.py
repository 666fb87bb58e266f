"""`demandwatch query targets|carbon|carbon-labels`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

import polars as pl

from collector.clock import Clock
from collector.site import Site
from demandwatch.declaring import Declaring
from demandwatch.query_words import Table
from demandwatch.settings import Configuration
from processors.bases import weights
from processors.carbon import Factors, labels, ledger
from processors.claims import Claim, Period
from processors.history.store import History
from processors.indices import Length, indices
from processors.load_report import Wanted, of_sites
from processors.target import Course, members, targets, years_of
from processors.target_bases import bases_of

SHOWN = {
    Table.TARGETS: (
        "level", "group_id", "sector", "year", "energy_kwh", "change", "change_last",
        "intensity_change", "path_change", "state", "reason", "sites_compared", "sites",
        "coverage", "estimated_share", "provenance",
    ),
    Table.CARBON: (
        "site_id", "month", "energy_kwh", "factor_kg_per_kwh", "kg_co2", "reason", "scope",
        "factor_year", "carried", "provenance", "coverage", "estimated_share",
    ),
    Table.CARBON_LABELS: (
        "site_id", "product", "start", "end", "output", "unit", "kg_co2_per_unit", "reason",
        "label", "boundary", "coverage",
    ),
}  # fmt: skip
"""Columns that fit a terminal."""


def tracked(
    config: Configuration, history: History, asked: Wanted, site_ids: Sequence[str]
) -> pl.DataFrame:
    """Return TARGET of the years asked for, of the sectors, districts and sites of some sites.

    Raises:
        ValueError: no target pack is chosen.
    """
    chosen = config.settings.processors.targets
    pack = config.packs.target(chosen.pack) if chosen.pack else None
    if pack is None:
        raise ValueError("no targets: name a target pack under processors.targets.pack")
    course = Course.of(pack, chosen.base_year, chosen.min_site_share)
    sites = _declared(config, asked, site_ids)
    span = range(course.base_year, course.target_year + 1)
    first, after = date(span[0], 1, 1), date(span[-1] + 1, 1, 1)
    whole = replace(asked, start=first, end=after, length=Length.YEAR)
    subjects = of_sites(history, config.book, [one.id for one in sites], whole)
    rows = indices(
        subjects.days(first, after), subjects.zones, Length.YEAR, asked.now, asked.min_coverage
    )
    counters = [meter.id for site in sites for meter in site.meters if meter.counts]
    counted = history.days(first, after, counters, asked.as_of) if counters else None
    bases = bases_of(sites, span, counted)
    told = targets(years_of(rows), bases, members(sites, pack), course)
    return told.filter(
        pl.col("year") >= asked.start.year, pl.col("year") <= (asked.end - timedelta(days=1)).year
    )


def emitted(
    config: Configuration, history: History, asked: Wanted, site_ids: Sequence[str]
) -> pl.DataFrame:
    """Return CARBON of the months asked for; their coverage says how much of them is known."""
    months = replace(asked, length=Length.MONTH)
    subjects = of_sites(history, config.book, list(site_ids), months)
    days = subjects.days(months.first, months.after)
    rows = indices(days, subjects.zones, Length.MONTH, asked.now, asked.min_coverage)
    return ledger(rows, _factors(config))


def labelled(
    config: Configuration, history: History, asked: Wanted, site_ids: Sequence[str]
) -> pl.DataFrame:
    """Return LABEL of the products declared or counted within the span asked for."""
    sites = _declared(config, asked, site_ids)
    meters = [meter.id for site in sites for meter in site.meters]
    days = history.days(asked.start, asked.end, meters, asked.as_of)
    period = Period(asked.start, asked.end)

    def quotas(claim: Claim) -> Mapping[str, float]:
        return weights(claim, config.packs, period)

    return labels(days, sites, period, _factors(config), asked.min_coverage, quotas)


def _declared(config: Configuration, asked: Wanted, site_ids: Sequence[str]) -> list[Site]:
    """Return some sites with what is declared of them."""
    sites = Declaring(config, Clock.real()).sites(asked.as_of)
    return [one for one in sites if one.id in set(site_ids)]


def _factors(config: Configuration) -> Factors:
    chosen = config.settings.processors.carbon
    return Factors(config.packs.factor_pack(chosen.pack), chosen.factors)
