"""Load shapes of virtual meters: power at an instant, and its exact integral, both closed formulas.

Power is piecewise linear over the day (5-minute knots), times a factor of the day (season, week,
chance), plus a ripple of whole cycles a day: energy is exactly the integral of power, and any
instant, years apart, costs the same. The day shapes are our own: a subtropical city has shops that
open from 10 to 22 and cool all afternoon; the published European standard profiles (BDEW) show
neither, and reading them takes a second and pandas.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAY_S = 86_400
KNOT_S = 300
MONDAY_S = 1_704_067_200
"""2024-01-01T00:00Z, a Monday: day 0 of the cycle."""
CYCLE = 364
"""Days after which the day factors repeat: 52 weeks, so that Mondays stay Mondays."""

_DAYS: dict[str, tuple[str, str, str]] = {
    # local hour=share of the peak; on a working day, a Saturday, a Sunday
    "one_shift": (
        (
            "0=0.12 7.5=0.14 8.2=0.85 11.9=0.95 12.1=0.5 13.4=0.55 "
            "13.6=0.97 17.4=0.92 18=0.3 19=0.14 24=0.12"
        ),
        "0=0.12 8=0.15 8.5=0.5 12=0.5 12.5=0.15 24=0.12",
        "0=0.12 24=0.12",
    ),
    "two_shift": (
        (
            "0=0.3 0.3=0.16 7.5=0.16 8.2=0.9 11.9=0.96 12.2=0.68 12.9=0.9 16=1 "
            "16.2=0.75 16.6=0.92 19.5=0.7 20=0.9 23.7=0.85 24=0.3"
        ),
        "0=0.3 0.3=0.16 7.5=0.16 8.2=0.8 16=0.82 16.4=0.3 24=0.16",
        "0=0.16 9=0.2 16=0.2 24=0.16",
    ),
    "three_shift": (
        "0=0.82 3=0.78 7.8=0.84 8=0.6 8.3=0.95 14=1 15.8=0.98 16=0.65 16.3=0.95 23.8=0.9 24=0.82",
        "0=0.82 8=0.6 8.3=0.9 16=0.62 16.3=0.88 24=0.82",
        "0=0.8 8=0.55 8.3=0.82 16=0.55 16.3=0.8 24=0.8",
    ),
    "furnace": (  # melts from ten to noon and from two to five
        (
            "0=0.1 7.6=0.12 8.1=0.48 9.97=0.52 10.02=1 11.9=0.98 12.1=0.3 "
            "13.8=0.35 14=0.95 16.9=0.97 17.2=0.3 18.5=0.12 24=0.1"
        ),
        "0=0.1 8=0.12 8.3=0.45 12=0.45 12.4=0.12 24=0.1",
        "0=0.1 24=0.1",
    ),
    "cold_store": (
        "0=0.55 6=0.5 9=0.7 14=1 17=0.95 21=0.65 24=0.55",
        "0=0.55 6=0.5 9=0.68 14=0.97 17=0.9 21=0.62 24=0.55",
        "0=0.52 6=0.48 9=0.6 14=0.85 17=0.8 21=0.6 24=0.52",
    ),
    "shop": (
        "0=0.1 9=0.12 10=0.72 14=0.92 17.5=0.88 19.5=1 21.6=0.95 22.2=0.2 24=0.1",
        "0=0.1 9=0.12 10=0.78 14=1 21.6=0.98 22.3=0.2 24=0.1",
        "0=0.1 9=0.12 10=0.78 14=1 21.4=0.94 22.2=0.2 24=0.1",
    ),
    "supermarket": (
        "0=0.38 6=0.38 7.5=0.72 12=0.88 15=0.92 19=1 21.8=0.9 22.4=0.45 24=0.38",
        "0=0.38 6=0.38 7.5=0.74 15=0.96 19=1 21.8=0.9 24=0.38",
        "0=0.38 6=0.38 7.5=0.74 15=0.96 19=0.98 21.8=0.88 24=0.38",
    ),
    "hotel": (
        "0=0.5 4=0.36 6.5=0.62 8=0.86 10=0.7 14=0.72 17=0.78 20.5=1 22.5=0.85 24=0.5",
        "0=0.55 4=0.38 8.5=0.84 11=0.72 15=0.74 20.5=1 24=0.55",
        "0=0.55 4=0.38 8.5=0.84 11=0.7 15=0.7 20.5=0.92 24=0.52",
    ),
    "restaurant": (
        (
            "0=0.14 1=0.1 8=0.1 9.5=0.35 11.3=0.85 12.3=0.98 13.8=0.6 "
            "15.5=0.35 16.8=0.7 18.5=1 20.5=0.85 22=0.3 24=0.14"
        ),
        "0=0.16 8=0.1 10=0.4 12.3=1 15=0.5 18.5=1 21=0.9 24=0.16",
        "0=0.16 8=0.1 10=0.4 12.3=1 15=0.5 18.3=0.96 21=0.7 24=0.14",
    ),
    "office": (
        "0=0.12 7.5=0.15 9=0.85 11.5=0.95 12.5=0.72 14.5=1 17.5=0.9 19=0.42 21=0.2 24=0.12",
        "0=0.12 9=0.25 17=0.25 24=0.12",
        "0=0.12 24=0.12",
    ),
}

_PROCESS = {"one_shift", "two_shift", "three_shift", "furnace"}
"""Shapes that hardly follow the weather."""

SHAPES: tuple[str, ...] = tuple(_DAYS)
"""Names of the day shapes."""


@dataclass(frozen=True, slots=True)
class Loads:
    """The loads of n meters; every array's first axis is the meter."""

    knots: Floats
    """Share of the peak at each knot, shape (shapes, 3 day types, 289)."""
    areas: Floats
    """Integral of `knots` from midnight, hours, same shape."""
    shape: Ints
    peak_kw: Floats
    offset_s: Ints
    """Site time minus UTC."""
    factor: Floats
    """Of each day of the cycle, shape (n, 364)."""
    before_kwh: Floats
    """Energy of the cycle before each of its days, shape (n, 365)."""
    ripple: Floats
    """Share of the peak, whole cycles a day, phase (rad): shape (n, 2, 3)."""

    @classmethod
    def of(
        cls,
        meter_ids: Sequence[str],
        shapes: Sequence[str],
        peak_kw: Sequence[float],
        offset_s: Sequence[int],
        *,
        seed: int,
    ) -> "Loads":
        """Build seeded loads; a meter's chances depend on its id and the seed alone.

        Raises:
            ValueError: a name is not in SHAPES.
        """
        knots = np.array([[_knots(day) for day in _DAYS[name]] for name in SHAPES])
        steps = (knots[..., 1:] + knots[..., :-1]) * (KNOT_S / 7200)
        areas = np.concatenate([np.zeros((*knots.shape[:2], 1)), steps.cumsum(axis=2)], axis=2)
        index = np.array([SHAPES.index(name) for name in shapes], dtype=np.int64)
        peak = np.array(peak_kw, dtype=np.float64)
        cools = np.array([0.03 if name in _PROCESS else 0.1 for name in shapes])
        factor, ripple = _chances(meter_ids, cools, seed)
        days = areas[index, :, -1][:, _day_type(np.arange(CYCLE))]
        energy = np.cumsum(factor * days * peak[:, None], axis=1)
        before = np.concatenate([np.zeros((len(index), 1)), energy], axis=1)
        offset = np.array(offset_s, dtype=np.int64)
        return cls(knots, areas, index, peak, offset, factor, before, ripple)

    def power_kw(self, at_us: Ints, meter: Ints) -> Floats:
        """Return power (kW), shape (instants, meters).

        Args:
            at_us: instants, microseconds since 1970 UTC, shape (instants,).
            meter: indices, shape (meters,).
        """
        day, knot, part, second = self._place(at_us, meter)
        c, shape = day % CYCLE, self.shape[meter]
        left = self.knots[shape, _day_type(c), knot]
        share = left + (self.knots[shape, _day_type(c), knot + 1] - left) * part
        ripple = self.ripple[meter]
        for j in range(2):
            angle = 2 * np.pi * ripple[:, j, 1] * second / DAY_S + ripple[:, j, 2]
            share += ripple[:, j, 0] * np.cos(angle)
        return np.asarray(share * self.factor[meter, c] * self.peak_kw[meter])

    def energy_kwh(self, at_us: Ints, meter: Ints) -> Floats:
        """Return the energy (kWh) since MONDAY_S, local; shapes as in `power_kw`."""
        day, knot, part, second = self._place(at_us, meter)
        c, shape = day % CYCLE, self.shape[meter]
        left = self.knots[shape, _day_type(c), knot]
        rise = self.knots[shape, _day_type(c), knot + 1] - left
        hours = self.areas[shape, _day_type(c), knot]
        hours = hours + (left + rise * part / 2) * part * (KNOT_S / 3600)
        ripple = self.ripple[meter]
        for j in range(2):
            speed = 2 * np.pi * ripple[:, j, 1] / DAY_S
            swing = np.sin(speed * second + ripple[:, j, 2]) - np.sin(ripple[:, j, 2])
            hours += ripple[:, j, 0] * swing / (speed * 3600)
        today = hours * self.factor[meter, c] * self.peak_kw[meter]
        whole = self.before_kwh[meter, -1] * (day // CYCLE) + self.before_kwh[meter, c]
        return np.asarray(whole + today)

    def _place(self, at_us: Ints, meter: Ints) -> tuple[Ints, Ints, Floats, Floats]:
        """Return day number, knot, share of the way to the next knot, second of the day."""
        local = at_us[:, None] - (MONDAY_S - self.offset_s[meter][None, :]) * 1_000_000
        day, rest = np.divmod(local, DAY_S * 1_000_000)
        second = rest / 1e6
        knot = (rest // (KNOT_S * 1_000_000)).astype(np.int64)
        return day, knot, second / KNOT_S - knot, second


def _knots(day: str) -> Floats:
    points = np.array([point.split("=") for point in day.split()], dtype=np.float64)
    grid = np.arange(0, DAY_S + 1, KNOT_S) / 3600
    return np.asarray(np.interp(grid, points[:, 0], points[:, 1]), dtype=np.float64)


def _day_type(day: Ints) -> Ints:
    """0 working day, 1 Saturday, 2 Sunday; day 0 is a Monday."""
    return np.asarray(np.maximum(day % 7 - 4, 0), dtype=np.int64)


def _chances(meter_ids: Sequence[str], cools: Floats, seed: int) -> tuple[Floats, Floats]:
    """Return the day factors (cooling peaks in late July, by the share `cools`) and ripples."""
    count = len(meter_ids)
    rng = [np.random.default_rng((seed, *one.encode())) for one in meter_ids]
    heat = np.cos(2 * np.pi * (np.arange(CYCLE) - 205) / CYCLE)
    season = 1 + cools[:, None] * (heat - 1)
    chance = np.array([one.normal(1, 0.02, CYCLE) for one in rng]).reshape(count, CYCLE)
    share = np.array([one.uniform(0.005, 0.02, 2) for one in rng]).reshape(count, 2)
    cycles = np.array([one.integers((20, 70), (40, 140)) for one in rng]).reshape(count, 2)
    phase = np.array([one.uniform(0, 2 * np.pi, 2) for one in rng]).reshape(count, 2)
    return season * np.clip(chance, 0.92, 1.08), np.stack([share, cycles, phase], axis=2)
