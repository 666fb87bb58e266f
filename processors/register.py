"""A cumulative register as a piecewise-linear function of time, for many meters at once.

Readings of one register become *segments* between consecutive accepted readings. A segment gains
energy (rollover added), or states none (the register fell and stayed low, rose faster than the
connection can carry, or is another one: a break). Values between readings are linear
(constant mean power), so the sum over any blocks telescopes to the register's own difference.

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
    broken: Bools
    """The segment is a break: what the register shows at its ends has nothing in common."""
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


def build(code: Ints, t: Ints, v: Floats, limits: Limits, broken: Bools) -> Register:
    """Accept or reject each reading of a register and form its segments.

    Args:
        code: meter code of each reading; sorted together with `t`, no duplicate (code, t).
        t: microseconds, UTC.
        v: register, primary unit (kWh or kvarh), finite.
        limits: per code.
        broken: the reading shows another register than the one before it.
    """
    falls = np.flatnonzero((v[1:] < v[:-1]) & (code[1:] == code[:-1]) & ~broken[1:]) + 1
    rows = np.arange(len(v))
    rejected: list[tuple[Ints, int]] = []
    if falls.size:
        rejected = _rejected([code, np.cumsum(broken)], t, v, falls, limits.rated_kw)
        rows = np.delete(rows, np.concatenate([at for at, _ in rejected]))
    told = [np.column_stack((code[at], t[at], np.full(at.size, kind))) for at, kind in rejected]
    return _segments(code[rows], t[rows], v[rows], rows, broken[rows], limits, told)


def _rejected(
    runs: list[Ints], t: Ints, v: Floats, falls: Ints, rated_kw: Floats
) -> list[tuple[Ints, int]]:
    """Return the readings that dipped and those that spiked, judged by their raw neighbours.

    A reading dipped if a reading before it is higher and one after it is at least as high as that
    one again. It spiked if a reading after it is lower, but not lower than one before it, and the
    register does not come back to it; unless it stands alone, the rise to it must be more than the
    connection can carry. All within LOOK readings, none of them beyond a break.
    """
    near = np.unique(falls[:, None] + np.arange(-LOOK - 1, LOOK + 1))
    i = near[(near >= 0) & (near < len(v))]
    look = _Look(runs, t, v, rated_kw[runs[0][i]], i)
    dip, spike = np.zeros(len(i), dtype=bool), np.zeros(len(i), dtype=bool)
    for before in range(1, LOOK + 1):
        for after in range(1, LOOK + 2 - before):
            p, q = -before, after
            pair = look.has(p) & look.has(q) & look.fits(p, q) & (look.v(p) <= look.v(q))
            dip |= pair & (look.v(p) > look.v(0))
            high = pair & (look.v(q) < look.v(0))
            alone = before == after == 1
            high &= alone | ~look.fits(p, 0)
            for again in range(after + 1, LOOK + 1):
                high &= ~(look.has(again) & look.fits(0, again) & (look.v(again) >= look.v(0)))
            spike |= high
    return [(i[dip], _DIP), (i[spike & ~dip], _SPIKE)]


@dataclass(frozen=True, slots=True)
class _Look:
    """The raw readings around some readings, by offset."""

    runs: list[Ints]
    """Numbers that only readings of the same register share: the meter, and the run if any."""
    t: Ints
    values: Floats
    rated_kw: Floats
    at: Ints

    def _place(self, offset: int) -> Ints:
        return np.clip(self.at + offset, 0, len(self.values) - 1)

    def has(self, offset: int) -> Bools:
        """Whether the same register has a reading there."""
        place = self._place(offset)
        inside: Bools = place == self.at + offset
        for run in self.runs:
            inside &= run[place] == run[self.at]
        return inside

    def v(self, offset: int) -> Floats:
        """Return the register there."""
        there: Floats = self.values[self._place(offset)]
        return there

    def fits(self, first: int, second: int) -> Bools:
        """Whether the gain from one to the other is what the connection can carry."""
        span = self.t[self._place(second)] - self.t[self._place(first)]
        fits: Bools = self.v(second) - self.v(first) <= plausible_gain_kwh(self.rated_kw, span)
        return fits


def _segments(
    code: Ints,
    t: Ints,
    v: Floats,
    rows: Ints,
    broken: Bools,
    limits: Limits,
    rejected: list[Ints],
) -> Register:
    base, span = (int(t.min()), int(t.max() - t.min()) + 1) if len(t) else (0, 1)
    g = _gains(code, t, v, broken, limits)
    slope = np.full(len(g.dt), _MEASURED, dtype=np.int8)
    slope[g.dt > limits.gap_us[code[:-1]]] = _LONG
    slope[g.unstated] = _UNSTATED
    slope[~g.same] = 0
    ends = [(g.fell & ~g.rolled, _RESET), (g.rolled, _ROLLOVER), (g.leap, _SPIKE)]
    return Register(
        code=code,
        t=t,
        v=v,
        rows=rows,
        key=code * span + (t - base),
        base=base,
        span=span,
        gain=np.append(g.gain, 0.0),
        jump=np.append(g.raw - g.gain, 0.0),
        jumps=_running(np.ones(len(g.dt), dtype=np.int64), g.rolled | g.unstated),
        straddle_us=np.append(g.dt, 0),
        broken=np.append(g.broken, False),
        covered_us=_running(g.dt, slope == _MEASURED),
        long_us=_running(g.dt, slope == _LONG),
        slope=np.append(slope, np.int8(0)),
        events=_events(code, t, ends, rejected),
    )


@dataclass(frozen=True, slots=True)
class _Gains:
    """What each pair of consecutive accepted readings comes to."""

    same: Bools
    """Both are of one meter; where not, nothing else is set."""
    dt: Ints
    raw: Floats
    gain: Floats
    fell: Bools
    rolled: Bools
    leap: Bools
    broken: Bools
    unstated: Bools


def _gains(code: Ints, t: Ints, v: Floats, breaking: Bools, limits: Limits) -> _Gains:
    same = code[1:] == code[:-1]
    broken = breaking[1:] & same if breaking.any() else breaking[1:]
    dt = np.where(same, np.diff(t), 0)
    raw = np.where(same, np.diff(v), 0.0)
    owner = code[:-1]
    most = plausible_gain_kwh(limits.rated_kw[owner], dt)
    fell = (raw < 0) & ~broken if broken.any() else raw < 0
    rolled, gain = fell.copy(), raw
    if fell.any():
        modulus = limits.modulus_kwh[owner]
        rolled &= (v[:-1] <= modulus) & (raw + modulus <= most)
        gain = np.where(rolled, raw + modulus, raw)
    leap = same & ~fell & (gain > most)
    unstated = (fell & ~rolled) | leap | (dt > LONGEST_SPREAD_US)
    if broken.any():
        leap, unstated = leap & ~broken, unstated | broken
    if unstated.any():
        gain = np.where(unstated, 0.0, gain)
    return _Gains(same, dt, raw, gain, fell, rolled, leap, broken, unstated)


def _running(dt: Ints, where: Bools) -> Ints:
    total = np.zeros(len(dt) + 1, dtype=np.int64)
    if where.any():
        np.cumsum(np.where(where, dt, 0), out=total[1:])
    return total


def _events(
    code: Ints, t: Ints, ends: list[tuple[Bools, int]], rejected: list[Ints]
) -> tuple[Ints, Ints, Ints]:
    tables = [np.empty((0, 3), dtype=np.int64), *rejected]
    for mask, kind in ends:
        at = np.flatnonzero(mask) + 1
        tables.append(np.column_stack((code[at], t[at], np.full(at.size, kind))))
    table = np.concatenate(tables)
    return table[:, 0], table[:, 1], table[:, 2]


@dataclass(frozen=True, slots=True)
class Points:
    """A register's state at given instants."""

    at: Ints
    """Index of the last reading not later than the instant."""
    v: Floats
    share: Floats
    """Where in its segment the instant lies, 0..1; 0 on a reading."""
    stated: Bools
    """The register is known there: the instant does not lie inside an unstated segment."""
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
    if register.broken.any():  # a run of imported intervals is read 1 us after it begins
        seam = register.broken[at] & (ahead > 0) & (ahead + 1 == register.straddle_us[at])
        at, ahead = at + seam, np.where(seam, 0, ahead)
    exact = ahead == 0
    straddle = register.straddle_us[at]
    share = ahead / np.maximum(straddle, 1)
    slope = register.slope[at]
    return Points(
        at=at,
        v=register.v[at] + register.gain[at] * share,
        share=share,
        stated=exact | (slope != _UNSTATED),
        straddle_us=np.where(exact, 0, straddle),
        covered_us=register.covered_us[at] + np.where(slope == _MEASURED, ahead, 0),
        long_us=register.long_us[at] + np.where(slope == _LONG, ahead, 0),
    )
