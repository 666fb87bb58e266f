"""A sheet: the quota accounts of one time zone in one month or year, as arrays. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from collector.dated import Dated, in_force
from collector.site import Site
from processors.calibration import (
    HORIZON_DAYS,
    Z_90,
    Range,
    crossing_multiples,
    multiples,
    past,
    reach,
    rows_of,
)
from processors.intensity import mains
from processors.outlook import (
    Floats,
    Ground,
    Habit,
    Paths,
    Season,
    course,
    crossing,
    ground,
    habit,
    kinds_of,
    paths,
)
from processors.terms import Span, Terms
from processors.yearbefore import season

YEAR_BEFORE, NO_SEASON = "year_before", "none"
SEASONED = 0.9
"""Standard errors the range of a year with a season spans beyond what is learned: of the buildings
of docs/arithmetic-quotas.md it holds 80 % of one half and 78 % of the other."""


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
    season: NDArray[np.bool_]
    """Which sites' meters all have a season of the year before."""
    range: Range
    paths: Paths
    dates: Paths
    """With the bounds for the crossing."""
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

    def seasons(self, span: Span) -> list[str | None]:
        """Return what season each projection rests on; None: it needs none."""
        told = [YEAR_BEFORE if one else NO_SEASON for one in self.season]
        return list(told) if span is Span.YEAR else [None] * len(told)

    def _sum(self, by_meter: Floats) -> Floats:
        """Add up meters x days to sites."""
        total = np.zeros(len(self.sites))
        np.add.at(total, self.site_of, by_meter.sum(axis=1))
        return total

    def crossings(self) -> dict[str, list[datetime | None]]:
        """Return when each quota was, or is expected to be, used up; names as in ACCOUNT.

        The range is whole days: from the first instant of one to the last second of another. Once
        the energy stated is above the quota the three are one and the same instant; until then none
        can lie in the past, whatever the gaps are expected to hold.
        """
        now, ends = self.now.timestamp(), self.bounds[1:]
        starts = self.bounds[:-1]
        was = self._instants(self.paths.known, np.minimum(ends, now), starts)
        will = {
            "crosses_at": self._instants(self.paths.expected, ends, starts),
            "crosses_early": self._instants(self.dates.high, starts, starts),
            "crosses_late": self._instants(self.dates.low, ends - 1, ends - 1),
        }
        return {
            name: [
                None if np.isnan(one) else datetime.fromtimestamp(round(float(one)), UTC)
                for one in np.where(np.isnan(was), np.maximum(when, now), was)
            ]
            for name, when in will.items()
        }

    def _instants(self, path: Floats, ends: Floats, starts: Floats) -> Floats:
        at = crossing(path, self.quota)
        day = np.nan_to_num(at).astype(np.int64).clip(0, len(ends) - 1)
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
    axis = _axis(days, first, until, end, terms)
    meters = [(meter, n) for n, (site, _) in enumerate(held) for meter in mains(site)]
    site_of = np.array([n for _, n in meters], dtype=np.int64)
    known = ground(days, [meter for meter, _ in meters], axis, kinds_of(axis, zone, terms.calendar))
    begun = _Begun(terms, known, site_of, (first - axis[0]).days, (until - axis[0]).days)
    values = np.array([one.value for _, one in held])
    of = (
        begun.range(values) if terms.ranges is None else rows_of(terms.ranges, [s for s, _ in held])
    )
    ahead = np.arange(begun.first, len(axis)) - begun.until
    beyond = np.where(begun.seasonal, SEASONED, Z_90)
    energy = reach(of.multiple, ahead, beyond)
    own = of.crossing[:, None]
    return Sheet(
        sites=[site for site, _ in held],
        quotas=[quota for _, quota in held],
        now=terms.now,
        bounds=np.array([_midnight(day, zone).timestamp() for day in [*axis[begun.span], end]]),
        month=begun.span,
        site_of=site_of,
        known=known,
        habit=begun.habit,
        season=begun.seasonal,
        range=of,
        paths=paths(begun.course, energy),
        dates=paths(begun.course, np.where(np.isnan(own), energy, own)),
        forecasts=np.where(
            ahead[-1] < HORIZON_DAYS, of.forecasts[:, min(ahead[-1], HORIZON_DAYS - 1)], 0
        ),
    )


def _at_end(forecasts: NDArray[np.int64], last: int) -> NDArray[np.int64]:
    """Return the past forecasts the range of the last day rests on; too far ahead: none."""
    near = forecasts[:, max(min(last, HORIZON_DAYS - 1), 0)]
    return near if last < HORIZON_DAYS else np.zeros_like(near)


class _Begun:
    """A span begun: what is known of it, and what is expected of the rest."""

    def __init__(
        self, terms: Terms, known: Ground, site_of: NDArray[np.int64], first: int, until: int
    ) -> None:
        """Learn the habit from the days before index `until`; `first` is where the span begins."""
        self.known, self.site_of, self.first, self.until = known, site_of, first, until
        self.lookback, self.end = terms.lookback_days, len(known.axis)
        self.span = slice(first, self.end)
        self.habit = habit(known, slice(until - self.lookback, until))
        self.season: Season | None = None
        if terms.span is Span.YEAR:
            self.season = season(known, until, self.end, self.lookback)
        self.course = course(known, self.habit, self.span, site_of, season=self.season)

    @property
    def seasonal(self) -> NDArray[np.bool_]:
        """Which sites' meters all have a season."""
        has = np.ones(int(self.site_of.max(initial=-1)) + 1, dtype=np.bool_)
        np.logical_and.at(has, self.site_of, self.season.known if self.season else False)
        return has

    def range(self, quota: Floats) -> Range:
        """Learn the ranges from the weeks before; the crossing's if the end is near enough."""
        of = past(self.known, self.site_of, self.until, self.lookback)
        multiple, forecasts = multiples(of)
        left = self.end - self.until
        unknown = np.full(len(quota), np.nan)
        if not 1 <= left <= HORIZON_DAYS:
            return Range(multiple, forecasts, unknown)
        days = slice(self.until, self.end)
        rest = course(
            self.known, self.habit, days, self.site_of, blind=True, season=self.season
        ).expected[:, -1]
        begun = self.until > self.first
        used = self.course.expected[:, self.until - self.first - 1] if begun else 0.0
        share = np.divide(quota - used, rest, where=rest > 0, out=unknown)
        return Range(multiple, forecasts, crossing_multiples(of, share, left))


def _axis(days: pl.DataFrame, first: date, until: date, end: date, terms: Terms) -> list[date]:
    """Return the days from the first of the history that has rows to the span's last."""
    oldest = days["day"].min()
    least = min(first, until - timedelta(days=terms.lookback_days))
    if isinstance(oldest, date):
        least = min(least, max(terms.history(first, until), oldest))
    return [least + timedelta(days=n) for n in range((end - least).days)]


def _midnight(day: date, zone: str) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
