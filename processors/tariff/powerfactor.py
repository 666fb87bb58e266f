"""Power-factor adjustment (力率调整电费) after (83)水电财字第215号, by transcription. Pure.

Monthly power factor = Wp / sqrt(Wp² + Wq²) of the month's energies, to two decimals (half up);
amount = (基本电费 + 电度电费) × percent of the table, government funds excluded.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from math import hypot

import polars as pl

from processors.policy.header import Provenance
from processors.policy.power_factor_pack import Standard


@dataclass(frozen=True, slots=True)
class MonthFactor:
    """A month's power factor."""

    active_kwh: float
    """Wp of the blocks whose reactive energy is known too."""
    reactive_kvarh: float
    """Wq drawn in the same blocks. What was fed back is not in the intervals: where a site
    over-compensates, its true factor is lower."""
    factor: Decimal
    """Two decimals."""
    known_share: float
    """0..1 of the stated active energy whose reactive energy is known."""


def month_factor(blocks: pl.DataFrame) -> MonthFactor | None:
    """Return the power factor of all `blocks` (INTERVAL rows or `subjects.site_blocks`) together.

    Several main meters make one factor (共力率). None where no block has both energies.
    """
    both = blocks.filter(
        pl.col("energy_kwh").is_not_null() & pl.col("reactive_kvarh").is_not_null()
    )
    active, reactive = float(both["energy_kwh"].sum()), float(both["reactive_kvarh"].sum())
    apparent = hypot(active, reactive)
    if apparent <= 0:
        return None
    said = "known_kwh" if "known_kwh" in blocks.columns else "energy_kwh"
    stated = float(blocks[said].sum())
    share = active / stated if stated > 0 else 1.0
    return MonthFactor(active, reactive, two_decimals(active / apparent), share)


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
