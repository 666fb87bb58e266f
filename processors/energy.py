"""What registers gained in each block: active energy with what supports it, and reactive energy."""

from dataclasses import dataclass

import numpy as np

from processors import register
from processors.demand import MINUTE_US
from processors.flags import BIT
from processors.grid import BLOCK_US, Grid
from processors.limits import Floats, Ints, Limits, plausible_gain_kwh
from processors.register import Register

SEAM_US = 16
"""Microseconds a block may lack and be whole: breaks at a known instant leave one at each seam."""


@dataclass(frozen=True, slots=True)
class Between:
    """What a register gained in each wanted block of a grid."""

    amount: Floats
    """kWh; NaN where nothing can be stated."""
    coverage: Floats
    quality: Ints
    """Index into `interval.Quality`."""
    bits: Ints


def boundaries(series: Register, grid: Grid) -> register.Points:
    """Return the register at the end of every row of the grid, held to its first reading."""
    rows = np.diff(np.append(grid.lead, len(grid.start)))
    first = series.t[np.searchsorted(series.code, grid.span.code, "left")]
    return register.evaluate(
        series, grid.code, np.maximum(grid.start + BLOCK_US, np.repeat(first, rows))
    )


def between(series: Register, grid: Grid, p: register.Points, limits: Limits) -> Between:
    """Return the register's gain over each wanted block, with what supports it."""
    now, before = grid.wanted, grid.wanted - 1
    measured = p.covered_us[now] - p.covered_us[before]
    measured = np.where(measured >= BLOCK_US - SEAM_US, BLOCK_US, measured)
    long = p.long_us[now] - p.long_us[before]
    gained = p.v[now] - p.v[before] - _jumped(series, series.jump, p.at[before], p.at[now])
    missing = (measured == 0) & (long == 0)
    coarse = (p.straddle_us[now] > MINUTE_US) | (p.straddle_us[before] > MINUTE_US)
    short = ~missing & (measured + long < BLOCK_US)
    widest = np.maximum(p.straddle_us[now], p.straddle_us[before])
    prolonged = (long > 0) & (widest > limits.prolonged_us[grid.code[now]])
    return Between(
        amount=np.where(missing, np.nan, np.maximum(gained, 0.0)),  # below 0 is noise only
        coverage=measured / BLOCK_US,
        quality=np.select([missing, long > 0, coarse], [3, 2, 1], default=0),
        bits=(long > 0) * np.int64(BIT["gap_spread"])
        + prolonged * np.int64(BIT["prolonged_estimate"])
        + short * np.int64(BIT["partial"]),
    )


def _jumped(series: Register, jump: Floats, first: Ints, last: Ints) -> Floats:
    """Return the sum of `jump` over the segments that end inside each block; jumps are rare."""
    total = np.zeros(len(first))
    for row in np.flatnonzero(series.jumps[first] != series.jumps[last]).tolist():
        total[row] = jump[first[row] : last[row]].sum()
    return total


def reactive_gain(
    series: Register, told: Floats, grid: Grid, limits: Limits, points: register.Points
) -> Floats:
    """Return reactive import energy (kvarh) of each wanted block.

    Its value at a boundary comes from the two readings that straddle it for the energy; NaN unless
    both carry it, where the register fell inside the block, or where it jumped by more than the
    connection can carry (a reset that was taken back).

    Args:
        series: the energy register.
        told: the reactive register at each reading of `series`; NaN where it was not read.
        grid: the blocks asked for.
        limits: per code.
        points: `series` at the block boundaries.
    """
    here = told[points.at]
    beyond = told[np.minimum(points.at + 1, len(told) - 1)]
    value = np.where(points.share > 0, here + (beyond - here) * points.share, here)
    gained: Floats = value[grid.wanted] - value[grid.wanted - 1]
    if series.broken.any():
        first, last = (points.at[grid.wanted - n] for n in (1, 0))
        gained -= _jumped(series, _across(series, told), first, last)
    rated = limits.rated_kw[grid.code[grid.wanted]]
    most = plausible_gain_kwh(rated, np.array([BLOCK_US]))
    gained[(gained < 0) | (gained > most)] = np.nan
    return gained


def _across(series: Register, told: Floats) -> Floats:
    """Return what another register gained from one reading to the next, 0 but over breaks."""
    return np.where(series.broken, np.append(np.diff(told), 0.0), 0.0)


def power_factor(active: Floats, reactive: Floats) -> Floats:
    """Return Wp / sqrt(Wp^2 + Wq^2) after (83)水电财字第215号; NaN where it cannot be stated."""
    apparent = np.hypot(active, reactive)
    factor: Floats = np.full(len(active), np.nan)
    np.divide(active, apparent, out=factor, where=apparent > 0)
    return factor
