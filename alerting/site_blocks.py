"""PURE. Rows of the kinds `interval` and `site_interval`: blocks with the contract beside them."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import polars as pl

from alerting.subjects import Subject, conform
from collector.reading import UTC_US
from collector.site import Site
from processors.book import Book
from processors.sums import site_intervals

CONTRACT: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "since": UTC_US,
    "contract_demand_kw": pl.Float64(),
}
"""Contract demand (合同需量) in force from `since`, a local midnight, until the next row."""


def contracts(sites: Iterable[Site]) -> pl.DataFrame:
    """Return every site's dated contract demands, schema CONTRACT, sorted by `since`."""
    rows = [
        (site.id, _midnight(one.since, ZoneInfo(site.timezone)), one.value)
        for site in sites
        for one in site.contract_demand_kw
    ]
    return pl.DataFrame(rows, schema=CONTRACT, orient="row").sort("since")


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def with_contract(blocks: pl.DataFrame, contract: pl.DataFrame) -> pl.DataFrame:
    """Add `contract_demand_kw` in force at each block's `start`; null where there is none."""
    return blocks.sort("start").join_asof(
        contract,
        left_on="start",
        right_on="since",
        by="site_id",
        strategy="backward",
        check_sortedness=False,  # both were just sorted; polars cannot know that within groups
    )


def meter_blocks(intervals: pl.DataFrame, book: Book, contract: pl.DataFrame) -> pl.DataFrame:
    """Return INTERVAL rows as rows of the kind `interval`."""
    placed = intervals.join(book.meters.select("meter_id", "site_id"), on="meter_id")
    return conform(Subject.INTERVAL, with_contract(placed, contract))


def site_blocks(intervals: pl.DataFrame, book: Book, contract: pl.DataFrame) -> pl.DataFrame:
    """Sum the main meters of each site: rows of the kind `site_interval`.

    Args:
        intervals: INTERVAL rows, one a (meter, block), e.g. the latest revisions; for a whole sum
            all main meters of the sites must be among them.
        book: which meter is a site's main meter.
        contract: schema CONTRACT.

    Returns:
        `energy_kwh`, `demand_kw` of the meters known, null if none is; `coverage` over all main
        meters, an absent one counting 0. A sum of import energy over fewer meters is a lower
        bound: it may prove an overrun, never the end of one.
    """
    sums = with_contract(site_intervals(intervals, book), contract)
    return conform(Subject.SITE_INTERVAL, sums).sort("site_id", "start")
