"""A site as if it were one meter: its main meters summed; pure.

So whatever is told of a meter can be told of a site.
"""

from datetime import datetime

import polars as pl

from collector.reading import UTC_US
from processors.book import Book
from processors.history.days import DAY, USED, day_rows
from processors.interval import BLOCK, QUALITY, Quality


def site_zones(book: Book) -> pl.DataFrame:
    """Return the sites that have main meters as `meter_id`, with `timezone` and `mains`."""
    mains = book.meters.filter("is_main")
    return mains.group_by(pl.col("site_id").alias("meter_id"), "timezone").agg(
        pl.len().alias("mains")
    )


KNOWN: dict[str, pl.DataType] = {
    "known_kwh": pl.Float64(),
    "estimated_kwh": pl.Float64(),
    "known_kw": pl.Float64(),
    "known_at": UTC_US,
    "reactive_kvarh": pl.Float64(),
    "flags": pl.List(pl.String()),
}
"""What the main meters that spoke say together, null if none did: `known_kwh` and of it
`estimated_kwh`; `known_kw`, its window ending at `known_at`, the greatest demand, of several meters
block demand, flagged so; `reactive_kvarh` null where a meter that spoke does not tell it. Where a
main meter is silent they are lower bounds: for sums and maxima, never for means or minima."""


def site_blocks(intervals: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Return blocks (columns USED of INTERVAL, and KNOWN) with the site in `meter_id`.

    A block in which a main meter is absent or states no energy has none: the others alone would
    make a valley, or a peak, that never was. Its coverage is the mean over all mains. Sliding
    maxima of several meters cannot be added; then `max_demand_kw` is null, unless there is one.

    Args:
        intervals: latest INTERVAL rows of all main meters of the sites wanted.
        book: which they are.
    """
    mains = book.meters.filter("is_main").select("meter_id", "site_id")
    count = mains.group_by("site_id").agg(pl.len().alias("mains"))
    energy, alone = pl.col("energy_kwh"), pl.col("mains") == 1
    mine = intervals.join(mains, on="meter_id").join(count, on="site_id")
    sums = mine.group_by("site_id", "start", "mains").agg(_summed())
    whole, heard = pl.col("known") == pl.col("mains"), pl.col("known") > 0
    quality = (
        pl.when(~whole)
        .then(pl.lit(Quality.MISSING.value))
        .when("estimated")
        .then(pl.lit(Quality.ESTIMATED.value))
        .otherwise(pl.lit(Quality.MEASURED.value))
    )
    demand = energy / (BLOCK.seconds / 3600)
    told = sums.with_columns(
        pl.when(heard).then(energy).alias("known_kwh"),
        pl.when(alone).then("max_demand_kw").when(heard).then(demand).alias("known_kw"),
        pl.when(alone).then("max_demand_at").when(heard).then(_END).alias("known_at"),
        pl.when(heard & ~pl.col("reactive_lacks")).then("reactive_kvarh").alias("reactive_kvarh"),
        pl.when(alone).then("flags").otherwise(pl.lit([ONLY_BLOCK])).alias("flags"),
        pl.when(whole).then(energy),
        pl.when(whole).then(demand).alias("demand_kw"),
        pl.when(whole & alone).then(pl.col("max_demand_kw", "max_demand_at")),
        quality.cast(QUALITY).alias("quality"),
        meter_id="site_id",
        output_count=pl.lit(None, pl.Float64),
    )
    return told.select(*USED, *(pl.col(n).cast(t) for n, t in KNOWN.items()))


ONLY_BLOCK = "block_demand_only"
_END = (pl.col("start") + BLOCK).cast(UTC_US)


def _summed() -> list[pl.Expr]:
    """Return the figures of one site's block over its main meters."""
    energy, reactive = pl.col("energy_kwh"), pl.col("reactive_kvarh")
    known, estimated = energy.is_not_null(), pl.col("quality") == Quality.ESTIMATED.value
    return [
        energy.sum(),
        energy.count().alias("known"),
        energy.filter(estimated).sum().alias("estimated_kwh"),
        pl.col("max_demand_kw").max(),
        pl.col("max_demand_at").max(),
        reactive.filter(known).sum(),
        (known & reactive.is_null()).any().alias("reactive_lacks"),
        pl.col("flags").first(),
        pl.col("coverage").fill_null(0.0).sum() / pl.col("mains").first(),
        estimated.any().alias("estimated"),
        pl.col("revision").sum(),
        pl.col("computed_at").max(),
    ]


def site_days(
    days: pl.DataFrame, intervals: pl.DataFrame, book: Book, now: datetime
) -> pl.DataFrame:
    """Return DAY rows with the site in `meter_id`.

    Args:
        days: latest DAY rows; those of a site's only main meter are the site's.
        intervals: latest INTERVAL rows of whole days of the main meters of `shared` sites.
        book: the meters.
        now: blocks that have ended by then are expected.
    """
    zones = site_zones(book)
    alone = zones.filter(pl.col("mains") == 1)
    mains = book.meters.filter(
        pl.col("is_main") & pl.col("site_id").is_in(alone["meter_id"].implode())
    )
    named = days.join(mains.select("meter_id", "site_id"), on="meter_id")
    mine = named.with_columns(meter_id="site_id").select(*DAY)
    several = zones.filter(pl.col("mains") > 1)
    summed = site_blocks(intervals, book).join(several, on="meter_id", how="semi")
    return pl.concat([mine, day_rows(summed, several, now)])


def shared(book: Book) -> list[str]:
    """Return the main meters of sites with several: those whose sum needs intervals."""
    many = site_zones(book).filter(pl.col("mains") > 1)
    mains = book.meters.filter(
        pl.col("is_main") & pl.col("site_id").is_in(many["meter_id"].implode())
    )
    return mains["meter_id"].to_list()
