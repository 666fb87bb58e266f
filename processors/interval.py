"""INTERVAL: one row a meter and 15-minute block; half-open `[start, end)`, both ends stored."""

from datetime import timedelta
from enum import StrEnum

import polars as pl

from collector.reading import UTC_US

BLOCK = timedelta(minutes=15)
"""Length of a demand block; blocks are aligned to the quarter hour of UTC."""


class Quality(StrEnum):
    """How the energy of a block is known; the worst part of the block decides."""

    MEASURED = "measured"
    """Both boundary values were read, or lie between readings at most a minute apart."""
    INTERPOLATED = "interpolated"
    """A boundary value lies between readings no further apart than the meter's allowed gap."""
    ESTIMATED = "estimated"
    """Part of the block lies in a longer gap: the energy is the gap's, its spread is assumed."""
    MISSING = "missing"
    """No energy can be stated: null, never zero."""


class Method(StrEnum):
    """How the energy that was not measured was found."""

    NONE = "none"
    """Nothing was estimated, or nothing is stated."""
    LINEAR = "linear"
    """Part of it is energy of a gap, spread evenly."""
    LIKE_DAY = "like_day"
    """Part of it is energy of a gap, spread as on the meter's like days before it."""
    DECLARED = "declared"
    """A change of meter or ratio was bridged by declared registers."""
    MANUAL = "manual"
    """A person stated it; see `demandwatch edit list`."""


METHOD = pl.Enum([one.value for one in Method])
QUALITY = pl.Enum([one.value for one in Quality])

INTERVAL: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "start": UTC_US,
    "end": UTC_US,
    "energy_kwh": pl.Float64(),
    "demand_kw": pl.Float64(),
    "max_demand_kw": pl.Float64(),
    "max_demand_at": UTC_US,
    "reactive_kvarh": pl.Float64(),
    "power_factor": pl.Float64(),
    "voltage_unbalance_pct": pl.Float64(),
    "coverage": pl.Float64(),
    "quality": QUALITY,
    "flags": pl.List(pl.String()),
    "revision": pl.Int32(),
    "computed_at": UTC_US,
    "method": METHOD,
    "output_count": pl.Float64(),
}
"""`energy_kwh` import energy in the block (kWh); `demand_kw` block demand = energy / 0.25 h (kW);
`max_demand_kw` the greatest 15-minute sliding demand ending in the block (slip 1 min), at
`max_demand_at` (the end of that window); where readings are too sparse for a minute grid it is
the block demand, a lower bound, flagged `block_demand_only`. `reactive_kvarh` import reactive
energy; `power_factor` of these two, what is drawn (only a month's counts what is fed back);
`coverage` 0..1 share of the block's span supported by measurement; `revision` 0 at first, +1 for
each later correction; `computed_at` orders revisions: the latest is the row with the greatest
`computed_at` for its (meter_id, start); `method` how energy that was not measured was found
(null in rows of versions before it was recorded); `output_count` what a counter of output
(`role: count`) counted in the block, of which energy and demand are null, and which alone has
it."""

FLAGS = (
    "block_demand_only",  # readings too sparse for sliding demand: max_demand_kw is a lower bound
    "sliding_incomplete",  # some windows could not be stated: max_demand_kw is a lower bound
    "partial",  # measurement began or ended inside the block
    "gap_spread",  # energy of a long gap; `method` says how it was spread
    "prolonged_estimate",  # that gap is longer than `estimation.prolonged_days`
    "gap_not_spread",  # a gap longer than `estimation.longest_days` ends: its energy is in no block
    "counter_reset",  # the register fell and stayed low: energy across the fall is not stated
    "rollover",  # the register passed its modulus
    "dip_rejected",  # a reading fell and came back: left out
    "spike_rejected",  # a step beyond rated power x time: left out
    "range",  # a power reading beyond the plausible share of rated power
    "phase_sum",  # the phase powers do not add up to the total
    "clock_offset",  # the meter's clock is off by more than the limit
    "stuck",  # the register stood still while power was drawn
    "energy_power",  # the register's energy and the power readings contradict one another
    "edited",  # a person stated the energy; the computed figure is kept below it
    "meter_change",  # the meter was changed; `method` says whether registers were declared
    "ratio_change",  # a ratio its readings are multiplied by was changed
    "change_mismatch",  # a declared register contradicts the readings: that energy is not stated
    "corrected_reading",  # a reading of this block was told again with other values
)


def empty() -> pl.DataFrame:
    """Return an INTERVAL frame of no rows."""
    return pl.DataFrame(schema=INTERVAL)
