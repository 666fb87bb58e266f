"""Where a month's energy is heading: habit by day type, and its bounds. Pure, meters at once.

For each meter the mean and the standard deviation s of a full day's energy are taken over the days
known in the look-back, for working days and rest days apart (Saturday and Sunday rest). Energy not
yet known (days to come, and gaps) is expected at the mean. Its error over n days has two parts:

    scatter of each day     n s²
    drift of the level      n² q (A + B) / 3      A weeks of look-back, B = n / 7 weeks ahead

The level is taken as a random walk of variance q a week; (A + B) / 3 is the variance of the mean
of B weeks of it about the mean of the A weeks before, and q = 3/2 of the mean squared difference of
successive weekly means. Loads drift (weather, terms, orders): with scatter alone a range meant to
hold 80 % of the months of real buildings held 27 %; with drift it holds 80 to 85 %. Scatter of
meters is independent, their drift is taken as common. Bounds are the 10 % and 90 % quantiles of a
normal distribution.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from processors.interval import BLOCK

Floats = NDArray[np.float64]
Z_90 = 1.2816
"""90 % quantile of the standard normal distribution."""
KNOWN_DAY = 0.95
"""Least share of a day that must be known for it to speak for the habit."""
_BLOCK_US = BLOCK.seconds * 1e6  # a float: 96 blocks would overflow the 32 bits of `blocks`


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known: arrays of meters x days; NaN in `energy` where nothing is."""

    axis: tuple[date, ...]
    energy: Floats
    """kWh."""
    share: Floats
    """0..1 of the day with stated energy."""
    due: Floats
    """0..1 of the day whose blocks have ended; NaN without a row."""
    coverage: Floats
    """0..1 of what is due that measurement supports; 0 without a row."""
    estimated: Floats
    """kWh that is estimated."""

    @property
    def rest(self) -> NDArray[np.int64]:
        """Day type of each day: 0 working day, 1 rest day."""
        return np.array([int(day.weekday() >= 5) for day in self.axis], dtype=np.int64)


def ground(days: pl.DataFrame, meters: Sequence[str], axis: Sequence[date]) -> Ground:
    """Spread DAY rows over meters x days; rows of other meters and days are ignored."""
    index = pl.DataFrame({"meter_id": meters}, schema={"meter_id": pl.String()})
    dates = pl.DataFrame({"day": axis}, schema={"day": pl.Date()})
    length = (pl.col("end") - pl.col("start")).dt.total_microseconds()
    rows = (
        days.join(index.with_row_index("m"), on="meter_id")
        .join(dates.with_row_index("d"), on="day")
        .select(
            "m",
            "d",
            energy="energy_kwh",
            share=pl.when(pl.col("energy_kwh").is_null())
            .then(0.0)
            .otherwise(pl.col("blocks") * _BLOCK_US / length)
            .clip(0.0, 1.0),
            due=(pl.col("blocks_expected") * _BLOCK_US / length).clip(0.0, 1.0),
            coverage=pl.col("coverage").fill_null(0.0),
            estimated=pl.col("energy_kwh") * pl.col("estimated_share").fill_null(0.0),
        )
    )
    at = (rows["m"].to_numpy(), rows["d"].to_numpy())

    def spread(name: str, empty: float) -> Floats:
        full = np.full((len(meters), len(axis)), empty)
        full[at] = rows[name].cast(pl.Float64()).fill_null(np.nan).to_numpy()
        return full

    return Ground(
        tuple(axis),
        spread("energy", np.nan),
        spread("share", 0.0),
        spread("due", np.nan),
        spread("coverage", 0.0),
        spread("estimated", np.nan),
    )


@dataclass(frozen=True, slots=True)
class Habit:
    """A full day's energy: means and variances are arrays of meters x (working day, rest day)."""

    mean: Floats
    """kWh; NaN where there is too little history."""
    variance: Floats
    """kWh² of one day about the mean of its type."""
    drift: Floats
    """kWh² a week, by meter: variance of the level's random walk."""
    weeks: float
    """Length of the look-back."""
    days: NDArray[np.int64]
    """Days known in the look-back, by meter."""


