"""A cumulative register as a piecewise-linear function of time, for many meters at once.

Readings of one register become *segments* between consecutive accepted readings. A segment gains
energy (rollover added), or states none (the register fell and stayed low, or rose faster than the
connection can carry). Values between readings are linear interpolations (constant mean power), so
the sum over any blocks telescopes to the register's own difference.

Everything here is a function of a reading and its `LOOK` neighbours on either side: that locality
is what makes batch, stream and late data agree.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

LOOK = 4
"""A fallen register that is back within this many readings dipped; otherwise it was reset."""
HOUR_US = 3_600_000_000
DEFAULT_RATED_KW = 100_000.0
"""Bound for a meter whose rated power nobody declared: larger than any single connection."""
LONGEST_SPREAD_US = 400 * 24 * HOUR_US
"""A gap longer than this is not spread: its energy belongs to no block anyone could defend."""


def plausible_gain_kwh(rated_kw: Floats, span_us: Ints) -> Floats:
    """Return the most a register may gain over `span_us`: 1.2 x rated power x time, plus slack.

    The slack, the larger of 1 kWh and 2 minutes at rated power, is a coarse register's last digit.
    """
    return 1.2 * rated_kw * span_us / HOUR_US + np.maximum(1.0, rated_kw / 30.0)


@dataclass(frozen=True, slots=True)
class Limits:
    """Per-meter bounds, indexed by meter code."""

    rated_kw: Floats
    modulus_kwh: Floats
    """NaN where the register is not known to roll over."""
    gap_us: Ints
    """Longest gap that still counts as measured."""


@dataclass(frozen=True, slots=True)
class Register:
    """Accepted readings sorted by (code, time) and the segment that begins at each of them."""

    code: Ints
    t: Ints
    """Microseconds since the epoch, UTC."""
    v: Floats
    rows: Ints
    """Index of each accepted reading among those offered."""
    key: Ints
    """Single sort key: code x `span` + (t - `base`)."""
    base: int
    span: int
    gain: Floats
    """Energy of the segment from this reading to the next of the same meter; 0 where not stated."""
    jump: Floats
    """Raw difference of the segment minus its gain, placed at the segment's end."""
    jumps: Ints
    """How many segments with a jump or without a statement end at or before this reading."""
    straddle_us: Ints
    """Length of the segment; 0 after a meter's last reading."""
    covered_us: Ints
    long_us: Ints
    """Running totals, up to this reading, of time in segments that are measured and long."""
    slope: npt.NDArray[np.int8]
    """Kind of the segment: 0 none, 1 measured, 2 long (its spread is assumed), 3 unstated."""
    events: tuple[Ints, Ints, Ints]
    """(code, t, flag number) of what was rejected or repaired; see `EVENTS`."""


EVENTS = ("counter_reset", "rollover", "dip_rejected", "spike_rejected")
_RESET, _ROLLOVER, _DIP, _SPIKE = range(4)
_MEASURED, _LONG, _UNSTATED = 1, 2, 3


def build(code: Ints, t: Ints, v: Floats, limits: Limits) -> Register:
    """Accept or reject each reading of a register and form its segments.

    Args:
        code: meter code of each reading; sorted together with `t`, no duplicate (code, t).
        t: microseconds, UTC.
        v: register, primary unit (kWh or kvarh), finite.
        limits: per code.
    """
    falls = np.flatnonzero((v[1:] < v[:-1]) & (code[1:] == code[:-1])) + 1
    rows = np.arange(len(v))
    rejected: list[tuple[int, int, int]] = []
    if falls.size:
        events: list[tuple[int, int]] = []
        rows = np.flatnonzero(_classify(code, t, v, falls, limits, events))
        rejected = [(int(code[i]), int(t[i]), kind) for i, kind in events]
        code, t, v = code[rows], t[rows], v[rows]
    return _segments(code, t, v, rows, limits, rejected)


def _classify(
    code: Ints, t: Ints, v: Floats, falls: Ints, limits: Limits, events: list[tuple[int, int]]
) -> Bools:
    """Return which readings to keep; falls are rare, so they are looked at one by one."""
    keep = np.ones(len(v), dtype=bool)
    for j in falls.tolist():
        p = j - 1
        while p >= 0 and code[p] == code[j] and not keep[p]:
            p -= 1
        if not keep[j] or p < 0 or code[p] != code[j] or v[j] >= v[p]:
            continue
        rated = limits.rated_kw[code[j]]
        if _rolled(v[p], v[j], t[j] - t[p], rated, limits.modulus_kwh[code[j]]):
            continue
        back = _returns(code, t, v, p, j, rated)
        if back:
            keep[j:back] = False
            events.extend((i, _DIP) for i in range(j, back))
            continue
        first = _spike_start(code, t, v, p, j, rated)
        if first:
            events.extend((i, _SPIKE) for i in range(first, j) if keep[i])
            keep[first:j] = False
    return keep


def _fits(gain: float, span_us: int, rated: float) -> bool:
    return bool(gain <= plausible_gain_kwh(np.array([rated]), np.array([span_us]))[0])


