"""A site under contract and its prices, for the tests of bills and ice storage."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from policy_rows import site
from tariff_rows import packs

from processors.settings import Prices
from processors.tariff.contract import Rates

PACKS = packs()
LATER = datetime(2030, 1, 1, tzinfo=UTC)
SUPPLY = {
    "from": "2021-10-01",
    "tariff": "guangdong-tou",
    "area": "guangdong",
    "prices": "p",
    "basic": "contract_max_demand",
    "power_factor_standard": "0.90",
}
PRICE = {
    "from": date(2021, 10, 1),
    "flat_yuan_per_kwh": 0.6725,
    "funds_yuan_per_kwh": 0.0276,
    "demand_yuan_per_kw": 32,
    "capacity_yuan_per_kva": 23,
    "provenance": "illustrative",
    "source": "test",
}
NUMBERS = {
    "flat": "0.6725",
    "peak": "1.70",
    "valley": "0.38",
    "funds": "0.0276",
    "demand": "32",
}


def billed(supply=(), **over):
    """Return the site; `supply` changes its contract."""
    return site(
        supply=[SUPPLY | dict(supply)],
        contract_demand_kw=[{"from": "2020-01-01", "value": 35}],
        **over,
    )


def rates(*prices, **over):
    """Return the shipped packs with prices; each argument changes PRICE."""
    listed = tuple(Prices(**(PRICE | one)) for one in prices or ({},))
    told = {"power_factor": PACKS.power_factors[0]} | over
    return Rates(PACKS, {"p": listed}, **told)


def midnight(day, zone="Asia/Shanghai"):
    """Return the first instant of a local day."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
