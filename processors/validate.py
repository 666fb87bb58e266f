"""Validation rules that flag: each by name, each with the meter's own limits, each can be off.

`range`, `phase_sum` and `clock_offset` look at single readings, `stuck` and `energy_power` at whole
blocks. None of them changes a figure. (`spike` and `decrease` leave readings out: `register.py`.)
"""

from dataclasses import dataclass

import numpy as np

from processors.book import Book
from processors.energy import Between
from processors.flags import BIT
from processors.limits import NOISE_KWH, Bools, Floats, Ints
from processors.samples import Samples


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits by meter code; NaN where a rule is off: no comparison with it holds."""

    range_kw: Floats
    phase_share: Floats
    phase_floor_kw: Floats
    clock_s: Floats
    stuck_kwh: Floats
    power_share: Floats
    power_floor_kwh: Floats
    power_readings: Floats

    @classmethod
    def of(cls, book: Book) -> "Rules":
        """Return the book's limits."""
        facts = book.numbers
        names = ("phase_share", "phase_floor_kw", "clock_s", "stuck_kwh")
        more = ("power_share", "power_floor_kwh", "power_readings")
        range_kw = facts["range_share"] * facts["rated_power_kw"]
        return cls(range_kw, *(facts[name] for name in (*names, *more)))


def doubted(samples: Samples, rules: Rules) -> list[tuple[Bools, int]]:
    """Return which readings break a rule, and the bit of its flag."""
    code = samples.code
    found = []
    if not np.isnan(samples.power).all():
        found.append((np.abs(samples.power) > rules.range_kw[code], BIT["range"]))
    if not np.isnan(samples.phase_gap).all():
        share = rules.phase_share[code] * np.abs(samples.power)
        most = np.maximum(share, rules.phase_floor_kw[code])
        found.append((samples.phase_gap > most, BIT["phase_sum"]))
    if not np.isnan(samples.clock).all():
        found.append((np.abs(samples.clock) > rules.clock_s[code], BIT["clock_offset"]))
    return found


def compared(figures: Between, code: Ints, power_kw: Floats, count: Ints, rules: Rules) -> Ints:
    """Return the flag bits of blocks whose energy contradicts their power readings.

    Args:
        figures: what the register gained; only blocks measured whole are judged.
        code: meter of each block.
        power_kw: mean import power over the block's readings, NaN if there is none.
        count: how many readings that mean is of.
        rules: by meter code.
    """
    whole = (figures.coverage == 1.0) & (figures.quality <= 1)
    told = power_kw * 0.25
    still = whole & (np.abs(figures.amount) <= NOISE_KWH) & (told >= rules.stuck_kwh[code])
    share = rules.power_share[code] * np.maximum(figures.amount, told)
    most = np.maximum(share, rules.power_floor_kwh[code])
    enough = whole & (count >= rules.power_readings[code])
    apart = enough & (np.abs(figures.amount - told) > most)
    bits: Ints = still * np.int64(BIT["stuck"]) + apart * np.int64(BIT["energy_power"])
    return bits
