"""Which rows of history a load figure needs: the figures of meters and of sites, in one table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

import polars as pl

from processors.book import Book
from processors.calendar import Calendar, DayType
from processors.indices import Length, indices
from processors.shapes import Span, duration, typical_days
from processors.subjects import shared, site_blocks, site_days, site_zones
from processors.yearly import weekdays, year_on_year

MOST_BLOCKS = 20_000_000
"""Blocks one answer may rest on: 570 meters for a year, about 3 GB of memory."""


class Rows(Protocol):
    """The part of history that is read."""

    def days(
        self,
        start: date,
        end: date,
        meters: Sequence[str] | None = None,
        as_of: datetime | None = None,
    ) -> pl.DataFrame:
        """DAY rows of local days in `[start, end)`."""

    def intervals(
        self,
        start: datetime,
        end: datetime,
        meters: Sequence[str] | None = None,
        as_of: datetime | None = None,
    ) -> pl.DataFrame:
        """INTERVAL rows whose start lies in `[start, end)`."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked."""

    start: date
    end: date
    """Excluded; periods that [start, end) touches are told whole."""
    length: Length
    now: datetime
    min_coverage: float
    as_of: datetime | None = None

    @property
    def first(self) -> date:
        """Return the first day of the first period."""
        return _trunc(self.start, self.length)

    @property
    def after(self) -> date:
        """Return the first day after the last period."""
        last = _trunc(self.end - timedelta(days=1), self.length)
        beyond = {Length.DAY: 1, Length.MONTH: 32, Length.YEAR: 366}[self.length]
        return _trunc(last + timedelta(days=beyond), self.length)


class TooMuchError(ValueError):
    """The answer would rest on more blocks than memory holds."""


def _trunc(day: date, length: Length) -> date:
    if length is Length.DAY:
        return day
    return day.replace(day=1) if length is Length.MONTH else day.replace(month=1, day=1)


@dataclass(frozen=True, slots=True)
class Subjects:
    """Days, blocks and time zones of meters, or of sites as sums of their main meters."""

    kind: str
    zones: pl.DataFrame
    days: Callable[[date, date], pl.DataFrame]
    blocks: Callable[[date, date], pl.DataFrame]


def of_meters(rows: Rows, book: Book, ids: Sequence[str], asked: Wanted) -> Subjects:
    """Return the meters `ids` as subjects."""
    zones = book.meters.filter(pl.col("meter_id").is_in(ids)).select("meter_id", "timezone")
    return Subjects(
        "meter",
        zones,
        lambda first, after: rows.days(first, after, ids, asked.as_of),
        lambda first, after: _intervals(rows, first, after, ids, asked),
    )


def of_sites(rows: Rows, book: Book, ids: Sequence[str], asked: Wanted) -> Subjects:
    """Return the sites `ids` as subjects."""
    mine = Book(book.meters.filter(pl.col("site_id").is_in(ids)))
    mains = mine.meters.filter("is_main")["meter_id"].to_list()
    several = shared(mine)

    def days(first: date, after: date) -> pl.DataFrame:
        told = rows.days(first, after, mains, asked.as_of)
        inside = pl.col("day").is_between(first, after, closed="left")
        if not several or told.is_empty():
            return site_days(told, _none(rows), mine, asked.now)
        since, until = _extent(told)
        blocks = _intervals(rows, since, until, several, asked)
        return site_days(told, blocks, mine, asked.now).filter(inside)

    def blocks(first: date, after: date) -> pl.DataFrame:
        return site_blocks(_intervals(rows, first, after, mains, asked), mine)

    return Subjects("site", site_zones(mine), days, blocks)


def _none(rows: Rows) -> pl.DataFrame:
    nowhere = datetime(2000, 1, 1, tzinfo=UTC)
    return rows.intervals(nowhere, nowhere, [])


def _extent(days: pl.DataFrame) -> tuple[date, date]:
    row = days.select(pl.col("day").min(), pl.col("day").max().alias("last")).row(0)
    return row[0], row[1] + timedelta(days=1)


def _intervals(
    rows: Rows, first: date, after: date, meters: Sequence[str], asked: Wanted
) -> pl.DataFrame:
    """Read the blocks of local days of any zone: a day more on either side."""
    count = (after - first).days * 96 * len(meters)
    if count > MOST_BLOCKS:
        raise TooMuchError(
            f"that rests on {count / 1e6:,.0f} million blocks: ask for fewer meters or less time"
        )
    start, end = (datetime.combine(day, time(), UTC) for day in (first, after))
    day = timedelta(days=1)
    return rows.intervals(start - day, end + day, list(meters), asked.as_of)


