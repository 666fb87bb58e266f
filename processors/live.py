"""LIVE: what is known this instant of each meter's running block, for the screen and the rules."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from collector.reading import UTC_US

LIVE: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "site_id": pl.String(),
    "is_main": pl.Boolean(),
    "measured_at": UTC_US,
    "received_at": UTC_US,
    "power_kw": pl.Float64(),
    "block_start": UTC_US,
    "energy_so_far_kwh": pl.Float64(),
    "projected_demand_kw": pl.Float64(),
    "projected_low_kw": pl.Float64(),
    "projected_high_kw": pl.Float64(),
}
"""One row a meter ever heard. `measured_at`/`received_at` of its last reading; `power_kw` its last
momentary power, or the mean power between its last two counter readings; `block_start` of the block
that holds the last reading; `energy_so_far_kwh` since `block_start` (null if the register value at
the boundary is not known); `projected_demand_kw` = (energy so far + power x time left) / 0.25 h,
and the bounds that hold four cases in five (`processors.swing`): null until a swing is known."""


@dataclass(frozen=True, slots=True)
class Live:
    """A consistent picture of the processor at one instant."""

    at: datetime
    """Site time of the picture."""
    meters: pl.DataFrame
    """Schema LIVE, one row a meter heard so far, sorted by meter_id."""
    readings_total: int
    """Readings taken from the journal since the process began."""
    readings_per_s: float
    """Readings a real second, over the last ten seconds."""
    intervals_total: int
    """Interval rows (first issues and revisions) issued since the process began."""
    journal_lag: int
    """Journal batches written but not yet processed."""
