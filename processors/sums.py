"""Meter -> site: sums of main meters, each with its coverage."""

import polars as pl

from collector.reading import UTC_US
from processors.book import Book
from processors.interval import QUALITY

SITE_INTERVAL: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "start": UTC_US,
    "end": UTC_US,
    "energy_kwh": pl.Float64(),
    "demand_kw": pl.Float64(),
    "coverage": pl.Float64(),
    "quality": QUALITY,
}
"""One row a site and block. `energy_kwh` (kWh) and `demand_kw` (kW) of the main meters that are
known, null if none is: over fewer meters a lower bound. `coverage` 0..1 over all main meters, an
absent one counting 0. `quality` the worst of the meters present, `missing` if a main is absent."""


def site_intervals(intervals: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Sum the main meters of each site, block by block.

    Args:
        intervals: INTERVAL rows, one a (meter, block): the latest revisions. For a whole sum, all
            main meters of the sites must be among them.
        book: which meters are a site's main meters.

    Returns:
        SITE_INTERVAL rows sorted by (site_id, start).
    """
    mains = book.meters.filter("is_main").select("meter_id", "site_id")
    count = mains.group_by("site_id").agg(pl.len().alias("mains"))
    known = pl.col("energy_kwh").is_not_null()
    sums = (
        intervals.join(mains, on="meter_id")
        .group_by("site_id", "start", "end")
        .agg(
            pl.when(known.any()).then(pl.col("energy_kwh").sum()),
            pl.when(known.any()).then(pl.col("demand_kw").sum()),
            pl.col("coverage").fill_null(0.0).sum(),
            pl.col("quality").max().cast(pl.String).alias("worst"),
            pl.len().alias("present"),
        )
        .join(count, on="site_id")
    )
    absent = pl.col("present") < pl.col("mains")
    worst = pl.when(absent).then(pl.lit(QUALITY.categories[-1])).otherwise("worst")
    return (
        sums.with_columns(
            pl.col("coverage") / pl.col("mains"), worst.cast(QUALITY).alias("quality")
        )
        .select(list(SITE_INTERVAL))
        .sort("site_id", "start")
    )