def tell(figure: str, subjects: Subjects, asked: Wanted, calendar: Calendar) -> pl.DataFrame:
    """Return a figure's rows of all subjects: FIGURES names them."""
    return headed(FIGURES[figure](subjects, asked, calendar), subjects, asked)


def headed(rows: pl.DataFrame, subjects: Subjects, asked: Wanted) -> pl.DataFrame:
    """Return rows with `subject`, `subject_id` and `period` in place of `meter_id`."""
    head = [pl.lit(subjects.kind).alias("subject"), pl.col("meter_id").alias("subject_id")]
    return rows.select(*head, pl.lit(asked.length.value).alias("period"), pl.exclude("meter_id"))


def _indices(subjects: Subjects, asked: Wanted, _: Calendar) -> pl.DataFrame:
    days = subjects.days(asked.first, asked.after)
    return indices(days, subjects.zones, asked.length, asked.now, asked.min_coverage)


def _weekdays(subjects: Subjects, asked: Wanted, _: Calendar) -> pl.DataFrame:
    days = subjects.days(asked.first, asked.after)
    return weekdays(days, subjects.zones, asked.length, asked.now, asked.min_coverage)


def _year_on_year(subjects: Subjects, asked: Wanted, _: Calendar) -> pl.DataFrame:
    before = asked.first.replace(year=asked.first.year - 1, day=1)  # 29 February has no last year
    days = subjects.days(before, asked.after)
    rows = indices(days, subjects.zones, asked.length, asked.now, asked.min_coverage)
    return year_on_year(rows).filter(pl.col("day") >= asked.first)


def span_of(subjects: Subjects, asked: Wanted) -> Span:
    """Return the periods in which there are days; an empty span if there are none."""
    days = subjects.days(asked.first, asked.after)
    if days.is_empty():
        return Span(asked.first, asked.first, asked.length, asked.now, asked.min_coverage)
    since, until = _extent(days)
    held = Wanted(since, until, asked.length, asked.now, asked.min_coverage)
    return Span(held.first, held.after, asked.length, asked.now, asked.min_coverage)


def _typical(subjects: Subjects, asked: Wanted, calendar: Calendar) -> pl.DataFrame:
    span = span_of(subjects, asked)
    blocks = subjects.blocks(span.first, span.after)
    return typical_days(blocks, subjects.zones, types_of(subjects.zones, calendar, span), span)


def types_of(zones: pl.DataFrame, calendar: Calendar, span: Span) -> pl.DataFrame:
    """Return the types of the span's days for `typical_days`.

    A make-up day is a working day. Where no notice is known, `weekday` or `weekend`: what the
    calendar of weeks says, and not whether people worked.
    """
    days = pl.date_range(span.first, span.after, closed="left", eager=True).alias("date")
    weekend = days.dt.weekday() >= 6
    parts = []
    for zone in zones["timezone"].unique().sort():
        told = calendar.types(days, zone).cast(pl.String).alias("kind")
        part = pl.DataFrame([days, told, weekend.alias("weekend")])
        parts.append(part.with_columns(timezone=pl.lit(zone)))
    by_week = pl.when("weekend").then(pl.lit("weekend")).otherwise(pl.lit("weekday"))
    kind = (
        pl.when(pl.col("kind") == DayType.MAKEUP.value)
        .then(pl.lit(DayType.WORKING.value))
        .when(pl.col("kind") == DayType.UNKNOWN.value)
        .then(by_week)
        .otherwise("kind")
    )
    return pl.concat(parts).select("timezone", "date", day_type=kind)


def _duration(subjects: Subjects, asked: Wanted, _: Calendar) -> pl.DataFrame:
    span = span_of(subjects, asked)
    return duration(subjects.blocks(span.first, span.after), subjects.zones, span)


FIGURES: dict[str, Callable[[Subjects, Wanted, Calendar], pl.DataFrame]] = {
    "indices": _indices,
    "weekdays": _weekdays,
    "year-on-year": _year_on_year,
    "typical-days": _typical,
    "duration": _duration,
}
"""Name -> INDICES, WEEKDAYS, YEAR_ON_YEAR, TYPICAL, DURATION rows."""
