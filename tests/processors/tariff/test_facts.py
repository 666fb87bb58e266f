"""The factors of a bill's lines stand in two languages that tell the same figures and sources."""

import re
from datetime import UTC, datetime
from string import Formatter

import pytest

from processors.policy.header import Provenance
from processors.tariff.facts import FACTS, known

TOLD = {
    "period": "peak", "ratio": 1.7, "where": "guangdong-tou 2021", "source": "331号",
    "name": "flat_yuan_per_kwh", "price": 0.6, "since": "2026-01-01", "kva": 1000.0, "by": "site",
    "kw": 500.0, "share": 105.0, "multiplier": 2.0, "at": datetime(2026, 6, 1, tzinfo=UTC),
    "days": 3, "factor": "0.89", "active": 1e4, "drawn": 5e3, "back": 7.0, "kvarh": 7.0,
    "percent": "0.5", "document": "215号", "standard": "0.90", "count": 4, "quota": 1e6,
}  # fmt: skip
WORDS = {"period", "name", "by", "provenance"}


@pytest.mark.parametrize("key", FACTS)
def test_both_languages_have_the_same_places_and_chinese_has_no_english(key):
    places = [{name for _, name, *_ in Formatter().parse(one) if name} for one in FACTS[key]]
    assert places[0] == places[1]
    told = {name: TOLD[name] for name in places[0] if name != "provenance"}
    fact = known(key, Provenance.UNVERIFIED, **told)
    for name in places[0] - WORDS:
        assert isinstance(TOLD[name], float | datetime) or str(TOLD[name]) in fact.zh
    bare = re.sub("guangdong-tou|kWh|kvarh|kVA|kW|UTC", "", fact.zh)
    assert not re.search("[A-Za-z]", bare)
    assert re.search("[\u4e00-\u9fff]", bare)
    assert fact.provenance is Provenance.UNVERIFIED


def test_a_text_within_a_text_is_told_in_its_language():
    where = known("standard", document="215号", standard="0.90")
    fact = known("percent", Provenance.PUBLISHED, percent="0.5", where=where)
    assert fact.text == "0.5 % (215号, standard 0.90, published)"
    assert fact.zh == "0.5 %（215号，标准 0.90，已发布）"
