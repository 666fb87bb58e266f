"""RANGES: how wide each site's range must be, learned once a day from a long history. Pure."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from collector.site import Site
from processors.calendar import Calendar
from processors.calibration import HORIZON_DAYS, Z_90, multiples
from processors.intensity import mains
from processors.outlook import Floats, ground, kinds_of

HISTORY_DAYS = 182
"""Days before the statement that a range is learned from."""


class Range(NamedTuple):
    """One site's, for horizons of 1..HORIZON_DAYS days."""

    multiple: Floats
    """Standard errors the range spans to either side."""
    forecasts: NDArray[np.int64]
    """Past forecasts that rests on; 0: too few, the normal distribution."""


Ranges = Mapping[str, Range]
"""Site id -> Range."""


def history_from(day: date) -> date:
    """Return the first local day whose DAY rows `learn` wants for a statement on `day`."""
    return day - timedelta(days=HISTORY_DAYS)


def learn(
    days: pl.DataFrame,
    sites: Iterable[Site],
    now: datetime,
    lookback_days: int = 28,
    calendar: Calendar | None = None,
) -> dict[str, Range]:
    """Learn the ranges of statements made on the local day of `now`, from the days before it.

    Args:
        days: DAY rows of the main meters from `history_from` on; later ones are ignored.
        sites: those without a main meter are left out.
        now: any instant of the day.
        lookback_days: history a projection rests on.
        calendar: day types the bureau tells.
    """
    zones: dict[str, list[Site]] = {}
    for site in sites:
        if mains(site):
            zones.setdefault(site.timezone, []).append(site)
    found: dict[str, Range] = {}
    for zone, group in zones.items():
        until = now.astimezone(ZoneInfo(zone)).date()
        oldest = days["day"].min()
        first = max(history_from(until), oldest) if isinstance(oldest, date) else until
        axis = [first + timedelta(days=n) for n in range((until - first).days)]
        meters = [(meter, n) for n, site in enumerate(group) for meter in mains(site)]
        site_of = np.array([n for _, n in meters], dtype=np.int64)
        names = [meter for meter, _ in meters]
        known = ground(days, names, axis, kinds_of(axis, zone, calendar))
        multiple, forecasts = multiples(known, site_of, len(axis), lookback_days)
        found |= {one.id: Range(multiple[n], forecasts[n]) for n, one in enumerate(group)}
    return found


def rows_of(ranges: Ranges, sites: Iterable[Site]) -> tuple[Floats, NDArray[np.int64]]:
    """Return the multiples and numbers of forecasts of sites, each sites x horizons."""
    unknown = Range(np.full(HORIZON_DAYS, Z_90), np.zeros(HORIZON_DAYS, dtype=np.int64))
    chosen = [ranges.get(one.id, unknown) for one in sites]
    return np.stack([one.multiple for one in chosen]), np.stack([one.forecasts for one in chosen])
