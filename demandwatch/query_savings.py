"""`demandwatch query targets`: sectors, districts and sites against the plan's targets."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from demandwatch.settings import Configuration
from processors.history.store import History
from processors.indices import Length, indices
from processors.load_report import Wanted, of_sites
from processors.target import Course, members, targets, years_of
from processors.target_bases import bases_of

TARGETS_SHOWN = (
    "level", "group_id", "sector", "year", "energy_kwh", "change", "change_last",
    "intensity_change", "path_change", "state", "reason", "sites_compared", "sites", "coverage",
    "estimated_share", "provenance",
)  # fmt: skip
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
    sites = [one for one in config.sites if one.id in set(site_ids)]
    span = range(course.base_year, course.target_year + 1)
    first, after = date(span[0], 1, 1), date(span[-1] + 1, 1, 1)
    whole = Wanted(first, after, Length.YEAR, asked.now, asked.min_coverage, asked.as_of)
    subjects = of_sites(history, config.book, [one.id for one in sites], whole)
    rows = indices(
        subjects.days(first, after), subjects.zones, Length.YEAR, asked.now, asked.min_coverage
    )
    told = targets(years_of(rows), bases_of(sites, span), members(sites, pack), course)
    return told.filter(pl.col("year") >= asked.start.year, pl.col("year") < asked.after.year)
