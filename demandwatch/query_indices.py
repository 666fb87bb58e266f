"""`demandwatch query indices` and its kin: load figures and power quality by period."""

import polars as pl

from demandwatch.settings import Configuration, tariffs_of
from processors.history.store import History
from processors.load_report import Wanted
from processors.quality_report import quality_of
from processors.tariff.report import figure_of

_INDICES = """subject_id day energy_kwh max_demand_kw max_demand_at load_factor peak_valley_ratio
utilisation_h coverage reason"""
_TYPICAL = "subject_id day day_type clock mean_kw min_kw max_kw blocks reason"
_SHARES = """subject_id day tariff_period energy_kwh share coverage reason
heat_unknown_days"""
_QUALITY = """meter_id day quantity mean min max qualified_share standard basis readings coverage
reason"""

TO_PEOPLE: dict[str, tuple[str, ...]] = {
    "indices": tuple(_INDICES.split()),
    "typical-days": tuple(_TYPICAL.split()),
    "tariff-shares": tuple(_SHARES.split()),
    "quality": tuple(_QUALITY.split()),
}
"""Columns that fit a terminal; files carry all."""


def load(
    figure: str,
    asked: Wanted,
    meters: tuple[str, ...],
    sites: tuple[str, ...],
    history: History,
    config: Configuration,
) -> pl.DataFrame:
    """Return a figure, as `figure_of` has them, of meters and sites as sums.

    Without any named: of all sites.
    """
    chosen = sites if meters or sites else tuple(site.id for site in config.sites)
    return figure_of(figure, asked, meters, chosen, config.sites, tariffs_of(config), history)


def quality(
    asked: Wanted, meters: list[str] | None, history: History, config: Configuration
) -> pl.DataFrame:
    """Return POWER_QUALITY rows of meters (None: all), with `period`."""
    ids = config.book.meters["meter_id"].to_list() if meters is None else meters
    return quality_of(asked, ids, config.sites, history)
