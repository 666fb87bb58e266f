"""A sheet: the quota accounts of one time zone in one month, as arrays. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from collector.site import Dated, Site, in_force
from processors.intensity import mains
from processors.outlook import Floats, Ground, Habit, Paths, crossing, ground, habit, paths


@dataclass(frozen=True, slots=True)
class Sheet:
    """The accounts of one time zone in one month."""

    sites: Sequence[Site]
    quotas: Sequence[Dated]
    now: datetime
    bounds: Floats
    """Instants at which the month's days begin, and its end, epoch seconds."""
    month: slice
    site_of: NDArray[np.int64]
    """Index of each meter's site."""
    known: Ground
    habit: Habit
    paths: Paths

    @property
    def elapsed(self) -> Floats:
        """Share of each day of the month that has passed, 0..1."""
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


def sheets(
    days: pl.DataFrame,
    sites: Iterable[Site],
    now: datetime,
    lookback_days: int,
    month: date | None,
) -> list[Sheet]:
    """Lay out the sheets of all sites with a quota in force; one for each time zone.

    The quota that counts is the one in force on the day of the statement, for a past month on its
    last day. Arguments are those of `processors.quota.accounts`.
    """
    by_zone: dict[str, list[Site]] = {}
    for site in sites:
        if site.quota_month_kwh and mains(site):
            by_zone.setdefault(site.timezone, []).append(site)
    found = [
        _sheet(days, group, zone, now, lookback_days, month) for zone, group in by_zone.items()
    ]
    return [one for one in found if one is not None]


def _sheet(
    days: pl.DataFrame,
    group: list[Site],
    zone: str,
    now: datetime,
    lookback_days: int,
    month: date | None,
) -> Sheet | None:
    today = now.astimezone(ZoneInfo(zone)).date()
    first = (month or today).replace(day=1)
    end = (first + timedelta(days=31)).replace(day=1)
    stated = min(max(today, first), end - timedelta(days=1))
    quotas = {one.id: in_force(one.quota_month_kwh, stated) for one in group}
    held = [(one, quota) for one in group if (quota := quotas[one.id]) is not None]
    if not held:
        return None
    until = min(max(today, first), end)
    begin = min(first, until - timedelta(days=lookback_days))
    axis = [begin + timedelta(days=n) for n in range((end - begin).days)]
    meters = [(meter, n) for n, (site, _) in enumerate(held) for meter in mains(site)]
    site_of = np.array([n for _, n in meters], dtype=np.int64)
    known = ground(days, [meter for meter, _ in meters], axis)
    back = (until - begin).days
    learned = habit(known, slice(back - lookback_days, back))
    span = slice((first - begin).days, len(axis))
    midnights = [*axis[span], end]
    return Sheet(
        sites=[site for site, _ in held],
        quotas=[quota for _, quota in held],
        now=now,
        bounds=np.array([_midnight(day, zone).timestamp() for day in midnights]),
        month=span,
        site_of=site_of,
        known=known,
        habit=learned,
        paths=paths(known, learned, span, site_of),
    )


def _midnight(day: date, zone: str) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
