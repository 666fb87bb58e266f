"""A sheet: the quota accounts of one time zone in one month or year, as arrays. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from collector.dated import Dated, in_force
from collector.site import Site
from processors.calendar import Calendar
from processors.calibration import HORIZON_DAYS, multiples
from processors.intensity import mains
from processors.outlook import (
    Floats,
    Ground,
    Habit,
    Paths,
    course,
    crossing,
    ground,
    habit,
    kinds_of,
    paths,
)
from processors.ranges import Ranges, history_from, rows_of


class Span(StrEnum):
    """What a quota is for."""

    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Terms:
    """What is to be stated, and from how much history."""

    now: datetime
    """The instant of the statement."""
    lookback_days: int = 28
    """History the projection rests on."""
    first: date | None = None
    """First day of the month or year; None: the one running at each site."""
    span: Span = Span.MONTH
    calendar: Calendar | None = None
    """Day types the bureau tells."""
    ranges: Ranges | None = None
    """None: learned from the history in the rows given."""

    def begin(self, today: date) -> date:
        """Return the first day of the span."""
        first = (self.first or today).replace(day=1)
        return first if self.span is Span.MONTH else first.replace(month=1)

    def end(self, begin: date) -> date:
        """Return the first day after it."""
        if self.span is Span.YEAR:
            return begin.replace(year=begin.year + 1)
        return (begin + timedelta(days=31)).replace(day=1)

    def quotas(self, site: Site) -> tuple[Dated, ...]:
        """Return the quotas meant."""
        return site.quota_month_kwh if self.span is Span.MONTH else site.quota_year_kwh


@dataclass(frozen=True, slots=True)
class Sheet:
    """The accounts of one time zone in one month or year."""

    sites: Sequence[Site]
    quotas: Sequence[Dated]
    now: datetime
    bounds: Floats
    """Instants at which the span's days begin, and its end, epoch seconds."""
    month: slice
    site_of: NDArray[np.int64]
    """Index of each meter's site."""
    known: Ground
    habit: Habit
    paths: Paths
    forecasts: NDArray[np.int64]
    """Past forecasts each site's range at the end is learned from; 0: none."""

    @property
    def elapsed(self) -> Floats:
        """Share of each day of the span that has passed, 0..1."""
        starts, ends = self.bounds[:-1], self.bounds[1:]
        passed = (self.now.timestamp() - starts) / (ends - starts)
        return np.asarray(np.clip(passed, 0.0, 1.0))

    @property
    def quota(self) -> Floats:
        """Quotas in kWh."""
        return np.array([one.value for one in self.quotas])

    def so_far(self) -> dict[str, Floats]:
        """Return what is known of each account, NaN where nothing is; names as in ACCOUNT."""
        energy, share = self.known.energy[:, self.month], self.known.share[:, self.month]
        due, elapsed = self.known.due[:, self.month], self.elapsed
        lacking = np.maximum(np.where(np.isnan(due), elapsed, due) - share, 0.0)
        stated = self._sum((~np.isnan(energy)).astype(np.float64))
        total = np.where(stated > 0, self._sum(np.nan_to_num(energy)), np.nan)
        estimated = self._sum(np.nan_to_num(self.known.estimated[:, self.month]))
        passed = self._sum(np.broadcast_to(elapsed, energy.shape))
        covered = self._sum(self.known.coverage[:, self.month] * elapsed)
        basis = np.full(len(self.sites), np.inf)
        np.minimum.at(basis, self.site_of, self.habit.days)
        return {
            "energy_kwh": total,
            "coverage": _ratio(covered, passed),
            "estimated_share": _ratio(estimated, total),
            "missing_days": self._sum(lacking),
            "basis_days": basis,
        }

    def _sum(self, by_meter: Floats) -> Floats:
        """Add up meters x days to sites."""
        total = np.zeros(len(self.sites))
        np.add.at(total, self.site_of, by_meter.sum(axis=1))
        return total

    def crossings(self) -> dict[str, list[datetime | None]]:
        """Return when each quota was, or is expected to be, used up; names as in ACCOUNT.

        Once the energy stated is above the quota the three are one and the same instant; until
        then none can lie in the past, whatever the gaps are expected to hold.
        """
        now = self.now.timestamp()
        was = self._instants(self.paths.known, np.minimum(self.bounds[1:], now))
        found = {}
        for name, path in (
            ("crosses_at", self.paths.expected),
            ("crosses_early", self.paths.high),
            ("crosses_late", self.paths.low),
        ):
            will = np.maximum(self._instants(path, self.bounds[1:]), now)
            merged = np.where(np.isnan(was), will, was)
            found[name] = [
                None if np.isnan(one) else datetime.fromtimestamp(round(float(one)), UTC)
                for one in merged
            ]
        return found

    def _instants(self, path: Floats, ends: Floats) -> Floats:
        at = crossing(path, self.quota)
        day = np.nan_to_num(at).astype(np.int64).clip(0, len(ends) - 1)
        starts = self.bounds[:-1]
        return np.where(np.isnan(at), np.nan, starts[day] + (at - day) * (ends[day] - starts[day]))


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, where=below > 0, out=np.full_like(below, np.nan))


