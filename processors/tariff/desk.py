"""The tariffs of a bureau, and what of history they need: the temperatures that make days hot."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Protocol

import polars as pl

from collector.dated import in_force
from collector.site import Site
from processors.book import Book
from processors.calendar import Calendar
from processors.history.days import bounded
from processors.intensity import mains
from processors.load_report import Rows
from processors.policy.load import Packs
from processors.settings import TariffSettings
from processors.tariff.bill import bill, month_periods
from processors.tariff.contract import Rates, next_month
from processors.tariff.fedback import fed_back
from processors.tariff.periods import hot_days


class Readings(Protocol):
    """The part of history that is read."""

    def readings(
        self, start: datetime, end: datetime, meters: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """READING rows with `measured_at` in `[start, end)`, every version received."""


class History(Rows, Readings, Protocol):
    """The part of history that bills read."""


_BESIDE = timedelta(hours=6)
"""How far beyond a month's edges a register is looked for."""


@dataclass(frozen=True, slots=True)
class Tariffs:
    """Everything of bills and tariff periods that is told and not measured at a site."""

    packs: Packs = field(default_factory=Packs)
    settings: TariffSettings = field(default_factory=TariffSettings)
    surcharge: str | None = None
    """Id of the surcharge pack of the simulation (测算)."""
    calendar: Calendar = field(default_factory=Calendar)

    def bill(
        self,
        site: Site,
        month: date,
        history: History,
        now: datetime,
        as_of: datetime | None = None,
    ) -> pl.DataFrame:
        """Return the LINES of a site's month.

        Args:
            site: whose bill.
            month: its first local day.
            history: blocks, temperatures, reactive registers.
            now: what has ended is expected.
            as_of: state it with what was known then.
        """
        rows = self.intervals(site, month, history, as_of)
        rates = self.rates(site, [month], history, as_of)
        back = self._fed_back(site, month, history, now, as_of)
        return bill(site, month, rows, rates, now, back)

    def periods(
        self,
        site: Site,
        month: date,
        history: History,
        now: datetime,
        as_of: datetime | None = None,
    ) -> pl.DataFrame:
        """Return the BY_PERIOD rows of a site's month; arguments as of `bill`."""
        rows = self.intervals(site, month, history, as_of)
        return month_periods(site, month, rows, self.rates(site, [month], history, as_of), now)

    def intervals(
        self, site: Site, month: date, history: Rows, as_of: datetime | None = None
    ) -> pl.DataFrame:
        """Return the latest INTERVAL rows of a site's main meters over a month."""
        start, end = _bounds(site.timezone, month, next_month(month))
        return history.intervals(start, end, list(mains(site)), as_of)

    def _fed_back(
        self, site: Site, month: date, history: Readings, now: datetime, as_of: datetime | None
    ) -> pl.DataFrame | None:
        """Return FED_BACK rows; None where no power factor is billed."""
        supply = in_force(site.supply, next_month(month) - timedelta(days=1))
        if not self.settings.power_factor or not supply or not supply.power_factor_standard:
            return None
        start, end = _bounds(site.timezone, month, next_month(month))
        rows = history.readings(start - _BESIDE, end + _BESIDE, list(mains(site)))
        if as_of is not None:
            rows = rows.filter(pl.col("received_at") <= as_of)
        return fed_back(rows, Book.of([site]), now)

    def rates(
        self,
        site: Site,
        months: Iterable[date],
        history: Readings,
        as_of: datetime | None = None,
    ) -> Rates:
        """Return tariffs, prices and the hot days of some months of a site.

        Args:
            site: whose days and contract are meant.
            months: first local days, ascending.
            history: where the weather station's readings are.
            as_of: only what was received by then counts.
        """
        ordered = list(months)
        day = next_month(ordered[-1]) - timedelta(days=1)
        adjusted, tiers = self.settings.power_factor, self.surcharge
        return Rates(
            self.packs,
            self.settings.prices,
            pl.concat(self._hot(site, month, history, as_of) for month in ordered),
            self.calendar,
            self.packs.power_factor(adjusted, day) if adjusted else None,
            self.packs.surcharge(tiers, day) if tiers else None,
        )

    def _hot(
        self, site: Site, month: date, history: Readings, as_of: datetime | None
    ) -> pl.DataFrame:
        """Return HOT rows by the temperature of the tariff in force at the month's end."""
        end = next_month(month)
        supply = in_force(site.supply, end - timedelta(days=1))
        pack = self.packs.tariff(supply.tariff, end - timedelta(days=1)) if supply else None
        least = pack.hot.min_c if pack and pack.hot else float("inf")
        return self.hot(site.timezone, least, (month, end), history, as_of)

    def hot(
        self,
        zone: str,
        min_c: float,
        days: tuple[date, date],
        history: Readings,
        as_of: datetime | None = None,
    ) -> pl.DataFrame:
        """Return HOT rows of the local days `[first, end)` of a zone, from `min_c` (°C) on."""
        first, end = days
        start, stop = _bounds(zone, first, end)
        station = self.settings.weather_station
        readings = history.readings(start, stop, [station] if station else [])
        if as_of is not None:
            readings = readings.filter(pl.col("received_at") <= as_of)
        found = hot_days(readings, zone, min_c, self.calendar)
        return found.filter(pl.col("day").is_between(first, end, closed="left"))


def _bounds(zone: str, first: date, end: date) -> tuple[datetime, datetime]:
    """Return the first instants of two local days."""
    frame = pl.DataFrame({"day": [first, end], "timezone": zone})
    start, stop = bounded(frame).sort("day")["start"]
    return start, stop
