"""The console's city with a site under contract, prices, and voltages of one main meter."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import console_world as world
import polars as pl

from collector.reading import conform
from collector.site import Site
from dashboards.sources import Sources
from processors import interval
from processors.settings import Prices, TariffSettings
from processors.tariff.desk import Tariffs

SUPPLY = {
    "from": "2024-01-01",
    "tariff": "guangdong-tou",
    "area": "guangdong",
    "prices": "trial",
    "basic": "contract_max_demand",
    "power_factor_standard": "0.90",
}
PRICES = {
    "from": date(2024, 1, 1),
    "flat_yuan_per_kwh": 0.6725,
    "funds_yuan_per_kwh": 0.0276,
    "demand_yuan_per_kw": 32,
    "provenance": "illustrative",
    "source": "made up for a trial",
}
FIRST = datetime(2026, 10, 31, 16, tzinfo=UTC)


def voltages():
    """Return a reading of zhongxing-m1 each quarter hour since the month began; 1 in 4 is high."""
    count = 96 * 22
    at = [FIRST + timedelta(minutes=15 * n) for n in range(count)]
    told = {
        "meter_id": ["zhongxing-m1"] * count,
        "measured_at": at,
        "received_at": at,
        "source": ["test"] * count,
        "voltage_a_v": [240.0 if n % 4 == 0 else 225.0 for n in range(count)],
    }
    times = {n: pl.Datetime("us", "UTC") for n in ("measured_at", "received_at")}
    return conform(pl.DataFrame(told, schema_overrides=times))


def sources(folder) -> Sources:
    """Return the city's sources."""
    plain = world.sources(folder)
    plain.history.add(2, voltages(), interval.empty())
    site, *rest = plain.sites
    told = site.model_dump(mode="json", by_alias=True) | {"supply": [SUPPLY]}
    told["meters"][0]["nominal_voltage_v"] = 220
    tariffs = Tariffs(
        plain.packs, TariffSettings(prices={"trial": (Prices(**PRICES),)}, power_factor=ADJUSTED)
    )
    return replace(plain, sites=(Site.model_validate(told), *rest), tariffs=tariffs)


ADJUSTED = "power-factor-1983"
