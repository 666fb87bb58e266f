"""Energy and maximum demand by tariff period (分时电量, 分时最大需量). Pure, vectorised.

A figure is a function of the latest INTERVAL rows and of the hot days, so a late reading, a
correction or a day that turns out hot changes it by computing it anew; as-of rows give what was
known then. Maximum demand is the sliding 15-minute maximum of DL/T 645 parameters 4100 and 4101
where readings allow it, else block demand, its lower bound.
"""

from collections.abc import Sequence
from datetime import date, datetime

import polars as pl

from collector.reading import UTC_US
from processors.calendar import Calendar
from processors.history.days import bounded
from processors.interval import BLOCK, Quality
from processors.policy.tariff_pack import TariffPack
from processors.tariff.periods import PERIOD, period_of

BY_PERIOD: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "period": PERIOD,
    "energy_kwh": pl.Float64(),
    "energy_share": pl.Float64(),
    "coverage": pl.Float64(),
    "estimated_share": pl.Float64(),
    "blocks": pl.Int32(),
    "blocks_expected": pl.Int32(),
    "max_demand_kw": pl.Float64(),
    "max_demand_at": UTC_US,
    "lower_bound": pl.Boolean(),
}
"""One row a meter (or site) and tariff period of a span. `energy_kwh` stated, null if nothing is;
`energy_share` 0..1 of the energy stated in all periods; `coverage` 0..1 of the blocks that have
ended; `estimated_share` 0..1 of the energy; `blocks` with energy (of all main meters), of
`blocks_expected` that have ended: fewer, and the energy is a lower bound; `max_demand_kw` at
`max_demand_at` (the window's end, the earlier of equals); `lower_bound`: the true maximum may be
higher, as a block is missing or estimated or only block demand is known. `period` null: the tariff
needs the type of a day nobody knows."""

ONLY_BLOCK = ("block_demand_only", "sliding_incomplete")
"""Flags of blocks whose `max_demand_kw` is a lower bound."""


def grid(
    first: date,
    end: date,
    pack: TariffPack | None,
    zone: str,
    hot: pl.DataFrame | None = None,
    calendar: Calendar | None = None,
) -> pl.DataFrame:
    """Return `start` and `period` of every block of the local days `[first, end)`.

    Days of 23 and 25 hours have 92 and 100 blocks.

    Args:
        first: first local day.
        end: first day after the span.
        pack: the edition in force; None: no period is known.
        zone: the site's time zone.
        hot: HOT rows.
        calendar: day types.
    """
    days = pl.DataFrame({"day": [first, end]}).with_columns(timezone=pl.lit(zone))
    start, stop = bounded(days).sort("day")["start"]
    starts = pl.datetime_range(start, stop, BLOCK, closed="left", eager=True, time_zone="UTC")
    named = starts.cast(UTC_US).alias("start")
    if pack is None:
        return pl.DataFrame([named, pl.Series("period", [None] * len(named), dtype=PERIOD)])
    return pl.DataFrame([named, period_of(named, pack, hot, zone, calendar)])


def by_period(
    blocks: pl.DataFrame,
    grid: pl.DataFrame,
    now: datetime,
    by: Sequence[str] = ("period",),
) -> pl.DataFrame:
    """Split energy and maximum demand of each meter over the periods of a span.

    Args:
        blocks: latest INTERVAL rows, or `subjects.site_blocks`; others than those of `grid` are
            left out.
        grid: `start` and the columns `by`, one row a block: see `grid`.
        now: blocks that have ended are expected.
        by: columns of the grid to group by.

    Returns:
        BY_PERIOD rows (with other columns of `by`), one for every meter of `blocks` and group of
        the grid, sorted by meter and group; `period` null where it is no column of `by`.
    """
    ended = (pl.col("start") + BLOCK <= now).sum().alias("blocks_expected")
    expected = grid.group_by(list(by)).agg(ended)
    meters = blocks.select(pl.col("meter_id").unique())
    held = blocks.with_columns(_told(blocks)).join(grid, on="start")
    figures = held.group_by("meter_id", *by).agg(_figures())
    rows = meters.join(expected, how="cross").join(
        figures, on=["meter_id", *by], how="left", nulls_equal=True
    )
    total = pl.col("energy_kwh").sum().over("meter_id")
    count = pl.col("blocks").fill_null(0)
    shaped = rows.with_columns(
        energy_share=pl.when(total > 0).then(pl.col("energy_kwh") / total),
        coverage=_ratio(pl.col("_covered").fill_null(0.0), "blocks_expected").clip(0.0, 1.0),
        estimated_share=_ratio(pl.col("_estimated"), "energy_kwh"),
        blocks=count,
        lower_bound=pl.when(pl.col("max_demand_kw").is_not_null()).then(
            pl.col("_unsure") | (count < pl.col("blocks_expected"))
        ),
    )
    extra = [name for name in by if name not in BY_PERIOD]
    if "period" not in by:
        shaped = shaped.with_columns(period=None)
    return shaped.select(*extra, *(pl.col(n).cast(t) for n, t in BY_PERIOD.items())).sort(
        "meter_id", *by, nulls_last=True
    )


def _told(blocks: pl.DataFrame) -> list[pl.Expr]:
    """Return what a site's rows already say and a meter's do not."""
    own = [pl.col("energy_kwh").is_not_null().alias("whole")]
    if "known_kwh" not in blocks.columns:
        estimated = pl.col("quality") == Quality.ESTIMATED.value
        own += [
            pl.col("energy_kwh").alias("known_kwh"),
            pl.when(estimated).then("energy_kwh").otherwise(0.0).alias("estimated_kwh"),
            pl.col("max_demand_kw").alias("known_kw"),
            pl.col("max_demand_at").alias("known_at"),
        ]
    return own


def _figures() -> list[pl.Expr]:
    energy, demand = pl.col("known_kwh"), pl.col("known_kw")
    at = pl.coalesce("known_at", pl.col("start") + BLOCK)
    bound = pl.col("flags").list.set_intersection(list(ONLY_BLOCK)).list.len() > 0
    return [
        pl.when(energy.count() > 0).then(energy.sum()).alias("energy_kwh"),
        pl.col("estimated_kwh").sum().alias("_estimated"),
        pl.col("coverage").sum().alias("_covered"),
        pl.col("whole").sum().alias("blocks"),
        demand.max().alias("max_demand_kw"),
        at.filter(demand == demand.max()).min().alias("max_demand_at"),
        (bound | (pl.col("estimated_kwh") > 0)).any().alias("_unsure"),
    ]


def _ratio(above: pl.Expr, below: str) -> pl.Expr:
    return pl.when(pl.col(below) > 0).then(above / pl.col(below))