def habit(known: Ground, window: slice) -> Habit:
    """Learn the habit from the days of `window`; a type with one day or none takes all days'."""
    share = known.share[:, window]
    usable = share >= KNOWN_DAY
    full = np.where(usable, known.energy[:, window], 0.0) / np.where(usable, share, 1.0)
    kinds = known.rest[window]
    every = _moments(full, usable)
    by_type = [_moments(full, usable & (kinds == kind)) for kind in (0, 1)]
    chosen = [np.where(own[2] >= 2, own, every) for own in by_type]
    mean, variance = (np.stack([one[n] for one in chosen], axis=1) for n in (0, 1))
    drift = _drift(np.where(usable, full - mean[:, kinds], np.nan))
    days = usable.sum(axis=1).astype(np.int64)
    return Habit(mean, variance, drift, full.shape[1] / 7.0, days)


def _moments(full: Floats, usable: NDArray[np.bool_]) -> Floats:
    """Return mean, variance and count by row; NaN mean and variance below two days."""
    count = usable.sum(axis=1).astype(np.float64)
    enough = count >= 2
    mean = np.where(enough, np.where(usable, full, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)
    squares = (np.where(usable, full - mean[:, None], 0.0) ** 2).sum(axis=1)
    variance = np.where(enough, squares / np.maximum(count - 1, 1), np.nan)
    return np.stack([mean, variance, count])


def _drift(residuals: Floats) -> Floats:
    """Return q by row from what is left after the habit; of a single week, its scatter."""
    weeks = residuals.shape[1] // 7
    by_week = residuals[:, residuals.shape[1] - 7 * weeks :].reshape(len(residuals), weeks, 7)
    steps = np.diff(_mean(by_week), axis=1)
    return np.where((~np.isnan(steps)).any(axis=1), 1.5 * _mean(steps**2), _mean(residuals**2))


def _mean(values: Floats) -> Floats:
    """Return the mean over the last axis of what is not NaN; NaN if nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    return np.where(
        count > 0, np.where(known, values, 0.0).sum(axis=-1) / np.maximum(count, 1), np.nan
    )


@dataclass(frozen=True, slots=True)
class Paths:
    """Energy from the month's start to the end of each day, kWh: arrays of sites x days."""

    known: Floats
    expected: Floats
    """Known energy, and the habit for what is not; NaN with too little history."""
    low: Floats
    high: Floats


def paths(known: Ground, of_habit: Habit, month: slice, site: NDArray[np.int64]) -> Paths:
    """Add up each site's month, day by day.

    Args:
        known: what is known.
        of_habit: each meter's habit.
        month: where the month lies on the axis.
        site: index of each meter's site, 0..n without gaps.
    """
    kinds = known.rest[month]
    energy = np.nan_to_num(known.energy[:, month]).cumsum(axis=1)
    unknown = 1.0 - known.share[:, month]
    expected = np.where(unknown > 0, unknown * of_habit.mean[:, kinds], 0.0).cumsum(axis=1)
    scatter = np.where(unknown > 0, unknown**2 * of_habit.variance[:, kinds], 0.0).cumsum(axis=1)
    days = unknown.cumsum(axis=1)
    walk = of_habit.drift[:, None] * (of_habit.weeks + days / 7.0) / 3.0
    drift = np.where(days > 0, days * np.sqrt(walk), 0.0)
    energy, expected, scatter, drift = (
        _by_site(one, site) for one in (energy, expected, scatter, drift)
    )
    path, spread = energy + expected, Z_90 * np.sqrt(scatter + drift**2)
    low = np.maximum.accumulate(np.maximum(path - spread, energy), axis=1)
    return Paths(energy, path, low, path + spread)


def _by_site(values: Floats, site: NDArray[np.int64]) -> Floats:
    total = np.zeros((int(site.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(total, site, values)
    return total


def crossing(path: Floats, level: Floats) -> Floats:
    """Return when each path first exceeds its level, in days from its start; NaN: never.

    Args:
        path: sites x days, value at each day's end; grows from 0.
        level: one a site. Within a day energy is taken as even.
    """
    above = path > level[:, None]
    ever = above.any(axis=1)
    row, first = np.arange(len(path)), above.argmax(axis=1)
    before = np.where(first > 0, path[row, first - 1], 0.0)
    gain = np.where(ever, path[row, first] - before, 1.0)
    return np.where(ever, first + (level - before) / gain, np.nan)
