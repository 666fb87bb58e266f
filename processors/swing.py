"""How far a meter's load swings from block to block, and so how sure a projected demand is; pure.

    swing²      = mean of (demand of a block - demand of the block before)² over the last day
    half width  = 1.2816 × h/B × √(swing² (h + d) / 2B)

h time left of the block of length B, d the time the present power is a mean over (0: momentary).
The load is taken as a random walk of variance s² an hour: two successive block means then differ by
2/3 s² B, and the mean of what is left differs from the power now by s² (h + d) / 3; 1.2816 is the
90 % quantile of a normal distribution, so that four cases in five are held. Source: this product's
own; how often it held is measured (docs/arithmetic.md).
"""

from datetime import timedelta

import numpy as np
import polars as pl

from processors.interval import BLOCK, Quality
from processors.limits import Floats

SWING: dict[str, pl.DataType] = {"meter_id": pl.String(), "swing_kw": pl.Float64()}
"""One row a meter of which enough successive blocks are known and not estimated."""

LOOK_BACK = timedelta(days=1)
LEAST = 8
"""Pairs of successive blocks below which nothing is said."""
_Q90 = 1.2816


def swings(intervals: pl.DataFrame) -> pl.DataFrame:
    """Return SWING of the meters.

    Args:
        intervals: latest INTERVAL rows of about LOOK_BACK, in any order.
    """
    guessed = pl.col("quality").cast(pl.String) == Quality.ESTIMATED.value
    after = pl.col("start").diff().over("meter_id") == BLOCK
    change = pl.col("demand_kw").diff().over("meter_id")
    return (
        intervals.filter(~guessed, pl.col("demand_kw").is_not_null())
        .select("meter_id", "start", "demand_kw")
        .sort("meter_id", "start")
        .select("meter_id", squared=pl.when(after).then(change.pow(2)))
        .drop_nulls()
        .group_by("meter_id")
        .agg(pl.len().alias("pairs"), swing_kw=pl.col("squared").mean().sqrt())
        .filter(pl.col("pairs") >= LEAST)
        .select(list(SWING))
    )


def half_width(swing_kw: Floats, left_h: Floats, over_h: Floats) -> Floats:
    """Return half the width (kW) of the 80 % range of projected block demand; NaN: not known.

    Args:
        swing_kw: of each meter; NaN where not known.
        left_h: time left of the block.
        over_h: time the present power is a mean over.
    """
    block_h = BLOCK.total_seconds() / 3600
    spread: Floats = np.sqrt(swing_kw**2 * (left_h + over_h) / (2 * block_h))
    return _Q90 * left_h / block_h * spread
