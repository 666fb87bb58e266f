"""How wide a range must be to hold four cases in five: learned from a site's own past. Pure.

From each of the past weeks of the history (same weekday as the day of the statement) the habit is
learned anew from the days before it, and what it would have forecast for the next h days is set
against what came:

    energy:   score = |energy - forecast| / standard error      of every past week, for each h
    crossing: score = the least multiple of the standard error whose range of days would have held
              the day on which the same share of the forecast as is left of the quota today was
              used up, or that it was not within the days that are left today

The range spans the ceil(0.8 (n + 1))-th smallest of the n scores (split conformal prediction: Vovk,
Gammerman, Shafer, Algorithmic Learning in a Random World, 2005, section 4.2; scaled residuals: Lei
et al., J. Am. Stat. Assoc. 113 (2018), section 5.2). Below `LEAST` scores it spans the 1.2816
standard errors of a normal distribution. Only days before the statement are used.

The crossing has scores of its own: taken from the energy's, its days held the truth in 92 % of real
cases and not in 80 %, for a range covers whole days and its late end is open near the quota.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.site import Site
from processors.outlook import KNOWN_DAY, Floats, Ground, by_site, course, habit

HOLDS = 0.8
"""Share of cases the range is to hold."""
Z_90 = 1.2816
"""90 % quantile of the standard normal distribution."""
HORIZON_DAYS = 31
"""Longest horizon that is learned."""
HISTORY_DAYS = 182
"""Days before the statement that a range is learned from."""
LEAST = 8
"""Scores below which the normal distribution is taken."""


class Range(NamedTuple):
    """One site's, or with sites as first axis many sites', in standard errors to either side."""

    multiple: Floats
    """Of the energy, for horizons of 1..HORIZON_DAYS days."""
    forecasts: NDArray[np.int64]
    """Past forecasts that rests on; 0: too few, the normal distribution."""
    crossing: Floats
    """Of the day on which the quota is used up; NaN: that of the energy."""


Ranges = Mapping[str, Range]
"""Site id -> Range."""


def history_from(day: date) -> date:
    """Return the first local day whose DAY rows a range for a statement on `day` wants."""
    return day - timedelta(days=HISTORY_DAYS)


def rows_of(ranges: Ranges, sites: Iterable[Site]) -> Range:
    """Return the ranges of sites as one, sites first."""
    normal = np.full(HORIZON_DAYS, Z_90)
    unknown = Range(normal, np.zeros(HORIZON_DAYS, dtype=np.int64), np.array(np.nan))
    chosen = [ranges.get(one.id, unknown) for one in sites]
    return Range(*(np.stack(part) for part in zip(*chosen, strict=True)))


def reach(multiple: Floats, ahead: NDArray[np.int64], beyond: Floats) -> Floats:
    """Return the multiples at days ahead, sites x days.

    Args:
        multiple: learned, sites x horizons.
        ahead: 0-based horizons, any length.
        beyond: multiple of each site that one learned for HORIZON_DAYS fades to, by their share in
            the horizon.
    """
    near = multiple[:, np.clip(ahead, 0, HORIZON_DAYS - 1)]
    fading = np.minimum(HORIZON_DAYS / (np.maximum(ahead, 0) + 1.0), 1.0)
    return beyond[:, None] + (near - beyond[:, None]) * fading


@dataclass(frozen=True, slots=True)
class Past:
    """Past forecasts: arrays of weeks x sites x horizons (1..HORIZON_DAYS days), in kWh."""

    came: Floats
    """Cumulated from the forecast on; NaN from the first gap, and the present, on."""
    expected: Floats
    error: Floats
    """Standard error."""


def past(known: Ground, site: NDArray[np.int64], until: int, lookback: int) -> Past:
    """Make the forecasts of the past weeks anew.

    Args:
        known: what is known.
        site: index of each meter's site.
        until: index of the first day that is not history.
        lookback: days each habit is learned from.
    """
    sites = int(site.max(initial=-1)) + 1
    starts = range(until - 7, max(lookback, until - HISTORY_DAYS + lookback) - 1, -7)
    came, expected, error = np.full((3, len(starts), sites, HORIZON_DAYS), np.nan)
    for n, start in enumerate(starts):
        ahead = slice(start, min(start + HORIZON_DAYS, until))
        learned = habit(known, slice(start - lookback, start))
        forecast = course(known, learned, ahead, site, blind=True)
        reach = ahead.stop - ahead.start
        came[n, :, :reach] = _came(known, ahead, site)
        expected[n, :, :reach], error[n, :, :reach] = forecast.expected, forecast.error
    return Past(came, expected, error)


def multiples(of: Past) -> tuple[Floats, NDArray[np.int64]]:
    """Learn the range of the energy.

    Returns:
        Standard errors it spans to either side, sites x horizons, and the number of past forecasts
        each rests on (0: the normal distribution).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return _smallest(np.abs(of.came - of.expected) / of.error)


def crossing_multiples(of: Past, share: Floats, days: int) -> Floats:
    """Learn the range of the day on which a quota is used up, by site.

    Args:
        of: past forecasts.
        share: what is left of each site's quota over what is expected in the days to come.
        days: how many these are, at most HORIZON_DAYS.

    Returns:
        Standard errors it spans to either side.
    """
    level = share * of.expected[:, :, days - 1]
    above = of.came[:, :, :days] > level[:, :, None]
    last = np.where(above.any(axis=2), above.argmax(axis=2), days)
    late = _by_which(of, level, last - 1, early=False)
    score = np.maximum(late, np.where(last < days, _by_which(of, level, last, early=True), 0.0))
    told = (last < days) | ~np.isnan(of.came[:, :, days - 1])
    return _smallest(np.where(told & ~np.isnan(level), score, np.nan))[0]


def _by_which(of: Past, level: Floats, day: NDArray[np.int64], *, early: bool) -> Floats:
    """Return by how many standard errors the forecast at a day's end is on the wrong side."""
    at = np.clip(day, 0, HORIZON_DAYS - 1)[:, :, None]
    value, error = (np.take_along_axis(one, at, axis=2)[:, :, 0] for one in (of.expected, of.error))
    beside = level - value if early else value - level
    wrong = (beside > 0) & (day >= 0)
    with np.errstate(divide="ignore"):
        return np.where(wrong, np.divide(beside, error, where=wrong, out=np.zeros_like(level)), 0.0)


def _came(known: Ground, span: slice, site: NDArray[np.int64]) -> Floats:
    """Return the energy cumulated over whole days by site; NaN from the first gap on."""
    share = known.share[:, span]
    whole = np.where(share >= KNOWN_DAY, known.energy[:, span] / np.maximum(share, KNOWN_DAY), 0.0)
    gap = by_site((share < KNOWN_DAY).astype(np.float64), site).cumsum(axis=1)
    return np.where(gap > 0, np.nan, by_site(whole.cumsum(axis=1), site))


def _smallest(scores: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Return the order statistic over the first axis, and of how many; infinite ones count."""
    count = (~np.isnan(scores)).sum(axis=0)
    if not len(scores):
        return np.full(scores.shape[1:], Z_90), count
    rank = np.minimum(np.ceil(HOLDS * (count + 1)).astype(np.int64), count) - 1
    ranked = np.sort(scores, axis=0)  # NaN last
    chosen = np.take_along_axis(ranked, np.maximum(rank, 0)[None], axis=0)[0]
    usable = (count >= LEAST) & np.isfinite(chosen)
    return np.where(usable, chosen, Z_90), np.where(usable, count, 0)
