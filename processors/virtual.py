"""Virtual meters: signed sums of meters by formula, with the worst of what they are made of."""

from collections.abc import Iterable

import polars as pl

from collector.formula import parse
from collector.reading import UTC_US
from collector.site import Site
from processors.groups import known_energy, newest
from processors.interval import BLOCK, QUALITY, Quality

VIRTUAL: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "site_id": pl.String(),
    "start": UTC_US,
    "end": UTC_US,
    "energy_kwh": pl.Float64(),
    "demand_kw": pl.Float64(),
    "coverage": pl.Float64(),
    "quality": QUALITY,
    "flags": pl.List(pl.String()),
    "revision": pl.Int32(),
    "computed_at": UTC_US,
}
"""One row a virtual meter and block in which one of its meters has a row. `energy_kwh` (kWh) sum
of factor x energy over all terms, null unless each is known: the sign of what is missing is not;
`demand_kw` = energy / 0.25 h, the mean; `coverage` the least, an absent meter's 0; `quality` the
worst, `missing` if one is; `flags` of all its meters, and `negative` where the sum is below zero
(kept as it is: it is a sign of a wrong formula or meter); `revision` the sum of theirs. Its columns
are INTERVAL's, but it is never added into a sum and is no evidence."""

TERM: dict[str, pl.DataType] = {
    "virtual_id": pl.String(),
    "site_id": pl.String(),
    "meter_id": pl.String(),
    "factor": pl.Float64(),
    "terms": pl.Int64(),
}
"""One row a term of a formula; `terms` how many its formula has."""


def terms(sites: Iterable[Site]) -> pl.DataFrame:
    """Return the terms of all virtual meters, schema TERM."""
    rows = [
        (virtual.id, site.id, one.meter_id, one.factor, len(parsed))
        for site in sites
        for virtual in site.virtual
        for parsed in [parse(virtual.formula)]
        for one in parsed
    ]
    return pl.DataFrame(rows, schema=TERM, orient="row")


def virtual_intervals(intervals: pl.DataFrame, formulas: pl.DataFrame) -> pl.DataFrame:
    """Evaluate formulas block by block.

    Args:
        intervals: INTERVAL rows; of several revisions the latest counts.
        formulas: schema TERM.

    Returns:
        VIRTUAL rows sorted by (meter_id, start).
    """
    known = known_energy()
    parts = newest(intervals).join(formulas, on="meter_id")
    keys = ["virtual_id", "site_id", "start"]
    whole = known.sum() == pl.col("terms").first()
    present = pl.len() == pl.col("terms").first()
    term = (pl.col("factor") * pl.col("energy_kwh")).filter(known)
    found = parts.group_by(keys).agg(
        pl.when(whole).then(term.sum()).alias("energy_kwh"),
        pl.when(present).then(pl.col("coverage").fill_null(0.0).min()).otherwise(0.0),
        pl.col("quality").max(),
        pl.col("flags").explode(empty_as_null=False).drop_nulls().unique().sort(),
        pl.col("revision").sum().cast(pl.Int32),
        pl.col("computed_at").max(),
    )
    energy = pl.col("energy_kwh")
    missing = pl.lit(Quality.MISSING.value, QUALITY)
    negative = pl.concat_list("flags", pl.lit(["negative"], pl.List(pl.String)))
    return (
        found.with_columns(
            pl.col("virtual_id").alias("meter_id"),
            (pl.col("start") + BLOCK).alias("end"),
            (energy * 4.0).alias("demand_kw"),
            pl.when(energy.is_null()).then(missing).otherwise("quality").alias("quality"),
            pl.when(energy < 0).then(negative).otherwise("flags").alias("flags"),
        )
        .select(list(VIRTUAL))
        .sort("meter_id", "start")
    )
