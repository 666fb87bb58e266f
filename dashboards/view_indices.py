"""A site's load indices of the running month, and any figure by period, from the sources."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from collector.site import Site
from dashboards.sources import Sources
from processors.indices import Length
from processors.load_report import Wanted
from processors.tariff.report import figure_of


@dataclass(frozen=True, slots=True)
class LoadIndices:
    """One row of INDICES, as far as a screen shows it; None: not known."""

    month: date
    load_factor: float | None
    peak_valley_kw: float | None
    peak_valley_ratio: float | None
    utilisation_h: float | None
    max_demand_kw: float | None
    max_demand_at: datetime | None
    coverage: float
    estimated_share: float | None
    blocks: int
    blocks_expected: int
    reason: str


def month_of(sources: Sources, site: Site) -> LoadIndices | None:
    """Return the indices of the site's running local month; None before its first block."""
    today = sources.now().astimezone(ZoneInfo(site.timezone)).date()
    span = today.replace(day=1), today + timedelta(days=1)
    rows = answer(sources, "indices", (), (site.id,), *span, Length.MONTH)
    if rows.is_empty():
        return None
    row = rows.row(0, named=True)
    names = LoadIndices.__dataclass_fields__.keys() - {"month", "reason"}
    return LoadIndices(
        month=row["day"], reason=row["reason"] or "", **{name: row[name] for name in names}
    )


def answer(
    sources: Sources,
    figure: str,
    meters: Sequence[str],
    sites: Sequence[str],
    start: date,
    end: date,
    length: Length,
) -> pl.DataFrame:
    """Return a figure of `figure_of` for meters, and for sites as sums of their main meters."""
    asked = Wanted(start, end, length, sources.now(), sources.index_min_coverage)
    known, tariffs = sources.sites, sources.tariffs
    return figure_of(figure, asked, meters, sites, known, tariffs, sources.history)
