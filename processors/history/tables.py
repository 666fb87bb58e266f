"""The tables of history: their rows, partitions and order, and what is read of them."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from collector.reading import READING
from processors.history.days import DAY
from processors.history.delta import Shape, Table
from processors.interval import INTERVAL
from processors.verdict import VERDICT

Meters = list[str] | None
"""The meters asked for; None: all."""

SHAPES = {
    "readings": Shape(
        READING,
        pl.col("measured_at").dt.date().alias("utc_day"),
        ("meter_id", "measured_at", "received_at"),
        ("meter_id", "measured_at"),
    ),
    "intervals": Shape(
        INTERVAL,
        pl.col("start").dt.date().alias("utc_day"),
        ("meter_id", "start", "computed_at"),
        ("meter_id", "start", "computed_at"),
    ),
    "days": Shape(
        DAY,
        pl.col("day").dt.truncate("1mo").alias("month"),
        ("meter_id", "day", "computed_at"),
        ("meter_id", "day", "computed_at"),
    ),
    "verdicts": Shape(
        VERDICT,
        pl.col("period_start").dt.truncate("1y").alias("year"),
        ("site_id", "verdict_id", "computed_at"),
        ("site_id", "computed_at"),
    ),
}


class Tables:
    """The four tables under one folder."""

    def __init__(self, root: Path, *, readonly: bool) -> None:
        made = {n: Table(root / n, shape, readonly=readonly) for n, shape in SHAPES.items()}
        self.readings, self.intervals = made["readings"], made["intervals"]
        self.days, self.verdicts = made["days"], made["verdicts"]
        self.all = tuple(made.values())


def by_time(
    table: Table,
    files: pl.DataFrame,
    column: str,
    start: datetime,
    end: datetime,
    meters: Meters,
) -> pl.DataFrame:
    """Return the rows with `column` in [start, end), of `meters`; files outside are not opened."""
    first, last = start.astimezone(UTC), end.astimezone(UTC) - timedelta(microseconds=1)
    time = (pl.col(column) >= start) & (pl.col(column) < end)
    inside = files.filter(
        pl.col("part").is_between(first.date(), last.date()),
        pl.col(f"max.{column}") >= start,
        pl.col(f"min.{column}") < end,
        _may_hold(meters),
    )
    return table.read(inside, time & of(meters))


def by_day(
    table: Table, files: pl.DataFrame, start: date, end: date, meters: Meters
) -> pl.DataFrame:
    """Return the DAY rows with `day` in [start, end), all revisions."""
    inside = files.filter(pl.col("max.day") >= start, pl.col("min.day") < end, _may_hold(meters))
    return table.read(inside, (pl.col("day") >= start) & (pl.col("day") < end) & of(meters))


def of(meters: Meters) -> pl.Expr:
    """Return the condition that a row is of one of `meters`.

    The range beside the list lets a sorted file skip row groups.
    """
    if meters is None:
        return pl.lit(value=True)
    if not meters:
        return pl.lit(value=False)
    meter = pl.col("meter_id")
    within = meter.is_between(pl.lit(min(meters)), pl.lit(max(meters)))
    return within & meter.is_in(meters)


def _may_hold(meters: Meters) -> pl.Expr:
    if meters is None:
        return pl.lit(value=True)
    if not meters:
        return pl.lit(value=False)
    return (pl.col("max.meter_id") >= min(meters)) & (pl.col("min.meter_id") <= max(meters))
