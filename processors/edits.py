"""Manual edits: energy that a person states for blocks, with who and why; pure.

An edit stands until it is withdrawn, and above every reading: what comes later changes the computed
figure below it, never the stated one. Of two edits of a block the later one counts.
"""

import polars as pl

from collector.reading import UTC_US
from processors.interval import BLOCK, INTERVAL, Method, Quality

EDIT: dict[str, pl.DataType] = {
    "edit_id": pl.Int64(),
    "meter_id": pl.String(),
    "start": UTC_US,
    "end": UTC_US,
    "energy_kwh": pl.Float64(),
    "by": pl.String(),
    "why": pl.String(),
    "at": UTC_US,
    "withdraws": pl.Int64(),
}
"""One row an act, never changed: an edit (`energy_kwh` over the blocks `start` to `end`, spread
evenly), the withdrawal of the edit `withdraws`, or, with neither, the order to compute the span
anew; `at` when it was made."""

EDITED = "edited"
_TICK = pl.duration(microseconds=1)
_KEY = ["meter_id", "start"]


def none() -> pl.DataFrame:
    """Return an EDIT frame of no rows."""
    return pl.DataFrame(schema=EDIT)


def standing(edits: pl.DataFrame) -> pl.DataFrame:
    """Return the edits that count: those nobody withdrew."""
    gone = edits["withdraws"].drop_nulls()
    return edits.filter(
        pl.col("energy_kwh").is_not_null() & ~pl.col("edit_id").is_in(gone.implode())
    )


def by_day(spans: pl.DataFrame) -> pl.DataFrame:
    """Return spans (schema marks.LATE) cut at each midnight UTC, earliest day first, none twice."""
    days = pl.datetime_ranges(
        pl.col("first").dt.truncate("1d"), "last", interval="1d", time_unit="us", time_zone="UTC"
    )
    cut = (
        spans.with_columns(days.alias("day"))
        .explode("day")
        .with_columns(
            pl.max_horizontal("first", "day").alias("first"),
            pl.min_horizontal("last", pl.col("day").dt.offset_by("1d") - _TICK).alias("last"),
        )
    )
    return cut.sort("day", "meter_id", "first").unique(maintain_order=True).drop("day")


def stated(edits: pl.DataFrame) -> pl.DataFrame:
    """Return the energy stated for each block: `meter_id, start, stated_kwh`, one row a block."""
    counted = standing(edits)
    ends = pl.col("end") - BLOCK
    starts = pl.datetime_ranges("start", ends, interval="15m", time_unit="us", time_zone="UTC")
    count = (pl.col("end") - pl.col("start")).dt.total_seconds() // int(BLOCK.total_seconds())
    rows = counted.select(
        "edit_id", "meter_id", starts.alias("start"), stated_kwh=pl.col("energy_kwh") / count
    ).explode("start")
    return rows.sort("edit_id").unique(_KEY, keep="last").select(*_KEY, "stated_kwh")


def edited(intervals: pl.DataFrame, edits: pl.DataFrame) -> pl.DataFrame:
    """Return INTERVAL rows with what was stated in the place of what was computed.

    An edited block is `estimated`, has coverage 0, method `manual`, the flag `edited`, block demand
    as the lower bound of its maximum demand, and neither reactive energy nor power factor.
    """
    if edits.is_empty() or intervals.is_empty():
        return intervals
    told = stated(edits)
    both = intervals.join(told, on=_KEY, how="left", maintain_order="left")
    if both["stated_kwh"].null_count() == both.height:
        return intervals
    figures = {
        "energy_kwh": pl.col("stated_kwh"),
        "demand_kw": pl.col("stated_kwh") * 4.0,
        "max_demand_kw": pl.col("stated_kwh") * 4.0,
        "max_demand_at": pl.col("end"),
        "reactive_kvarh": pl.lit(None, pl.Float64()),
        "power_factor": pl.lit(None, pl.Float64()),
        "coverage": pl.lit(0.0),
        "quality": pl.lit(Quality.ESTIMATED.value).cast(INTERVAL["quality"]),
        "flags": pl.col("flags").list.set_union(pl.lit(["block_demand_only", EDITED])),
        "method": pl.lit(Method.MANUAL.value).cast(INTERVAL["method"]),
    }
    known = pl.col("stated_kwh").is_not_null()
    return both.with_columns(
        pl.when(known).then(value).otherwise(pl.col(name)).alias(name)
        for name, value in figures.items()
    ).select(list(INTERVAL))


def blank(blocks: pl.DataFrame) -> pl.DataFrame:
    """Return missing INTERVAL rows for blocks (`meter_id, start`) that nothing was computed for."""
    told = {
        "end": pl.col("start") + BLOCK,
        "coverage": pl.lit(0.0),
        "quality": pl.lit(Quality.MISSING.value),
        "flags": pl.lit([], dtype=pl.List(pl.String)),
        "method": pl.lit(Method.NONE.value),
        "revision": pl.lit(0),
    }
    rest = {n: pl.lit(None) for n in INTERVAL if n not in told and n not in _KEY}
    return blocks.with_columns(**told, **rest).select(
        pl.col(n).cast(kind) for n, kind in INTERVAL.items()
    )


def unedited(issued: pl.DataFrame, edits: pl.DataFrame) -> pl.DataFrame:
    """Return the blocks that were issued as edited and are edited no longer, as missing rows.

    What was computed for them follows by `late.revise`, where there are readings.
    """
    was = issued.filter(pl.col("flags").list.contains(EDITED))
    gone = was.join(stated(edits), on=_KEY, how="anti")
    rows = blank(gone.select(_KEY))
    return rows.drop("revision").join(gone.select(*_KEY, "revision"), on=_KEY).with_columns(
        pl.col("revision") + 1
    ).select(list(INTERVAL))  # fmt: skip


def news(issued: pl.DataFrame, edits: pl.DataFrame) -> pl.DataFrame:
    """Return the revisions that edits ask for of what was issued; `computed_at` is the old one.

    Args:
        issued: latest INTERVAL rows of the edits' meters and spans.
        edits: all acts upon those meters.
    """
    absent = stated(edits).join(issued, on=_KEY, how="anti").select(_KEY)
    first = edited(blank(absent), edits)
    again = edited(issued, edits)
    differs = pl.struct("energy_kwh", "method")
    before = issued.select(*_KEY, _old=differs)
    changed = again.join(before, on=_KEY).filter(differs != pl.col("_old")).drop("_old")
    later = changed.with_columns(pl.col("revision") + 1)
    return pl.concat([first, later, unedited(issued, edits)])
