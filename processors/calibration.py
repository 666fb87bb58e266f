"""How wide a range must be to hold four cases in five: learned from a site's own past. Pure.

From each of the past weeks of the history (same weekday as the day of the statement) the habit is
learned anew from the days before it, and what it would have forecast for the next h days is set
against what came:

    score = |energy - forecast| / standard error      of every past week, for each horizon h

The range spans the ceil(0.8 (n + 1))-th smallest of the n scores (split conformal prediction: Vovk,
Gammerman, Shafer, Algorithmic Learning in a Random World, 2005, section 4.2; scaled residuals: Lei
et al., J. Am. Stat. Assoc. 113 (2018), section 5.2). Below `LEAST` scores it spans the 1.2816
standard errors of a normal distribution. Only days before the statement are used.
"""

import numpy as np
from numpy.typing import NDArray

from processors.outlook import KNOWN_DAY, Floats, Ground, by_site, course, habit

HOLDS = 0.8
"""Share of cases the range is to hold."""
Z_90 = 1.2816
"""90 % quantile of the standard normal distribution."""
HORIZON_DAYS = 31
"""Longest horizon that is learned; beyond, its multiple holds."""
LEAST = 8
"""Scores below which the normal distribution is taken."""


def multiples(
    known: Ground, site: NDArray[np.int64], until: int, lookback: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Learn the range of each site.

    Args:
        known: what is known.
        site: index of each meter's site.
        until: index of the first day that is not history.
        lookback: days each habit is learned from.

    Returns:
        Standard errors the range spans, sites x horizons (1..HORIZON_DAYS days), and the number of
        past forecasts each rests on (0: the normal distribution).
    """
    sites = int(site.max(initial=-1)) + 1
    starts = range(until - 7, lookback - 1, -7)
    scores = np.full((len(starts), sites, HORIZON_DAYS), np.nan)
    for n, start in enumerate(starts):
        ahead = slice(start, min(start + HORIZON_DAYS, until))
        learned = habit(known, slice(start - lookback, start))
        forecast = course(known, learned, ahead, site, blind=True)
        came = _came(known, ahead, site)
        with np.errstate(invalid="ignore", divide="ignore"):
            score = np.abs(came - forecast.expected) / forecast.error
        scores[n, :, : score.shape[1]] = score
    return _smallest(scores)


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
