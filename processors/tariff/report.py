"""Figures by period of meters and sites, from history; shares of tariff periods by contract."""

from collections.abc import Sequence
from functools import cache

import polars as pl

from collector.site import Site
from processors.book import Book
from processors.load_report import Subjects, Wanted, headed, of_meters, of_sites, span_of, tell
from processors.tariff.contract import Rates
from processors.tariff.desk import History, Tariffs
from processors.tariff.labels import labels, tariff_shares

SHARES = "tariff-shares"
"""The figure that needs contracts; the others are `load_report.FIGURES`."""


def figure_of(
    figure: str,
    asked: Wanted,
    meters: Sequence[str],
    sites: Sequence[str],
    known: Sequence[Site],
    tariffs: Tariffs,
    history: History,
) -> pl.DataFrame:
    """Return the rows of a figure, of meters and of sites as sums of their main meters.

    Args:
        figure: SHARES, or of `load_report.FIGURES`.
        asked: the periods.
        meters: ids; the contract of a meter's site decides.
        sites: ids.
        known: the sites they are of, with their contracts.
        tariffs: packs, calendar and the weather station.
        history: where the blocks and the temperatures are.

    Raises:
        TooMuchError: that rests on more blocks than memory holds.
    """
    book = Book.of(known)
    parts = [of_meters(history, book, meters, asked)] if meters else []
    parts += [of_sites(history, book, sites, asked)] if sites else []
    if figure == SHARES:
        return pl.concat(_shares(one, asked, known, book, tariffs, history) for one in parts)
    return pl.concat(tell(figure, one, asked, tariffs.calendar) for one in parts)


def _shares(
    subjects: Subjects,
    asked: Wanted,
    known: Sequence[Site],
    book: Book,
    tariffs: Tariffs,
    history: History,
) -> pl.DataFrame:
    span = span_of(subjects, asked)

    @cache
    def heat(zone: str, min_c: float) -> pl.DataFrame:
        return tariffs.hot(zone, min_c, (span.first, span.after), history, asked.as_of)

    blocks = subjects.blocks(span.first, span.after)  # before labels: it refuses what is too much
    mine = book.meters.select("meter_id", "site_id")
    if subjects.kind == "site":
        mine = mine.select(meter_id="site_id", site_id="site_id").unique()
    mine = mine.join(subjects.zones, on="meter_id", how="semi")
    owners = [one for one in known if one.id in set(mine["site_id"])]
    labelled = labels(owners, mine, Rates(tariffs.packs, calendar=tariffs.calendar), span, heat)
    return headed(tariff_shares(blocks, subjects.zones, labelled, span), subjects, asked)
