"""Power-factor adjustment (力率调整电费) after (83)水电财字第215号, by transcription. Pure.

Monthly power factor = Wp / sqrt(Wp² + Wq²) of the month's energies, to two decimals (half up), Wq
being what was drawn and what was fed back together (`fedback`: recalled, unverified);
amount = (基本电费 + 电度电费) × percent of the table, government funds excluded.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from math import hypot

import polars as pl

from processors.policy.header import Provenance
from processors.policy.power_factor_pack import Standard
from processors.tariff.facts import known
from processors.tariff.lines import Known


@dataclass(frozen=True, slots=True)
class MonthFactor:
    """A month's power factor."""

    active_kwh: float
    """Wp of the blocks whose reactive energy is known too."""
    reactive_kvarh: float
    """What was drawn in the same blocks."""
    fed_back_kvarh: float | None
    """What was fed back in them, as far as it is told; None: no meter tells it, and if capacitors
    over-compensate the true factor is lower."""
    fed_back_whole: bool
    """All main meters tell it in all these blocks."""
    factor: Decimal
    """Two decimals."""
    known_share: float
    """0..1 of the stated active energy whose reactive energy is known."""


def month_factor(blocks: pl.DataFrame) -> MonthFactor | None:
    """Return the power factor of all `blocks` together.

    Several main meters make one factor (共力率). None where no block has both energies.

    Args:
        blocks: INTERVAL rows or `subjects.site_blocks`, also as `fedback.with_fed_back` has them.
    """
    both = blocks.filter(
        pl.col("energy_kwh").is_not_null() & pl.col("reactive_kvarh").is_not_null()
    )
    active, drawn = float(both["energy_kwh"].sum()), float(both["reactive_kvarh"].sum())
    back, whole = _fed_back(both)
    apparent = hypot(active, drawn + (back or 0.0))
    if apparent <= 0:
        return None
    said = "known_kwh" if "known_kwh" in blocks.columns else "energy_kwh"
    stated = float(blocks[said].sum())
    share = active / stated if stated > 0 else 1.0
    return MonthFactor(active, drawn, back, whole, two_decimals(active / apparent), share)


def _fed_back(both: pl.DataFrame) -> tuple[float | None, bool]:
    if "fed_back_kvarh" not in both.columns or not both["fed_back_kvarh"].count():
        return None, False
    return float(both["fed_back_kvarh"].sum()), bool(both["fed_back_whole"].all())


def factor_facts(found: MonthFactor) -> tuple[Known, ...]:
    """Return the factor with the energies it is made of."""
    told = partial(known, factor=found.factor, active=found.active_kwh, drawn=found.reactive_kvarh)
    back = found.fed_back_kvarh
    if back is None:
        return (told("factor"),)
    weak = Provenance.UNVERIFIED if back > 0 else None
    return told("factor_both", back=known("back", kvarh=back)), known("both_count", weak)


def fed_back_notes(found: MonthFactor) -> tuple[str, ...]:
    """Return the NOTES of what was fed back."""
    if found.fed_back_kvarh is None:
        return ("reactive_drawn_only",)
    return () if found.fed_back_whole else ("fed_back_incomplete",)


def two_decimals(factor: float) -> Decimal:
    """Round half up; noise beyond twelve decimals does not decide."""
    return Decimal(f"{factor:.12f}").quantize(Decimal("0.01"), ROUND_HALF_UP)


def percent_of(standard: Standard, factor: Decimal) -> tuple[Decimal, Provenance]:
    """Return the adjustment (percent, negative is a reduction) at a factor of two decimals.

    Below the table's last line each 0.01 adds `below_percent`, as the rule goes on.
    """
    place = 100 - int(factor * 100)
    if place < len(standard.rows):
        row = standard.rows[place]
        return Decimal(str(row.percent)), row.provenance
    last = standard.rows[-1]
    beyond = Decimal(str(standard.below_percent)) * (place - len(standard.rows) + 1)
    worst = max((last.provenance, standard.below_provenance), key=list(Provenance).index)
    return Decimal(str(last.percent)) + beyond, worst
