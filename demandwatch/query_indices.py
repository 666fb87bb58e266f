"""`demandwatch query indices` and its kin: load figures and power quality by period."""

from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from demandwatch.settings import Configuration, tariffs_of
from processors.history.store import History
from processors.load_report import Wanted, of_meters, of_sites, tell
from processors.power_quality import POWER_QUALITY, power_quality, supplies
from processors.shapes import Span
from processors.tariff.report import shares_of

BATCH = 50
"""Meters whose readings are in memory at a time: a month at 15 s is 170,000 rows each."""

_INDICES = """subject_id day energy_kwh max_demand_kw max_demand_at load_factor peak_valley_ratio
utilisation_h coverage reason"""
_TYPICAL = "subject_id day day_type clock mean_kw min_kw max_kw blocks reason"
_SHARES = """subject_id day tariff_period energy_kwh share max_block_demand_kw coverage
estimated_share reason heat_unknown_days"""
_QUALITY = "meter_id day quantity mean min max qualified_share standard readings coverage reason"

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
    """Return a figure of `processors.load_report`, or TARIFF_SHARES, of meters and sites as sums.

    Without any named: of all sites.
    """
    book = config.book
    chosen = sites if meters or sites else tuple(site.id for site in config.sites)
    if figure == "tariff-shares":
        return shares_of(asked, meters, chosen, config.sites, tariffs_of(config), history)
    parts = [of_meters(history, book, meters, asked)] if meters else []
    parts += [of_sites(history, book, chosen, asked)] if chosen else []
    return pl.concat([tell(figure, part, asked, config.calendar) for part in parts])


def quality(
    asked: Wanted, meters: list[str] | None, history: History, config: Configuration
) -> pl.DataFrame:
    """Return POWER_QUALITY rows of meters (None: all), with `period`."""
    ids = config.book.meters["meter_id"].to_list() if meters is None else meters
    batches = [ids[n : n + BATCH] for n in range(0, len(ids), BATCH)]
    rows = pl.concat([_quality(asked, batch, history, config) for batch in batches])
    period = pl.lit(asked.length.value).alias("period")
    return rows.select("meter_id", period, pl.exclude("meter_id"))


def _quality(
    asked: Wanted, ids: list[str], history: History, config: Configuration
) -> pl.DataFrame:
    days = history.days(asked.first, asked.after, ids, asked.as_of)
    if days.is_empty():
        return pl.DataFrame(schema=POWER_QUALITY)
    held = _held(asked, days)
    margin = timedelta(days=1)  # local days of any zone
    start, end = _utc(held.first) - margin, _utc(held.after) + margin
    readings = history.readings(start, end, ids)
    if asked.as_of is not None:
        readings = readings.filter(pl.col("received_at") <= asked.as_of)
    intervals = history.intervals(start, end, ids, asked.as_of)
    zones = config.book.meters.select("meter_id", "timezone")
    span = Span(held.first, held.after, held.length, held.now, held.min_coverage)
    return power_quality(readings, intervals, zones, supplies(config.sites), span)


def _held(asked: Wanted, days: pl.DataFrame) -> Wanted:
    first, last = days.select(pl.col("day").min(), pl.col("day").max().alias("last")).row(0)
    return Wanted(first, last + timedelta(days=1), asked.length, asked.now, asked.min_coverage)


def _utc(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
