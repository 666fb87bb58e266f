"""Helpers of the examples of docs/arithmetic-tariff.md."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
from bill_world import LATER, PACKS, billed, midnight, rates
from tariff_rows import blocks, starts, tariff, temperatures

from processors.calendar import day_types
from processors.policy.tariff_pack import TariffPack
from processors.tariff.bill import bill
from processors.tariff.fedback import with_fed_back
from processors.tariff.ice import ice_storage
from processors.tariff.periods import hot_days, period_of
from processors.tariff.powerfactor import month_factor, percent_of, two_decimals
from processors.tariff.split import by_period, grid

BEFORE, MONTH = date(2025, 10, 1), date(2026, 10, 1)


def periods(day: str, clocks: list[str], hot: pl.DataFrame | None = None) -> list[str]:
    """Return the Guangdong period of local times of a day."""
    midnight_ = midnight(date.fromisoformat(day)).astimezone(UTC)
    hours = [clock.split(":") for clock in clocks]
    at = [midnight_ + timedelta(hours=int(h), minutes=int(m)) for h, m in hours]
    series = pl.Series("start", at, dtype=pl.Datetime("us", "UTC"))
    return period_of(series, tariff(), hot, "Asia/Shanghai").cast(pl.String).to_list()


def read_temperatures(*rows: tuple[str, float]) -> pl.DataFrame:
    """Return HOT rows of local instants and temperatures."""
    told = [(datetime.fromisoformat(f"{at}+08:00"), celsius) for at, celsius in rows]
    return hot_days(temperatures(told), "Asia/Shanghai")


def october(kwh: float) -> pl.DataFrame:
    """Return a month of blocks of the same energy and half as much reactive energy."""
    return blocks(midnight(MONTH), [kwh] * (96 * 31))


def split(rows: pl.DataFrame, pack: TariffPack | None = None) -> list[tuple[object, ...]]:
    """Return period, kWh and greatest kW of a month."""
    axis = grid(MONTH, date(2026, 11, 1), pack or tariff(), "Asia/Shanghai")
    return by_period(rows, axis, LATER).select("period", "energy_kwh", "max_demand_kw").rows()


def october_bill(kwh: float) -> pl.DataFrame:
    """Return the LINES of that month for a contract of 35 kW, standard 0.90, without forecasts."""
    frame = bill(billed(), MONTH, october(kwh), rates(), LATER)
    return frame.with_columns(pl.col("item", "period").cast(pl.String))


def adjustment(standard: str, factor: float) -> float:
    """Return the percent of the 1983 table."""
    held = PACKS.power_factors[0].standards[standard]
    return float(percent_of(held, two_decimals(factor))[0])


def factor_of(kwh: float, drawn: float, fed_back: float | None = None) -> str:
    """Return the month's power factor of kWh, kvarh drawn and fed back."""
    rows = october(kwh).with_columns(reactive_kvarh=pl.lit(drawn))
    if fed_back is not None:
        rows = with_fed_back(rows, rows.select("start", fed_back_kvarh=pl.lit(fed_back)), 1)
    found = month_factor(rows)
    return str(found and found.factor)


def with_storage() -> dict[str | None, dict[str, object]]:
    """Return ICE rows: 10 kWh a quarter hour by day become 7, the night's 2 become 8."""
    months = []
    for month, day, night in ((BEFORE, 10.0, 2.0), (MONTH, 7.0, 8.0)):
        first = midnight(month)
        at = starts(first, 96 * 31)
        hours = at.dt.convert_time_zone("Asia/Shanghai").dt.hour()
        months.append(blocks(first, [night if hour < 8 else day for hour in hours]))
    frame = ice_storage(billed(), BEFORE, MONTH, pl.concat(months), rates())
    return {row["period"]: row for row in frame.rows(named=True)}


HELPERS = {
    "periods": periods,
    "read_temperatures": read_temperatures,
    "october": october,
    "split": split,
    "october_bill": october_bill,
    "adjustment": adjustment,
    "factor_of": factor_of,
    "with_storage": with_storage,
    "day_types": day_types,
    "date": date,
}
