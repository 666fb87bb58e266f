"""Interval and reading frames for the tests of history; not a test itself."""

from datetime import UTC, date, datetime, timedelta

import polars as pl

from collector.reading import READING, UTC_US
from processors.book import BOOK, Book
from processors.interval import BLOCK, INTERVAL

T0 = datetime(2026, 3, 1, 16, 0, tzinfo=UTC)
"""2 March 2026, 00:00 in Shanghai."""
DAY0 = date(2026, 3, 2)


def book(*meters: str, zone: str = "Asia/Shanghai") -> Book:
    facts = (zone, True, None, None, 1800, False)
    rows = [(m, f"site-of-{m}", "east", *facts) for m in sorted(meters)]
    return Book(pl.DataFrame(rows, schema=BOOK, orient="row"))


def intervals(
    meters: list[str],
    first: datetime,
    blocks: int,
    computed_at: datetime,
    energy_kwh: float | None = 1.0,
    revision: int = 0,
) -> pl.DataFrame:
    starts = pl.DataFrame({"start": [first + BLOCK * k for k in range(blocks)]}, {"start": UTC_US})
    rows = pl.DataFrame({"meter_id": meters}, {"meter_id": pl.String}).join(starts, how="cross")
    energy = pl.lit(energy_kwh, pl.Float64())
    return rows.with_columns(
        end=pl.col("start") + BLOCK,
        energy_kwh=energy,
        demand_kw=energy * 4,
        max_demand_kw=energy * 5,
        max_demand_at=pl.col("start") + timedelta(minutes=20),
        reactive_kvarh=None,
        power_factor=None,
        voltage_unbalance_pct=None,
        coverage=0.0 if energy_kwh is None else 1.0,
        quality=pl.lit("missing" if energy_kwh is None else "measured"),
        flags=pl.lit([], pl.List(pl.String())),
        revision=revision,
        computed_at=pl.lit(computed_at),
        method=pl.lit("none"),
        output_count=None,
    ).select(pl.col(name).cast(kind) for name, kind in INTERVAL.items())


def readings(meters: list[str], first: datetime, count: int, every_s: float = 60) -> pl.DataFrame:
    at = [first + timedelta(seconds=every_s * k) for k in range(count)]
    rows = pl.DataFrame({"meter_id": meters}, {"meter_id": pl.String}).join(
        pl.DataFrame({"measured_at": at}, {"measured_at": UTC_US}), how="cross"
    )
    lacking = [
        pl.lit(None, kind).alias(name)
        for name, kind in READING.items()
        if name not in {"meter_id", "measured_at", "received_at", "source"}
    ]
    return (
        rows.with_columns(*lacking, received_at=pl.col("measured_at"), source=pl.lit("test"))
        .with_columns(energy_import_kwh=pl.int_range(pl.len()).over("meter_id").cast(pl.Float64))
        .select(pl.col(name).cast(kind) for name, kind in READING.items())
    )