def _rolled(before: float, after: float, span_us: int, rated: float, modulus: float) -> bool:
    return bool(before <= modulus) and _fits(after + modulus - before, span_us, rated)


def _returns(code: Ints, t: Ints, v: Floats, p: int, j: int, rated: float) -> int:
    """Return the index of the reading within LOOK at which the register is back, or 0."""
    for q in range(j + 1, min(j + LOOK, len(v) - 1) + 1):
        if code[q] != code[j]:
            return 0
        if v[q] >= v[p] and _fits(v[q] - v[p], int(t[q] - t[p]), rated):
            return q
    return 0


def _spike_start(code: Ints, t: Ints, v: Floats, p: int, j: int, rated: float) -> int:
    """Return the index of the first reading of a spike that ended before `j`, or 0."""
    for s in range(p - 1, max(p - LOOK, 0) - 1, -1):
        if code[s] != code[j]:
            return 0
        if v[s] <= v[j] and _fits(v[j] - v[s], int(t[j] - t[s]), rated):
            leap = not _fits(v[s + 1] - v[s], int(t[s + 1] - t[s]), rated)
            return s + 1 if leap or s == p - 1 else 0
    return 0


def _segments(
    code: Ints, t: Ints, v: Floats, rows: Ints, limits: Limits, rejected: list[tuple[int, int, int]]
) -> Register:
    base, span = (int(t.min()), int(t.max() - t.min()) + 1) if len(t) else (0, 1)
    same = code[1:] == code[:-1]
    dt = np.where(same, t[1:] - t[:-1], 0)
    raw = np.where(same, v[1:] - v[:-1], 0.0)
    owner = code[:-1]
    rated = limits.rated_kw[owner]
    modulus = limits.modulus_kwh[owner]
    most = plausible_gain_kwh(rated, dt)
    fell = raw < 0
    rolled = fell & (v[:-1] <= modulus) & (raw + modulus <= most)
    gain = np.where(rolled, raw + modulus, raw)
    leap = ~fell & (gain > most)
    unstated = same & ((fell & ~rolled) | leap | (dt > LONGEST_SPREAD_US))
    gain = np.where(unstated, 0.0, gain)
    slope = np.where(unstated, _UNSTATED, np.where(dt > limits.gap_us[owner], _LONG, _MEASURED))
    slope = np.where(same, slope, 0).astype(np.int8)
    ends = [(fell & ~rolled & same, _RESET), (rolled, _ROLLOVER), (leap & same, _SPIKE)]
    return Register(
        code=code,
        t=t,
        v=v,
        rows=rows,
        key=code * span + (t - base),
        base=base,
        span=span,
        gain=np.append(gain, 0.0),
        jump=np.append(raw - gain, 0.0),
        jumps=np.concatenate(([0], np.cumsum(rolled | unstated))).astype(np.int64),
        straddle_us=np.append(dt, 0),
        covered_us=_running(dt, slope == _MEASURED),
        long_us=_running(dt, slope == _LONG),
        slope=np.append(slope, np.int8(0)),
        events=_events(code, t, ends, rejected),
    )


def _running(dt: Ints, where: Bools) -> Ints:
    return np.concatenate(([0], np.cumsum(np.where(where, dt, 0)))).astype(np.int64)


def _events(
    code: Ints, t: Ints, ends: list[tuple[Bools, int]], rejected: list[tuple[int, int, int]]
) -> tuple[Ints, Ints, Ints]:
    rows = [np.array(rejected, dtype=np.int64).reshape(-1, 3)]
    for mask, kind in ends:
        at = np.flatnonzero(mask) + 1
        if at.size:
            rows.append(np.column_stack((code[at], t[at], np.full(at.size, kind))))
    table = np.concatenate(rows)
    return table[:, 0], table[:, 1], table[:, 2]


@dataclass(frozen=True, slots=True)
class Points:
    """A register's state at given instants."""

    at: Ints
    """Index of the last reading not later than the instant."""
    v: Floats
    share: Floats
    """Where in its segment the instant lies, 0..1; 0 on a reading."""
    straddle_us: Ints
    """Length of the segment that holds the instant; 0 if exact."""
    covered_us: Ints
    long_us: Ints


def evaluate(register: Register, code: Ints, t: Ints) -> Points:
    """Return the register's state at instants `t` of meters `code`.

    Every instant must lie between its meter's first and last reading, both included.
    """
    at = np.searchsorted(register.key, code * register.span + (t - register.base), "right") - 1
    ahead = t - register.t[at]
    exact = ahead == 0
    straddle = register.straddle_us[at]
    share = ahead / np.maximum(straddle, 1)
    slope = register.slope[at]
    return Points(
        at=at,
        v=register.v[at] + register.gain[at] * share,
        share=share,
        straddle_us=np.where(exact, 0, straddle),
        covered_us=register.covered_us[at] + np.where(slope == _MEASURED, ahead, 0),
        long_us=register.long_us[at] + np.where(slope == _LONG, ahead, 0),
    )
