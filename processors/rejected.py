"""Readings of a register that dipped or spiked, judged by their raw neighbours."""

from dataclasses import dataclass

import numpy as np

from processors.limits import LOOK, NOISE_KWH, Bools, Floats, Ints, Limits, plausible_gain_kwh


def rejected(
    runs: list[Ints], t: Ints, v: Floats, falls: Ints, limits: Limits
) -> tuple[Ints, Ints]:
    """Return the readings that dipped and those that spiked, judged by their raw neighbours.

    Args:
        runs: as of `_Look`; the first is the meter's code.
        t: microseconds, UTC, sorted within a meter.
        v: registers, kWh.
        falls: readings below the one before them.
        limits: per code; a rule that is off rejects nothing.

    A reading dipped if a reading before it is higher and one after it is at least as high as that
    one again. It spiked if a reading after it is lower, but not lower than one before it, and the
    register does not come back to it; unless it stands alone, the rise to it must be more than the
    connection can carry. All within LOOK readings, none of them beyond a break.
    """
    near = np.unique(falls[:, None] + np.arange(-LOOK - 1, LOOK + 1))
    i = near[(near >= 0) & (near < len(v))]
    look = _Look(runs, t, v, limits.rated_kw[runs[0][i]], limits.spike_share[runs[0][i]], i)
    dip, spike = np.zeros(len(i), dtype=bool), np.zeros(len(i), dtype=bool)
    for before in range(1, LOOK + 1):
        for after in range(1, LOOK + 2 - before):
            p, q = -before, after
            pair = look.has(p) & look.has(q) & look.fits(p, q) & look.rises(p, q)
            dip |= pair & ~look.rises(p, 0)
            high = pair & ~look.rises(0, q)
            alone = before == after == 1
            high &= alone | ~look.fits(p, 0)
            for again in range(after + 1, LOOK + 1):
                high &= ~(look.has(again) & look.fits(0, again) & look.rises(0, again))
            spike |= high
    owner = runs[0][i]
    dip &= limits.decrease[owner]
    return i[dip], i[spike & ~dip & limits.spike[owner]]


@dataclass(frozen=True, slots=True)
class _Look:
    """The raw readings around some readings, by offset."""

    runs: list[Ints]
    """Numbers that only readings of the same register share: the meter, and the run if any."""
    t: Ints
    values: Floats
    rated_kw: Floats
    share: Floats
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

    def rises(self, first: int, second: int) -> Bools:
        """Whether the register is not lower at the second, noise aside."""
        rises: Bools = self.v(second) - self.v(first) >= -NOISE_KWH
        return rises

    def fits(self, first: int, second: int) -> Bools:
        """Whether the gain from one to the other is what the connection can carry."""
        span = self.t[self._place(second)] - self.t[self._place(first)]
        most = plausible_gain_kwh(self.rated_kw, span, self.share)
        fits: Bools = self.v(second) - self.v(first) <= most
        return fits
