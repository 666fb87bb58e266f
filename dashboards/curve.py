"""The load curve (负荷曲线) of a local day, for one meter, a site or the city; pure.

A block nobody measured stays null; a block some main meters did not measure states what the others
drew, with the coverage beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from collector.reading import UTC_US
from processors.book import Book
from processors.interval import BLOCK, QUALITY, Quality

CURVE: dict[str, pl.DataType] = {
    "start": UTC_US,
    "end": UTC_US,
    "label": pl.String(),
    "energy_kwh": pl.Float64(),
    "demand_kw": pl.Float64(),
    "coverage": pl.Float64(),
    "quality": QUALITY,
}
"""One row a block of the day (92, 96 or 100), in order. `label` is the block's local start `HH:MM`;
`energy_kwh` and `demand_kw` sum the main meters that have a value (null if none has); `coverage`
0..1 is the share of the main meters' rated power that measurement supports; `quality` the worst."""

_HOURS = BLOCK / timedelta(hours=1)
_WHOLE = 0.95
"""Coverage from which a block counts as whole."""


def bounds(day: date, timezone: str) -> tuple[datetime, datetime]:
    """Return the UTC instants between which `day` lasts in `timezone`."""
    zone = ZoneInfo(timezone)
    utc = ZoneInfo("UTC")
    start = datetime.combine(day, time(), zone).astimezone(utc)
    end = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(utc)
    return start, end


def slots(day: date, timezone: str) -> pl.DataFrame:
    """Return start, end and label of every block of `day`."""
    start, end = bounds(day, timezone)
    starts = pl.datetime_range(start, end, BLOCK, closed="left", eager=True).alias("start")
    return (
        starts.cast(UTC_US)
        .to_frame()
        .with_columns(
            end=(pl.col("start") + BLOCK).cast(UTC_US),
            label=pl.col("start").dt.convert_time_zone(timezone).dt.strftime("%H:%M"),
        )
    )


def curve(
    intervals: pl.DataFrame,
    book: Book,
    day: date,
    timezone: str,
    meters: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Return the CURVE of `day`, summed over main meters, or over exactly `meters` if given.

    Args:
        intervals: INTERVAL rows, one (the latest revision) a meter and block; others may be there.
        book: facts of all meters.
        day: local day in `timezone`.
        timezone: IANA name.
        meters: meter ids to add up; None takes every main meter of the book.
    """
    members = _members(book, meters)
    sums = _sums(intervals.lazy(), members)
    whole = slots(day, timezone).lazy().join(sums, on="start", how="left", maintain_order="left")
    return (
        whole.with_columns(
            demand_kw=pl.col("energy_kwh") / _HOURS,
            coverage=pl.col("coverage").fill_null(0.0).clip(0.0, 1.0),
            quality=_worst(members.height),
        )
        .select(pl.col(name).cast(kind) for name, kind in CURVE.items())
        .collect()
    )


def _sums(intervals: pl.LazyFrame, members: pl.DataFrame) -> pl.LazyFrame:
    """Add up the members' blocks: energy, weighted coverage, worst quality, how many there were."""
    energy, covered = pl.col("energy_kwh"), pl.col("coverage").fill_null(0.0) * pl.col("weight")
    return (
        intervals.select("meter_id", "start", "energy_kwh", "coverage", "quality")
        .join(members.lazy(), on="meter_id")
        .group_by("start")
        .agg(
            pl.when(energy.is_not_null().any()).then(energy.sum()),
            (covered.sum() / (members["weight"].sum() or 1.0)).alias("coverage"),
            pl.col("quality").to_physical().max().alias("worst"),
            pl.len().alias("heard"),
        )
    )


def _members(book: Book, meters: Sequence[str] | None) -> pl.DataFrame:
    """Return meter_id and weight; rated power weighs only if every member states it."""
    chosen = pl.col("is_main") if meters is None else pl.col("meter_id").is_in(list(meters))
    rows = book.meters.filter(chosen)
    rated = pl.col("rated_power_kw") if rows["rated_power_kw"].null_count() == 0 else pl.lit(1.0)
    return rows.select("meter_id", weight=rated)


def _worst(members: int) -> pl.Expr:
    """Worst quality of a block; a member without a row makes it missing."""
    names = list(QUALITY.categories)
    stated = pl.col("worst").replace_strict(range(len(names)), names, default=None)
    absent = pl.col("heard").fill_null(0) < members
    return pl.when(absent).then(pl.lit(Quality.MISSING.value)).otherwise(stated).cast(QUALITY)


@dataclass(frozen=True, slots=True)
class Total:
    """Energy and demand of the ended blocks of a curve."""

    energy_kwh: float | None
    """kWh of the blocks that have a value; None if none has."""
    coverage: float | None
    """0..1 over the blocks that have ended; None before the first has."""
    estimated_share: float | None
    """0..1 share of the energy that lies in estimated blocks."""
    max_demand_kw: float | None
    """Greatest block demand (区间需量), kW."""
    max_demand_label: str
    """Local start `HH:MM` of that block; empty if there is none."""
    blocks: int
    """Ended blocks the figures speak of."""


def total(rows: pl.DataFrame, until: datetime) -> Total:
    """Return the total of the blocks of CURVE `rows` that ended by `until`."""
    ended = rows.filter(pl.col("end") <= until)
    known = ended.drop_nulls("energy_kwh")
    if known.is_empty():
        coverage = 0.0 if ended.height else None
        return Total(None, coverage, None, None, "", ended.height)
    energy = float(known["energy_kwh"].sum())
    guessed = float(known.filter(quality=Quality.ESTIMATED.value)["energy_kwh"].sum())
    peak = known.row(int(known["demand_kw"].arg_max() or 0), named=True)
    return Total(
        energy_kwh=energy,
        coverage=float(ended["coverage"].sum()) / ended.height,
        estimated_share=guessed / energy if energy else 0.0,
        max_demand_kw=peak["demand_kw"],
        max_demand_label=peak["label"],
        blocks=ended.height,
    )


def settled(rows: pl.DataFrame, at: datetime, grace: timedelta) -> datetime:
    """Return the instant up to which CURVE `rows` can be shown.

    A block that ended within `grace` and is not yet covered is still arriving from some meters:
    its sum so far would look like a sudden drop. Everything before it is as it will stay.
    """
    arriving = rows.filter(
        (pl.col("end") <= at) & (pl.col("end") > at - grace) & (pl.col("coverage") < _WHOLE)
    )
    first = arriving["start"].min()
    return first if isinstance(first, datetime) else at


def shown(rows: pl.DataFrame, until: datetime) -> pl.DataFrame:
    """Return CURVE `rows` with the blocks that end after `until` not known yet."""
    known = pl.col("end") <= until
    figures = ("energy_kwh", "demand_kw")
    return rows.with_columns(pl.when(known).then(pl.col(name)).alias(name) for name in figures)
