"""Day types of China: working day, make-up working day (调休), rest day, public holiday. Pure.

The State Council's yearly notices (国务院办公厅关于部分节假日安排的通知) as transcribed in
`chinesecalendar`, years 2004-2026 in release 1.11. A year no notice is known for is `unknown`,
never guessed from weekdays; the bureau tells it under config/calendar.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Self

import polars as pl
from chinese_calendar.constants import holidays, workdays
from pydantic import Field, model_validator

from collector.site import Strict


class DayType(StrEnum):
    """What kind of day it is for people who work."""

    WORKING = "working"
    MAKEUP = "makeup"
    """调休上班: a weekend day worked in exchange for a day off."""
    REST = "rest"
    """A weekend day off."""
    HOLIDAY = "holiday"
    """A day off by the yearly notice, weekends inside the holiday included."""
    UNKNOWN = "unknown"
    """No notice known: neither working nor off."""


DAY_TYPE = pl.Enum([one.value for one in DayType])

AT_WORK = (DayType.WORKING.value, DayType.MAKEUP.value)
"""The types people work on."""

CHINESE_ZONES = frozenset({"Asia/Shanghai", "Asia/Urumqi", "Asia/Chongqing", "Asia/Harbin", "PRC"})
"""Zones whose days follow the notices; in any other zone only `told` days have a type."""


class ToldDay(Strict):
    """Days whose type the bureau tells, e.g. of a notice newer than the library."""

    day: date
    until: date | None = None
    """First day no longer meant; None: one day."""
    type: DayType
    name: str = ""
    source: str = Field(min_length=1)
    """The notice."""

    @model_validator(mode="after")
    def _later(self) -> Self:
        if self.until is not None and self.until <= self.day:
            raise ValueError("`until` must be later than `day`")
        return self

    @property
    def days(self) -> list[date]:
        """All days meant."""
        count = 1 if self.until is None else (self.until - self.day).days
        return [self.day + timedelta(days=n) for n in range(count)]


class ToldYear(Strict):
    """A year whose notice the bureau has told whole: its other days follow from the weekday."""

    year: int
    source: str = Field(min_length=1)


class HotDay(Strict):
    """A day's maximum temperature as announced; it stands before the weather station's."""

    day: date
    max_c: float
    source: str = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """What the bureau told beside the library; later entries win."""

    told: tuple[ToldDay, ...] = ()
    years: tuple[ToldYear, ...] = ()
    hot: tuple[HotDay, ...] = ()

    def types(self, days: pl.Series, zone: str) -> pl.Series:
        """Return the type of each local day.

        Args:
            days: Date.
            zone: the days' time zone.

        Returns:
            DAY_TYPE, `unknown` where no notice is known.
        """
        told = {day: entry.type.value for entry in self.told for day in entry.days}
        years = _known_years(self.years)
        day = pl.col("day")
        weekend = day.dt.weekday() >= 6
        by_notice = (
            pl.when(~day.dt.year().is_in(years) | (zone not in CHINESE_ZONES))
            .then(pl.lit(DayType.UNKNOWN.value))
            .when(day.is_in(_dates(workdays)))
            .then(pl.lit(DayType.MAKEUP.value))
            .when(day.is_in(_dates(holidays)))
            .then(pl.lit(DayType.HOLIDAY.value))
            .when(weekend)
            .then(pl.lit(DayType.REST.value))
            .otherwise(pl.lit(DayType.WORKING.value))
        )
        own = day.replace_strict(
            list(told), list(told.values()), default=None, return_dtype=pl.String
        )
        chosen = pl.coalesce(own, by_notice) if told else by_notice
        frame = pl.DataFrame({"day": days.cast(pl.Date)})
        return frame.select(chosen.cast(DAY_TYPE).alias("day_type")).to_series()


def day_types(days: Sequence[date], zone: str, calendar: Calendar | None = None) -> list[str]:
    """Return the types of a few days, as words."""
    series = pl.Series("day", list(days), dtype=pl.Date)
    return (calendar or Calendar()).types(series, zone).cast(pl.String).to_list()


def _dates(named: Iterable[date]) -> list[date]:
    return list(named)


def _known_years(told: Iterable[ToldYear]) -> list[int]:
    return sorted({one.year for one in holidays} | {one.year for one in told})
