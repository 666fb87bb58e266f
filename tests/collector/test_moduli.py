"""A polled meter's rollover comes from its profile, unless the site says otherwise."""

from pathlib import Path

import pytest

from collector.moduli import with_moduli
from collector.profiles import load_profiles
from collector.site import Site
from processors.book import Book

SHIPPED = load_profiles(Path(__file__).parents[2] / "config" / "meter-profiles").by_id


def modulus(profile, via="modbus", **more):
    source = {"via": via} | ({"bus": "b", "profile": profile} if via == "modbus" else {})
    meter = {"id": "m", "source": source} | more
    site = {"id": "s", "name": {"en": "S", "zh": "S"}, "kind": "factory", "district": "d"}
    (found,) = with_moduli([Site.model_validate(site | {"meters": [meter]})], SHIPPED)
    return Book.of([found]).meters["register_modulus_kwh"][0]


def ratio(*values):
    return [{"from": f"20{20 + year}-01-01", "value": value} for year, value in enumerate(values)]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"profile": "acrel-adl400"}, 429_496_729.6),
        ({"profile": "acrel-adl400", "ct_ratio": ratio(40)}, 429_496_729.6),  # primary already
        ({"profile": "acrel-dtsd1352"}, 42_949_672.96),
        ({"profile": "acrel-dtsd1352", "ct_ratio": ratio(60)}, 60 * 42_949_672.96),
        ({"profile": "acrel-dtsd1352", "ct_ratio": ratio(60, 80)}, None),  # which of the two?
        ({"profile": "acrel-dtsd1352", "register_modulus_kwh": 1e6}, 1e6),
        ({"profile": "eastron-sdm630"}, None),  # floats do not wrap
        ({"profile": "siemens-pac2200"}, None),  # a sum of two that wrap apart
        ({"profile": "abb-b23"}, None),  # 64 bits of 0.01 kWh: no counter gets there
        ({"profile": "nobody-knows"}, None),
        ({"profile": "", "via": "mqtt"}, None),
    ],
)
def test_the_books_modulus(more, expected):
    found = modulus(**more)
    assert found == (None if expected is None else pytest.approx(expected))
