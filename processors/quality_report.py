"""Which rows of history power quality needs: a batch of meters at a time."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from collector.site import Site
from processors.book import Book
from processors.load_report import Wanted
from processors.power_quality import POWER_QUALITY, power_quality, supplies
from processors.shapes import Span
from processors.tariff.desk import History
from processors.tariff.fedback import fed_back

BATCH = 50
"""Meters whose readings are in memory at a time: a month at 15 s is 170,000 rows each."""


def quality_of(
    asked: Wanted, ids: Sequence[str], known: Sequence[Site], history: History
) -> pl.DataFrame:
    """Return POWER_QUALITY rows of meters, with `period`.

    Args:
        asked: the periods.
        ids: meters.
        known: the sites they are of, which tell nominal voltage and phases.
        history: where readings and blocks are.
    """
    batches = [ids[n : n + BATCH] for n in range(0, len(ids), BATCH)]
    rows = pl.concat(
        [pl.DataFrame(schema=POWER_QUALITY)]
        + [_quality(asked, batch, known, history) for batch in batches]
    )
    period = pl.lit(asked.length.value).alias("period")
    return rows.select("meter_id", period, pl.exclude("meter_id"))


def _quality(
    asked: Wanted, ids: Sequence[str], known: Sequence[Site], history: History
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
    book = Book.of(known)
    back = fed_back(readings, book, asked.now)
    intervals = intervals.join(back, on=["meter_id", "start"], how="left")
    zones = book.meters.select("meter_id", "timezone")
    span = Span(held.first, held.after, held.length, held.now, held.min_coverage)
    return power_quality(readings, intervals, zones, supplies(known), span)


def _held(asked: Wanted, days: pl.DataFrame) -> Wanted:
    first, last = days.select(pl.col("day").min(), pl.col("day").max().alias("last")).row(0)
    return Wanted(first, last + timedelta(days=1), asked.length, asked.now, asked.min_coverage)


def _utc(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
