"""A site one of whose main meters is silent: what it sums, and what it must not conclude."""

from datetime import date

import polars as pl
import pytest
from bill_world import LATER, billed, midnight, rates
from policy_rows import meter
from tariff_rows import blocks

from processors.book import Book
from processors.subjects import site_blocks
from processors.tariff.bill import bill
from processors.tariff.ice import ice_storage

MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)
TWO = billed({"basic": "actual_max_demand"}, meters=[meter("m"), meter("n")])


def by_night(month, days, night):
    """Main `n` of a month: 6 kWh a quarter hour, `night` from midnight to eight."""
    return blocks(midnight(month), ([night] * 32 + [6.0] * 64) * days, "n")


@pytest.mark.parametrize("absent", [True, False])
def test_the_block_of_a_silent_main_has_no_energy_but_a_lower_bound(absent):
    other = by_night(JUNE, 1, None)
    if absent:
        other = other.drop_nulls("energy_kwh")
    both = pl.concat([blocks(midnight(JUNE), [4.0] * 96), other])
    rows = site_blocks(both, Book.of([TWO])).sort("start")
    assert rows["energy_kwh"].to_list() == [None] * 32 + [10.0] * 64
    assert rows["demand_kw"].to_list() == [None] * 32 + [40.0] * 64
    assert rows["known_kwh"].to_list() == [4.0] * 32 + [10.0] * 64
    assert rows["known_kw"].to_list() == [16.0] * 32 + [40.0] * 64
    assert rows["reactive_kvarh"].to_list() == [2.0] * 32 + [5.0] * 64
    assert set(rows["quality"][:32]) == {"missing"}
    assert set(rows["coverage"][:32]) == {0.5}


def test_a_bill_charges_what_is_known_and_calls_it_a_lower_bound():
    both = pl.concat([blocks(midnight(JUNE), [4.0] * 96 * 30), by_night(JUNE, 30, None)])
    lines = {
        (row["item"], row["period"]): row
        for row in bill(TWO, JUNE, both, rates(), LATER).rows(named=True)
    }
    night, day = lines["energy", "valley"], lines["energy", "flat"]
    assert night["quantity"] == 4.0 * 32 * 30
    assert "incomplete" in night["notes"]
    assert night["coverage"] == 0.5
    assert "incomplete" not in day["notes"]
    assert lines["demand", None]["quantity"] == 40.0
    assert "incomplete" in lines["total", None]["notes"]


def test_the_power_factor_is_that_of_blocks_all_mains_tell():
    """`n` draws no reactive energy and is silent by night: `m` alone would make a worse factor."""
    spoke = by_night(JUNE, 30, None).with_columns(reactive_kvarh=pl.col("energy_kwh") * 0.0)
    both = pl.concat([blocks(midnight(JUNE), [4.0] * 96 * 30), spoke])
    frame = bill(TWO, JUNE, both, rates(), LATER)
    row = frame.filter(item="power_factor").row(0, named=True)
    assert "power factor 0.98 of 19,200.00 kWh, 3,840.00 kvarh" in row["factors"]
    assert "reactive_incomplete" in row["notes"]


def test_silent_nights_are_no_energy_moved_by_ice_storage():
    plain = [4.0] * 96
    before = [blocks(midnight(MAY), plain * 31), by_night(MAY, 31, 6.0)]
    nights = pl.concat([by_night(JUNE, 30, 6.0)]).with_row_index()
    gone = pl.when(pl.col("index") % 192 < 32).then(None)  # every other night
    after = nights.with_columns(energy_kwh=gone.otherwise("energy_kwh")).drop("index")
    every = pl.concat([*before, blocks(midnight(JUNE), plain * 30), after])
    found = ice_storage(TWO, MAY, JUNE, every, rates())
    valley = found.filter(period="valley").row(0, named=True)
    assert valley["shift_kwh"] == pytest.approx(0.0)
    assert valley["actual_kwh"] == 10.0 * 32 * 15
    assert found["saved_yuan"].drop_nulls().to_list() == pytest.approx([0.0] * found.height)
