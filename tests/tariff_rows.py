"""Blocks, packs and prices in a few words, for the tests of tariffs and bills."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from processors.interval import INTERVAL
from processors.policy.load import Packs, load_packs
from processors.policy.tariff_pack import TariffPack

REPO = Path(__file__).parent.parent
QUARTER = timedelta(minutes=15)


def packs() -> Packs:
    """Return the shipped packs."""
    found, faults = load_packs(REPO / "config" / "policy")
    assert not faults
    return found


def tariff(name: str = "guangdong-tou") -> TariffPack:
    """Return the shipped edition of a tariff."""
    return next(one for one in packs().tariffs if one.id == name)


def starts(first: datetime, count: int) -> pl.Series:
    """Return the starts of consecutive blocks."""
    times = [first.astimezone(UTC) + n * QUARTER for n in range(count)]
    return pl.Series("start", times, dtype=pl.Datetime("us", "UTC"))


def blocks(first: datetime, kwh: list[float | None], meter: str = "m", **columns: object):
    """Return measured INTERVAL rows, one a given energy; `columns` override."""
    at = starts(first, len(kwh))
    known = pl.col("energy_kwh").is_not_null()
    frame = pl.DataFrame({"start": at, "energy_kwh": pl.Series(kwh, dtype=pl.Float64)})
    demand = pl.col("energy_kwh") * 4
    told: dict[str, object] = {
        "meter_id": pl.lit(meter),
        "end": pl.col("start") + QUARTER,
        "demand_kw": demand,
        "max_demand_kw": demand,
        "max_demand_at": pl.when(known).then(pl.col("start") + QUARTER),
        "reactive_kvarh": pl.col("energy_kwh") * 0.5,
        "coverage": known.cast(pl.Float64),
        "quality": pl.when(known).then(pl.lit("measured")).otherwise(pl.lit("missing")),
        "flags": pl.lit([], dtype=pl.List(pl.String)),
        "revision": pl.lit(0),
        "computed_at": pl.lit(datetime(2030, 1, 1, tzinfo=UTC)),
    } | columns
    full = frame.with_columns(**{k: v for k, v in told.items() if isinstance(v, pl.Expr)})
    full = full.with_columns(
        **{k: pl.Series(v) for k, v in told.items() if not isinstance(v, pl.Expr)}
    )
    missing = [pl.lit(None).alias(name) for name in INTERVAL if name not in full.columns]
    return full.with_columns(missing).select(pl.col(n).cast(t) for n, t in INTERVAL.items())


def temperatures(rows: list[tuple[datetime, float]]) -> pl.DataFrame:
    """Return a weather station's readings."""
    at = [one.astimezone(UTC) for one, _ in rows]
    return pl.DataFrame(
        {"measured_at": at, "received_at": at, "temperature_c": [c for _, c in rows]},
        schema_overrides={n: pl.Datetime("us", "UTC") for n in ("measured_at", "received_at")},
    )


def every_3_h(day: date, celsius: float, zone) -> list[tuple[datetime, float]]:
    """Return nine temperatures from midnight to just before the next."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    return [(midnight + timedelta(hours=3 * n, minutes=-(n // 8)), celsius) for n in range(9)]
