"""Flags as bits while they are computed, as names in INTERVAL rows."""

import numpy as np
import polars as pl

from processors.limits import Ints
from processors.register import EVENTS

LIKE_DAY = "like_day"
FLAGS = (
    *EVENTS,
    *("gap_spread", "prolonged_estimate", "partial", "corrected_reading"),
    *("block_demand_only", "sliding_incomplete"),
    *("range", "phase_sum", "clock_offset", "stuck", "energy_power"),
    LIKE_DAY,
)
"""In the order in which rows show them; see `interval.FLAGS`."""
BIT = {name: 1 << place for place, name in enumerate(FLAGS)}
_SILENT = BIT["declared"] | BIT[LIKE_DAY]
"""What the column `method` tells."""


def flag_names(bits: Ints) -> pl.Series:
    """Return each bit set as a list of flag names."""
    shown = bits & ~_SILENT
    names = {int(one): [name for name, bit in BIT.items() if one & bit] for one in np.unique(shown)}
    order = {one: place for place, one in enumerate(names)}
    table = pl.Series(list(names.values()), dtype=pl.List(pl.String()))
    return table.gather(pl.Series(shown).replace_strict(order, return_dtype=pl.UInt32))
