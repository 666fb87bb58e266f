"""Where a month's or year's energy is heading: habit by day type, and its error. Pure.

For each meter the mean and the standard deviation s of a full day's energy are taken over the days
known in the look-back, for working days, rest days and public holidays apart. Energy not yet known
(days to come, and gaps) is expected at the mean. Its error over n days has two parts:

    scatter of each day     n s²
    drift of the level      n² q (A + B) / 3      A weeks of look-back, B = n / 7 weeks ahead

The level is taken as a random walk of variance q a week; (A + B) / 3 is the variance of the mean
of B weeks of it about the mean of the A weeks before, and q = 3/2 of the mean squared difference of
successive weekly means. Loads drift (weather, terms, orders): with scatter alone a range meant to
hold 80 % of the months of real buildings held 27 %. Scatter of meters is independent, their drift
is taken as common. How many of these standard errors the range spans is learned from the site's own
past forecasts (`processors.calibration`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from processors.calendar import AT_WORK, Calendar, DayType, day_types
from processors.interval import BLOCK

Floats = NDArray[np.float64]
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

    kinds: NDArray[np.int64]
    """Type of each day: 0 working day (make-up days too), 1 rest day, 2 public holiday."""


def kinds_of(axis: Sequence[date], zone: str, calendar: Calendar | None) -> NDArray[np.int64]:
    """Return the type of each day; where no notice is known, Saturday and Sunday rest."""
    known = {DayType.REST.value: 1, DayType.HOLIDAY.value: 2} | dict.fromkeys(AT_WORK, 0)
    types = day_types(axis, zone, calendar)
    return np.array(
        [known.get(one, int(day.weekday() >= 5)) for one, day in zip(types, axis, strict=True)],
        dtype=np.int64,
    )


def ground(
    days: pl.DataFrame, meters: Sequence[str], axis: Sequence[date], kinds: NDArray[np.int64]
) -> Ground:
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
        kinds,
    )


@dataclass(frozen=True, slots=True)
class Habit:
    """A full day's energy: arrays of meters x (working day, rest day, holiday)."""

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
    """Learn the habit from the days of `window`.

    A type with one day or none takes all days'; holidays then take the rest days' first.
    """
    share = known.share[:, window]
    usable = share >= KNOWN_DAY
    full = np.where(usable, known.energy[:, window], 0.0) / np.where(usable, share, 1.0)
    kinds = known.kinds[window]
    every = _moments(full, usable)
    by_type = [_moments(full, usable & (kinds == kind)) for kind in (0, 1, 2)]
    chosen = [np.where(own[2] >= 2, own, every) for own in by_type]
    chosen[2] = np.where(by_type[2][2] >= 2, by_type[2], chosen[1])
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


class Season(NamedTuple):
    """How much more or less than by habit is expected on a day (`processors.yearbefore`)."""

    weights: Floats
    """Meters x days of the axis; 1 where no season is known."""
    known: NDArray[np.bool_]
    """By meter."""


@dataclass(frozen=True, slots=True)
class Course:
    """Cumulated energy of sites x days from the first day of a span."""

    known: Floats
    """kWh."""
    expected: Floats
    """kWh: known energy, and the habit for what is not; NaN with too little history."""
    error: Floats
    """Standard error of `expected`, kWh."""


def course(
    known: Ground,
    of_habit: Habit,
    span: slice,
    site: NDArray[np.int64],
    *,
    blind: bool = False,
    season: Season | None = None,
) -> Course:
    """Add up each site's days from the start of a span.

    Args:
        known: what is known.
        of_habit: each meter's habit.
        span: days on the axis.
        site: index of each meter's site, 0..n without gaps.
        blind: forecast all days, as if nothing of the span were known.
        season: of a year's account. A level whose season is known drifts no further ahead than
            the look-back is long.
    """
    kinds, share = known.kinds[span], known.share[:, span]
    energy = np.nan_to_num(known.energy[:, span]).cumsum(axis=1)
    unknown = np.ones_like(share) if blind else 1.0 - share
    if season is not None:
        unknown = unknown * season.weights[:, span]
    expected = np.where(unknown > 0, unknown * of_habit.mean[:, kinds], 0.0).cumsum(axis=1)
    scatter = np.where(unknown > 0, unknown**2 * of_habit.variance[:, kinds], 0.0).cumsum(axis=1)
    days = unknown.cumsum(axis=1)
    ahead = days / 7.0
    if season is not None:
        ahead = np.where(season.known[:, None], np.minimum(ahead, of_habit.weeks), ahead)
    walk = of_habit.drift[:, None] * (of_habit.weeks + ahead) / 3.0
    drift = np.where(days > 0, days * np.sqrt(walk), 0.0)
    energy, expected, scatter, drift = (
        by_site(one, site) for one in (energy, expected, scatter, drift)
    )
    return Course(energy, expected if blind else energy + expected, np.sqrt(scatter + drift**2))


@dataclass(frozen=True, slots=True)
class Paths:
    """Energy from the period's start to the end of each day, kWh: arrays of sites x days."""

    known: Floats
    expected: Floats
    low: Floats
    high: Floats


def paths(of: Course, multiple: Floats) -> Paths:
    """Open the range: `multiple` standard errors (sites x days) to either side."""
    spread = multiple * of.error
    low = np.maximum.accumulate(np.maximum(of.expected - spread, of.known), axis=1)
    return Paths(of.known, of.expected, low, of.expected + spread)


def by_site(values: Floats, site: NDArray[np.int64]) -> Floats:
    """Add up meters x days to sites x days."""
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
