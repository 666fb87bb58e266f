"""Counters as they fail in the field, each test named after the report it comes from."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from collector.profiles import Profile
from collector.reading import conform
from collector.registers import decode, encode, plan
from collector.site import Site
from processors.blocks import intervals_of
from processors.book import Book

T0 = datetime(2026, 11, 23, tzinfo=UTC)
HOUSE = Site.model_validate({
    "id": "house", "name": {"zh": "宅", "en": "House"}, "kind": "retail", "district": "d",
    "meters": [{"id": "m", "rated_power_kw": 5}],
})  # fmt: skip


def blocks(registers):
    """Return the blocks of one register read every minute; None: it was not read."""
    rows = [
        ("m", T0 + timedelta(minutes=n), T0, "test", value)
        for n, value in enumerate(registers)
        if value is not None
    ]
    names = ["meter_id", "measured_at", "received_at", "source", "energy_import_kwh"]
    frame = conform(pl.DataFrame(rows, schema=names, orient="row"))
    return intervals_of(frame, Book.of([HOUSE]))


def steady(minutes, first=53_700.0, kw=3.0):
    return [first + kw * n / 60 for n in range(minutes)]


def test_evcc_30592_a_total_that_falls_to_0_and_comes_back_is_no_energy_of_its_own():
    registers = steady(121)
    for minute in (37, 38, 80):
        registers[minute] = 0.0
    found = blocks(registers)
    assert found["energy_kwh"].to_list() == pytest.approx([0.75] * 8)
    assert {flag for flags in found["flags"] for flag in flags} >= {"dip_rejected"}


def test_evcc_30592_a_total_that_stays_low_is_a_reset_and_its_energy_is_not_stated():
    found = blocks(steady(60) + steady(61, first=0.0))
    assert found["energy_kwh"].drop_nulls().max() == pytest.approx(0.75)
    assert found.filter(pl.col("flags").list.contains("counter_reset")).height == 1
    total = sum(value for value in found["energy_kwh"] if value is not None)
    assert total == pytest.approx(8 * 0.75, abs=0.76)  # the minute of the fall is in no block


@pytest.mark.parametrize(
    ("kind", "sentinel"), [("s32", 0x7FFFFFFF), ("u32", 0xFFFFFFFF), ("s64", 2**63 - 1)]
)
def test_evcc_31595_a_sentinel_is_no_energy(kind, sentinel):
    register = {"quantity": "energy_import_kwh", "address": 0, "type": kind,
                "sentinels": [sentinel], "scale": 0.01}  # fmt: skip
    profile = Profile.model_validate(
        {"id": "p", "title": "", "reference": "", "registers": [register]}
    )
    layout = plan(profile)
    image = encode(profile, {"energy_import_kwh": None})
    words = pl.Series([image[3, n] for n in range(layout.width)], dtype=pl.UInt16).to_numpy()
    values, doubts = decode(layout, words.reshape(1, -1))
    assert values["energy_import_kwh"].tolist() != [sentinel * 0.01]
    assert bool(values["energy_import_kwh"][0] != values["energy_import_kwh"][0])  # NaN: no value
    assert doubts == []


def test_evcc_31595_an_undeclared_sentinel_is_a_spike_and_gives_no_energy():
    registers = steady(121)
    registers[50] = 21_474_836.47
    found = blocks(registers)
    assert found["energy_kwh"].to_list() == pytest.approx([0.75] * 8)
    assert any("spike_rejected" in flags for flags in found["flags"])


def test_mbmd_297_a_map_whose_words_are_swapped_cannot_pass_as_energy():
    register = {"quantity": "energy_import_kwh", "address": 0, "type": "u32", "scale": 0.01}
    told = Profile.model_validate(
        {"id": "p", "title": "", "reference": "", "registers": [register]}
    )
    taken = told.model_copy(update={"word_order": "little"})
    registers = []
    for value in steady(121):
        image = encode(told, {"energy_import_kwh": value})
        words = pl.Series([image[3, 0], image[3, 1]], dtype=pl.UInt16).to_numpy().reshape(1, 2)
        registers.append(float(decode(plan(taken), words)[0]["energy_import_kwh"][0]))
    found = blocks(registers)
    known = found["energy_kwh"].drop_nulls()
    assert (
        known.max() is None or known.max() <= 5 * 1.2 * 0.25 + 1
    )  # never more than the line holds
