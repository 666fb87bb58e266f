"""What one look for anomalies hands to the next; pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import polars as pl

from processors.anomalies_level import MEDIANS
from processors.anomalies_register import CLOSINGS
from processors.anomaly_fold import CARRY

FRAMES = {"signals": CARRY, "closings": CLOSINGS, "medians": MEDIANS}


@dataclass(frozen=True, slots=True)
class Carry:
    """What is known at an instant: the arithmetic goes on from here as if all were looked at."""

    at: datetime
    """What ended here or before is judged."""
    signals: pl.DataFrame
    """Schema CARRY."""
    closings: pl.DataFrame
    """Schema CLOSINGS."""
    medians: pl.DataFrame
    """Schema MEDIANS."""

    def of(self, meters: pl.DataFrame, *, others: bool = False) -> "Carry":
        """Return what is known of some meters (column `meter_id`), or of all `others`."""
        how = "anti" if others else "semi"
        mine = {n: getattr(self, n).join(meters, on="meter_id", how=how) for n in FRAMES}
        return replace(self, **mine)


def joined(parts: Sequence[Carry]) -> Carry:
    """Return what is known of several groups of meters, of one instant."""
    frames = {n: pl.concat(getattr(part, n) for part in parts) for n in FRAMES}
    return replace(parts[0], **frames)


NOTHING = Carry(
    datetime(1, 1, 1, tzinfo=UTC),
    *(pl.DataFrame(schema=schema) for schema in FRAMES.values()),
)
"""Nothing was judged."""
