"""What readings say about the meter itself: its clock, and whether it repeats itself.

A gateway that lost its meter may send the last values for ever with a fresh time
(thingsboard-gateway #2065). Such a reading differs from one of a constant load: with a load on, the
energy register must move, and three or more momentary values never stay the same to the last digit
for long. So what is kept is how often in a row *all* values came identical, since when, how many of
them are momentary values other than zero, and how much energy the power told meanwhile. An idle
circuit (register and power still, few other values) proves nothing and is not called stale.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from collector.columns import Columns
from collector.quantity import GAUGES, QUANTITIES
from collector.reading import UTC_US

REPEATS: dict[str, pl.DataType] = {
    "newest_at": UTC_US,
    "clock_offset_s": pl.Float64(),
    "arrival_lag_s": pl.Float64(),
    "repeats": pl.Int64(),
    "repeating_since": UTC_US,
    "repeating_gauges": pl.Int64(),
    "repeating_kwh": pl.Float64(),
}
"""`newest_at` newest `measured_at` of a reading. `clock_offset_s` meter's clock minus ours at its
last reading that tells it (s). `arrival_lag_s`, for meters that time their own readings: arrival
minus measurement of the newest reading (s), an upper bound of how far its clock is behind; below
zero its clock is certainly ahead. `repeats` readings in a row that brought nothing but the values
before, since `repeating_since`; `repeating_gauges` how many momentary values other than zero they
carry; `repeating_kwh` the energy their power comes to since then although the register stood still
(null without register or power)."""

_UNTOLD = frozenset({"clock_offset_s", "demand_register_kw", "demand_register_at_s"})
"""Columns that say nothing about repetition: the first moves by itself, the others stand still."""
_MOMENTARY = frozenset(GAUGES) - _UNTOLD
_SALT = {
    name: np.uint64(0x9E3779B97F4A7C15 * (place + 1) % 2**64)
    for place, name in enumerate(QUANTITIES)
}
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(29)
_NEVER = np.iinfo(np.int64).min

Ints = npt.NDArray[np.int64]


class Repeats:
    """Per meter, by code; not locked, its owner is."""

    def __init__(self) -> None:
        self._rows = Columns(
            {
                "newest": (_NEVER, np.int64, ()),
                "print": (0, np.uint64, ()),
                "repeats": (0, np.int64, ()),
                "since": (_NEVER, np.int64, ()),
                "gauges": (0, np.int64, ()),
                "power": (np.nan, np.float64, ()),
                "offset": (np.nan, np.float64, ()),
                "lag": (np.nan, np.float64, ()),
            }
        )

    def reach(self, length: int) -> None:
        """Have at least `length` meters."""
        self._rows.reach(length)

    def took(self, code: Ints, readings: pl.DataFrame) -> None:
        """Take READING rows; older ones than a meter's newest say nothing new.

        Args:
            code: the meter of each row.
            readings: in any order; quantity columns may be absent.
        """
        t = readings["measured_at"].to_physical().to_numpy()
        order = np.lexsort((t, code))
        order = order[t[order] > self._rows["newest"][code[order]]]
        same = (code[order][1:] == code[order][:-1]) & (t[order][1:] == t[order][:-1])
        order = order[np.append(np.ones(min(len(order), 1), dtype=bool), ~same)]
        if not len(order):
            return
        code, t = code[order], t[order]
        first = np.flatnonzero(np.append(True, code[1:] != code[:-1]))
        last = np.append(first[1:], len(code)) - 1
        self._repeat(code, t, _prints(readings)[order], first, last)
        self._offset(code, readings, order)
        self._state(code[last], readings[order[last]])
        self._rows["newest"][code[last]] = t[last]

    def _repeat(
        self, code: Ints, t: Ints, prints: npt.NDArray[np.uint64], first: Ints, last: Ints
    ) -> None:
        """Count on, or begin anew at the last reading that differed from the one before it."""
        rows, mine = self._rows, code[last]
        before = np.roll(prints, 1)
        before[first] = rows["print"][code[first]]
        known = np.ones(len(code), dtype=bool)
        known[first] = rows["newest"][code[first]] != _NEVER
        differs = np.where((prints != before) | ~known, np.arange(len(code)), -1)
        broken = np.maximum.reduceat(differs, first)
        anew = broken >= 0
        count = rows["repeats"][mine] + (last - first + 1)
        rows["repeats"][mine] = np.where(anew, last - broken, count)
        rows["since"][mine] = np.where(anew, t[broken], rows["since"][mine])
        rows["print"][mine] = prints[last]

    def _offset(self, code: Ints, readings: pl.DataFrame, order: Ints) -> None:
        """Keep the last offset told; readings in between may carry none."""
        if "clock_offset_s" in readings.columns:
            told = readings["clock_offset_s"].fill_null(np.nan).to_numpy()[order]
            known = ~np.isnan(told)
            self._rows["offset"][code[known]] = told[known]

    def _state(self, code: Ints, newest: pl.DataFrame) -> None:
        rows = self._rows
        gauges = [name for name in newest.columns if name in _MOMENTARY]
        register = [one for one in ("power_kw", "energy_import_kwh") if one in newest.columns]
        told = newest.select(  # all in one call: each costs as much as its rows do
            pl.col(gauges).fill_null(0.0) != 0.0,
            lag=(pl.col("received_at") - pl.col("measured_at")).dt.total_microseconds(),
            own=pl.col("source").str.starts_with("mqtt"),
        )
        live = (told[name].to_numpy() for name in gauges)
        rows["gauges"][code] = sum(live, np.zeros(len(code), np.int64))
        if len(register) == 2:
            power, energy = (newest[name].to_numpy() for name in register)
            rows["power"][code] = np.where(np.isnan(energy), np.nan, np.abs(power))
        else:
            rows["power"][code] = np.nan
        lag = told["lag"].to_numpy() / 1e6
        rows["lag"][code] = np.where(told["own"].to_numpy(), lag, np.nan)

    def columns(self, size: int) -> dict[str, Any]:
        """Return the REPEATS columns of the first `size` meters."""
        rows = self._rows
        newest, since = rows["newest"][:size], rows["since"][:size]
        hours = np.where(newest == _NEVER, 0, newest - since) / 3.6e9
        return {
            "newest_at": _instants(newest),
            "clock_offset_s": rows["offset"][:size],
            "arrival_lag_s": rows["lag"][:size],
            "repeats": rows["repeats"][:size],
            "repeating_since": _instants(since),
            "repeating_gauges": rows["gauges"][:size],
            "repeating_kwh": rows["power"][:size] * hours,
        }


def _prints(readings: pl.DataFrame) -> npt.NDArray[np.uint64]:
    """Return a fingerprint of each row's values; an absent column and a null are the same."""
    total = np.zeros(len(readings), dtype=np.uint64)
    for column in readings.get_columns():
        name = column.name
        if name not in _SALT or name in _UNTOLD or column.null_count() == len(column):
            continue
        values = column.to_numpy()  # a null becomes NaN
        mixed = (np.ascontiguousarray(values).view(np.uint64) ^ _SALT[name]) * _MIX
        mixed ^= mixed >> _SHIFT
        mixed *= _MIX
        total += np.where(np.isnan(values), np.uint64(0), mixed)
    return total


def _instants(us: Ints) -> pl.Series:
    told = pl.Series(us)
    return told.set(told == _NEVER, None).cast(UTC_US)
