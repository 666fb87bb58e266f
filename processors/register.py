"""A cumulative register as a piecewise-linear function of time, for many meters at once.

Readings of one register become *segments* between consecutive accepted readings. A segment gains
energy (rollover added), or states none (the register fell and stayed low, rose faster than the
connection can carry, or is another one: a break). Values between readings are linear
(constant mean power), so the sum over any blocks telescopes to the register's own difference.

Everything here is a function of a reading and its `limits.LOOK` neighbours on either side: that
locality is what makes batch, stream and late data agree.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.changes import Changes, Series, with_declared
from processors.limits import NOISE_KWH, Bools, Floats, Ints, Limits, plausible_gain_kwh
from processors.rejected import rejected


@dataclass(frozen=True, slots=True)
class Register:
    """Accepted readings sorted by (code, time) and the segment that begins at each of them."""

    code: Ints
    t: Ints
    """Microseconds since the epoch, UTC."""
    v: Floats
    rows: Ints
    """Index of each accepted reading among those offered; -1: declared."""
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


EVENTS = (
    *("counter_reset", "rollover", "dip_rejected", "spike_rejected"),
    *("meter_change", "ratio_change", "change_mismatch", "gap_not_spread", "declared"),
)
"""What may happen to a register; the last is no flag: a declared register stands there."""
_RESET, _ROLLOVER, _DIP, _SPIKE, _CHANGE, _, _MISMATCH, _FOREVER, _DECLARED = range(9)
_MEASURED, LONG, _UNSTATED = 1, 2, 3


def build(
    code: Ints, t: Ints, v: Floats, limits: Limits, broken: Bools, changes: Changes | None = None
) -> Register:
    """Accept or reject each reading of a register and form its segments.

    Args:
        code: meter code of each reading; sorted together with `t`, no duplicate (code, t).
        t: microseconds, UTC.
        v: register, primary unit (kWh or kvarh), finite.
        limits: per code.
        broken: the reading shows another register than the one before it.
        changes: dated changes of meter or ratio.
    """
    changed = changes is not None and len(changes.t) > 0 and len(t) > 0
    breaking = broken | changes.after(code, t) if changes is not None and changed else broken
    falls = np.flatnonzero((v[1:] < v[:-1] - NOISE_KWH) & (code[1:] == code[:-1]) & ~breaking[1:])
    rows, told = np.arange(len(v)), []
    if falls.size:
        dips, spikes = rejected([code, np.cumsum(breaking)], t, v, falls + 1, limits)
        rows = np.delete(rows, np.concatenate((dips, spikes)))
        told = [_table(code[at], t[at], kind) for at, kind in ((dips, _DIP), (spikes, _SPIKE))]
    series = Series(code[rows], t[rows], v[rows], rows, broken[rows])
    if changes is not None and changed:
        series = with_declared(series, changes)
        told += _told_of(series)
    return _segments(series, limits, told)


def _told_of(series: Series) -> list[Ints]:
    """Return the events of changes."""
    code, t, kind = series.events
    declared = series.rows < 0
    return [
        _table(code, t, _CHANGE + kind),
        _table(*series.unlike, _MISMATCH),
        _table(series.code[declared], series.t[declared], _DECLARED),
    ]


def _table(code: Ints, t: Ints, kind: Ints | int) -> Ints:
    return np.column_stack((code, t, np.broadcast_to(kind, t.shape)))


def _segments(series: Series, limits: Limits, told: list[Ints]) -> Register:
    code, t, v = series.code, series.t, series.v
    base, span = (int(t.min()), int(t.max() - t.min()) + 1) if len(t) else (0, 1)
    g = _gains(code, t, v, series.broken, limits)
    slope = np.full(len(g.dt), _MEASURED, dtype=np.int8)
    slope[g.dt > limits.gap_us[code[:-1]]] = LONG
    slope[g.unstated] = _UNSTATED
    slope[~g.same] = 0
    return Register(
        code=code,
        t=t,
        v=v,
        rows=series.rows,
        key=code * span + (t - base),
        base=base,
        span=span,
        gain=np.append(g.gain, 0.0),
        jump=np.append(g.raw - g.gain, 0.0),
        jumps=_running(np.ones(len(g.dt), dtype=np.int64), g.rolled | g.unstated),
        straddle_us=np.append(g.dt, 0),
        broken=np.append(g.broken, False),
        covered_us=_running(g.dt, slope == _MEASURED),
        long_us=_running(g.dt, slope == LONG),
        slope=np.append(slope, np.int8(0)),
        events=_events(series, _ends(series, g, limits), told),
    )


def _ends(series: Series, g: "_Gains", limits: Limits) -> list[tuple[Bools, int]]:
    """Return which segments end in an event, and in which one."""
    reset, rolled, leap = g.fell & ~g.rolled, g.rolled, g.leap
    owner = series.code[:-1]
    lasting = (g.dt > limits.longest_us[owner]) & ~g.broken
    if not (reset.any() or leap.any()):
        return [(rolled, _ROLLOVER), (lasting, _FOREVER)]
    beside = (series.rows[1:] < 0) | (series.rows[:-1] < 0)
    odd = beside & (reset | leap)
    return [
        (lasting, _FOREVER),
        (reset & ~odd & limits.decrease[owner], _RESET),
        (rolled, _ROLLOVER),
        (leap & ~odd, _SPIKE),
        (odd, _MISMATCH),
    ]


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
    most = plausible_gain_kwh(limits.rated_kw[owner], dt, limits.spike_share[owner])
    fell = raw < -NOISE_KWH
    if broken.any():
        fell &= ~broken
    rolled, gain = fell.copy(), raw
    if fell.any():
        modulus = limits.modulus_kwh[owner]
        rolled &= (v[:-1] <= modulus) & (raw + modulus <= most)
        gain = np.where(rolled, raw + modulus, raw)
    leap = same & ~fell & (gain > most)
    if not limits.spike.all():
        leap &= limits.spike[owner]
    unstated = (fell & ~rolled) | leap | (dt > limits.longest_us[owner])
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
    series: Series, ends: list[tuple[Bools, int]], told: list[Ints]
) -> tuple[Ints, Ints, Ints]:
    tables = [np.empty((0, 3), dtype=np.int64), *told]
    for mask, kind in ends:
        at = np.flatnonzero(mask) + 1
        tables.append(_table(series.code[at], series.t[at], kind))
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
        long_us=register.long_us[at] + np.where(slope == LONG, ahead, 0),
    )
