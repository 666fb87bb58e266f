"""Numbers and instants out of decoded JSON, a whole column at a time. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from collector.quantity import QUANTITIES
from collector.reason import Reason

FUTURE_TOLERANCE = timedelta(minutes=5)
"""A meter's clock may be this far ahead of ours; more, and its reading is rejected."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Readings before it come from a meter whose clock lost its date."""

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Faults = list[tuple[Reason, Mask]]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBERS = frozenset((float, int, type(None)))


def numbers(name: str, values: Sequence[object]) -> tuple[Floats, Mask | None, Faults]:
    """Return a quantity's column, where nothing was said (None: nowhere) and what is wrong where.

    Args:
        name: a quantity; its plausible range is applied.
        values: what the payloads hold; None where a reading does not say. The column has NaN there.
    """
    kinds = set(map(type, values))
    silent = np.array([one is None for one in values]) if type(None) in kinds else None
    faults: Faults = []
    if not kinds <= _NUMBERS:
        odd = np.array([type(one) not in _NUMBERS for one in values])
        faults.append((Reason.NOT_A_NUMBER, odd))
        values = [None if bad else one for one, bad in zip(values, odd, strict=True)]
    column = _floats(values)
    quantity = QUANTITIES[name]
    plausible = (column >= quantity.low) & (column <= quantity.high)
    if plausible.all():
        return column, silent, faults
    unsaid = np.array([one is None for one in values])
    infinite = ~np.isfinite(column) & ~unsaid
    beyond = ~plausible & ~infinite & ~unsaid
    return column, silent, [*faults, (Reason.NOT_FINITE, infinite), (Reason.OUT_OF_RANGE, beyond)]


def instants(values: Sequence[object], now: datetime) -> tuple[npt.NDArray[np.int64], Faults]:
    """Return microseconds since 1970 (0 where there is none) and what is wrong with which rows.

    Args:
        values: ISO 8601 with offset, or milliseconds since 1970; None where there is no time.
        now: the collector's present, to tell the future.
    """
    micros = np.full(len(values), np.nan)
    text = [i for i, one in enumerate(values) if type(one) is str]
    digits = [i for i, one in enumerate(values) if type(one) in (int, float)]
    if text:
        micros[text] = _iso([str(values[i]) for i in text])
    if digits:
        with np.errstate(over="ignore"):  # beyond every float: infinite, and refused below
            micros[digits] = _floats([values[i] for i in digits]) * 1000
    absent = np.array([one is None for one in values], dtype=bool)
    unreadable = ~np.isfinite(micros) & ~absent
    late = micros > _micros(now + FUTURE_TOLERANCE)
    early = micros < _micros(EARLIEST)
    usable = np.isfinite(micros) & ~late & ~early
    faults = [
        (Reason.NO_TIME, absent),
        (Reason.BAD_TIME, unreadable),
        (Reason.TIME_IN_FUTURE, late & ~unreadable),
        (Reason.TIME_BEFORE_2000, early & ~unreadable),
    ]
    return np.where(usable, micros, 0).round().astype(np.int64), faults


def _floats(values: Sequence[object]) -> Floats:
    """Return numbers as floats, None as NaN and integers beyond every float as infinity."""
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:
        return np.array([_float(one) for one in values], dtype=np.float64)


def _float(value: object) -> float:
    try:
        return float("nan") if value is None else float(value)  # type: ignore[arg-type]  # a number
    except OverflowError:
        return float("inf")


def _iso(texts: list[str]) -> Floats:
    """Return microseconds since 1970 (exact below the year 2255), NaN where unreadable."""
    parsed = pl.Series(texts, dtype=pl.String).str.to_datetime(
        "%+", time_unit="us", time_zone="UTC", strict=False
    )
    micros = parsed.to_physical().cast(pl.Float64).fill_null(float("nan")).to_numpy(writable=True)
    for i in np.flatnonzero(np.isnan(micros)):  # rarer forms of ISO 8601, or none at all
        micros[i] = _lenient(texts[i])
    return micros


def _lenient(text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return float("nan")
    return float("nan") if at.tzinfo is None else _micros(at)


def _micros(at: datetime) -> float:
    return float((at - _EPOCH) // timedelta(microseconds=1))
