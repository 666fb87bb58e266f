"""A month of a site on paper: simulated bill, tariff-period shares, power quality; from sources."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import polars as pl

from collector.site import Site
from dashboards.sources import Sources
from dashboards.view_indices import answer
from processors.indices import Length
from processors.intensity import mains
from processors.load_report import Wanted
from processors.quality_report import quality_of
from processors.tariff.contract import next_month
from processors.tariff.report import SHARES


@dataclass(frozen=True, slots=True)
class MonthPage:
    """What is known of a site's month."""

    site: Site
    month: date
    at: datetime
    running: date
    """The first day of the running month."""
    bill: pl.DataFrame
    """LINES; a simulation (测算)."""
    shares: pl.DataFrame
    """TARIFF_SHARES of the site."""
    quality: pl.DataFrame
    """POWER_QUALITY of its main meters."""


def month_page(sources: Sources, site: Site, month: date | None) -> MonthPage:
    """Return a month; None or one to come: the running one. Reads the month's readings: slow."""
    now = sources.now()
    running = now.astimezone(ZoneInfo(site.timezone)).date().replace(day=1)
    first = min((month or running).replace(day=1), running)
    span = first, next_month(first), Length.MONTH
    return MonthPage(
        site,
        first,
        now,
        running,
        sources.tariffs.bill(site, first, sources.history, now),
        answer(sources, SHARES, (), (site.id,), *span),
        quality_of(quality_wanted(sources, *span), mains(site), sources.sites, sources.history),
    )


def quality_wanted(sources: Sources, start: date, end: date, length: Length) -> Wanted:
    """Return the question about power quality."""
    return Wanted(start, end, length, sources.now(), sources.quality_min_coverage)