def sheets(days: pl.DataFrame, sites: Iterable[Site], terms: Terms) -> list[Sheet]:
    """Lay out the sheets of all sites with a quota in force; one for each time zone.

    The quota that counts is the one in force on the day of the statement, for a past span on its
    last day. `days` are those of `processors.quota.accounts`.
    """
    by_zone: dict[str, list[Site]] = {}
    for site in sites:
        if terms.quotas(site) and mains(site):
            by_zone.setdefault(site.timezone, []).append(site)
    found = [_sheet(days, group, zone, terms) for zone, group in by_zone.items()]
    return [one for one in found if one is not None]


def _sheet(days: pl.DataFrame, group: list[Site], zone: str, terms: Terms) -> Sheet | None:
    today = terms.now.astimezone(ZoneInfo(zone)).date()
    first = terms.begin(today)
    end = terms.end(first)
    stated = min(max(today, first), end - timedelta(days=1))
    quotas = {one.id: in_force(terms.quotas(one), stated) for one in group}
    held = [(one, quota) for one in group if (quota := quotas[one.id]) is not None]
    if not held:
        return None
    until = min(max(today, first), end)
    axis = _axis(days, first, until, end, terms.lookback_days)
    meters = [(meter, n) for n, (site, _) in enumerate(held) for meter in mains(site)]
    site_of = np.array([n for _, n in meters], dtype=np.int64)
    known = ground(days, [meter for meter, _ in meters], axis, kinds_of(axis, zone, terms.calendar))
    back = (until - axis[0]).days
    learned = habit(known, slice(back - terms.lookback_days, back))
    span = slice((first - axis[0]).days, len(axis))
    multiple, forecasts = (
        multiples(known, site_of, back, terms.lookback_days)
        if terms.ranges is None
        else rows_of(terms.ranges, [site for site, _ in held])
    )
    ahead = np.clip(np.arange(span.start, span.stop) - back, 0, HORIZON_DAYS - 1)
    return Sheet(
        sites=[site for site, _ in held],
        quotas=[quota for _, quota in held],
        now=terms.now,
        bounds=np.array([_midnight(day, zone).timestamp() for day in [*axis[span], end]]),
        month=span,
        site_of=site_of,
        known=known,
        habit=learned,
        paths=paths(course(known, learned, span, site_of), multiple[:, ahead]),
        forecasts=forecasts[:, ahead[-1]],
    )


def _axis(
    days: pl.DataFrame, first: date, until: date, end: date, lookback_days: int
) -> list[date]:
    """Return the days from the first of the history that has rows to the span's last."""
    oldest = days["day"].min()
    least = min(first, until - timedelta(days=lookback_days))
    if isinstance(oldest, date):
        least = min(least, max(history_from(until), oldest))
    return [least + timedelta(days=n) for n in range((end - least).days)]


def _midnight(day: date, zone: str) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
