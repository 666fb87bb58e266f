"""The simulated bill: every line against plain arithmetic, and what it says where it cannot say."""

import os
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from bill_world import LATER, NUMBERS, PACKS, billed, midnight, rates
from fakes.reference_tariff import reference_bill
from hypothesis import given, settings
from hypothesis import strategies as st
from tariff_rows import blocks

from processors.tariff.bill import bill
from processors.tariff.lines import NOTES, REASONS
from processors.tariff.split import by_period, grid

OCTOBER, JULY = date(2026, 10, 1), date(2026, 7, 1)
HOT = pl.DataFrame({"day": [date(2026, 10, 3)], "max_c": [35.2], "hot": [True]})


def month_of(kwh, month=OCTOBER, zone="Asia/Shanghai", count=96 * 31, **columns):
    values = kwh if isinstance(kwh, list) else [kwh] * count
    return blocks(midnight(month, zone), values, **columns)


def line(frame, item, period=None):
    here = pl.col("period").is_null() if period is None else pl.col("period") == period
    found = frame.filter((pl.col("item") == item) & here)
    assert found.height == 1, frame
    return found.row(0, named=True)


def amounts(frame):
    rows = frame.filter(pl.col("item") != "surcharge_simulated").rows(named=True)
    return {(one["item"], one["period"]): one["amount_yuan"] for one in rows}


@settings(max_examples=int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "12")), deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([OCTOBER, JULY]), st.floats(0.0, 1.5))
def test_every_amount_as_plain_arithmetic_has_it(seed, month, reactive):
    rng = np.random.default_rng(seed)
    kwh = np.round(rng.uniform(0.1, 12.0, 96 * 31), 3)
    values = [None if rng.random() < 0.01 else float(one) for one in kwh]
    rows = month_of(values, month, reactive_kvarh=[one and one * reactive for one in values])
    ours = amounts(bill(billed(), month, rows, rates(hot=HOT), LATER))
    told = NUMBERS | {"contract_kw": 35.0}
    theirs = reference_bill(rows.to_dicts(), "Asia/Shanghai", told, frozenset(HOT["day"]))
    assert set(ours) == set(theirs)
    for key, yuan in theirs.items():
        # the two add up kWh in another order: at most a 分 where a sum lies on the edge
        assert abs(Fraction(ours[key]) - yuan) < Fraction("0.0301"), key


def test_a_plain_month_to_the_cent():
    frame = bill(billed(), OCTOBER, month_of(10.0), rates(), LATER)
    assert amounts(frame) == {
        ("energy", "peak"): 9923.84,  # 868 blocks x 10 kWh x 1.1433
        ("energy", "flat"): 7505.10,
        ("energy", "valley"): 2535.55,  # 9920 x 0.2556
        ("funds", None): 821.38,
        ("demand", None): 1120.0,  # 35 kW x 32
        ("demand_excess", None): 208.0,  # (40 - 36.75) x 64
        ("power_factor", None): 106.46,  # 0.89: +0.5 % of 21292.49
        ("total", None): 22220.33,
    }
    assert line(frame, "total")["provenance"] == "illustrative"
    assert line(frame, "demand_excess")["formula"] == "3.25 kW × 64.00 = 208.00 yuan"
    peak = line(frame, "energy", "peak")
    assert peak["formula"] == "8,680.00 kWh × 1.1433 = 9,923.84 yuan"
    assert any("ratio peak 1.7 (guangdong-tou 2021" in one for one in peak["factors"])


def test_published_prices_of_a_notice_follow_from_its_flat_price():
    """Guangzhou, end of 2021: 0.6725 flat, 1.1433 peak, 0.2556 valley, 1.4291 sharp."""
    hot = HOT.with_columns(day=pl.lit(date(2026, 10, 3)))
    frame = bill(billed(), OCTOBER, month_of(10.0), rates(hot=hot), LATER)
    energy = frame.filter(pl.col("item") == "energy")
    prices = dict(zip(energy["period"], energy["price_yuan"], strict=True))
    assert prices == {"sharp": 1.4291, "peak": 1.1433, "flat": 0.6725, "valley": 0.2556}


def test_a_hot_day_is_rated_anew_and_says_how_much_is_not_known():
    cool = bill(billed(), OCTOBER, month_of(10.0), rates(), LATER)
    assert "hot_days_unknown" in line(cool, "energy", "peak")["notes"]
    assert "31 days without" in " ".join(line(cool, "energy", "peak")["factors"])
    hot = bill(billed(), OCTOBER, month_of(10.0), rates(hot=HOT), LATER)
    assert line(hot, "energy", "sharp")["quantity"] == 120.0
    moved = line(cool, "energy", "peak")["quantity"] - line(hot, "energy", "peak")["quantity"]
    assert moved == 120.0
    july = bill(billed(), JULY, month_of(10.0, JULY), rates(), LATER)
    assert "hot_days_unknown" not in line(july, "energy", "peak")["notes"]  # sharp all month


def test_without_prices_the_bill_shows_energy_and_ratios():
    bare = billed({"prices": None})
    frame = bill(bare, OCTOBER, month_of(10.0), rates(), LATER)
    assert frame["amount_yuan"].null_count() == frame.height
    assert set(frame["reason"]) == {"no_price", "amounts_missing"}
    assert line(frame, "energy", "peak")["quantity"] == 8680.0
    assert any("ratio peak 1.7" in one for one in line(frame, "energy", "peak")["factors"])
    assert any("0.89" in one for one in line(frame, "power_factor")["factors"])


def test_a_missing_block_is_told_and_never_a_zero():
    rows = month_of([10.0] * 2000 + [None] * 976)
    frame = bill(billed(), OCTOBER, rows, rates(), LATER)
    flat = line(frame, "energy", "flat")
    assert "incomplete" in flat["notes"]
    assert flat["coverage"] < 0.7
    assert "incomplete" in line(frame, "total")["notes"]
    empty = bill(billed(), OCTOBER, rows.clear(), rates(), LATER)
    assert line(empty, "energy", "flat")["reason"] == "no_data"
    assert line(empty, "energy", "flat")["quantity"] is None
    assert line(empty, "total")["amount_yuan"] is None


def test_a_running_month_expects_only_what_has_ended():
    now = midnight(date(2026, 10, 11)).astimezone(UTC)
    frame = bill(billed(), OCTOBER, month_of(10.0, count=96 * 10), rates(), now)
    flat = line(frame, "energy", "flat")
    assert flat["coverage"] == 1.0
    assert flat["notes"] == ["month_not_over"]


def test_a_price_that_changes_parts_the_month():
    changed = rates({}, {"from": date(2026, 10, 11), "flat_yuan_per_kwh": 0.7})
    frame = bill(billed(), OCTOBER, month_of(10.0), changed, LATER)
    flat = frame.filter((pl.col("item") == "energy") & (pl.col("period") == "flat"))
    assert flat["price_yuan"].to_list() == [0.6725, 0.7]
    assert flat["quantity"].to_list() == [3600.0, 7560.0]
    assert flat["end"][0] == flat["start"][1] == midnight(date(2026, 10, 11))


def test_actual_demand_is_labelled_where_only_block_demand_is_known():
    actual = billed({"basic": "actual_max_demand"})
    sure = bill(actual, OCTOBER, month_of(10.0), rates(), LATER)
    assert (line(sure, "demand")["quantity"], line(sure, "demand")["notes"]) == (40.0, [])
    flagged = pl.Series([["block_demand_only"]] * 2976, dtype=pl.List(pl.String))
    only = bill(actual, OCTOBER, month_of(10.0, flags=flagged), rates(), LATER)
    assert line(only, "demand")["notes"] == ["demand_lower_bound"]


def test_transformer_capacity_and_one_part_tariffs():
    capacity = billed({"basic": "transformer_capacity", "transformer_kva": 500})
    frame = bill(capacity, OCTOBER, month_of(10.0), rates(), LATER)
    assert line(frame, "capacity")["amount_yuan"] == 11_500.0
    plain = bill(billed({"basic": "none"}), OCTOBER, month_of(10.0), rates(), LATER)
    assert not {"capacity", "demand"} & set(plain["item"])


@pytest.mark.parametrize(
    ("change", "month", "reason"),
    [
        ({"from": "2027-01-01"}, OCTOBER, "no_supply"),
        ({"from": "2020-01-01"}, date(2021, 3, 1), "no_tariff"),
        ({"area": "elsewhere"}, OCTOBER, "no_ratios"),
    ],
)
def test_what_is_not_in_force_charges_nothing(change, month, reason):
    frame = bill(billed(change), month, month_of(10.0, month), rates(), LATER)
    energy = frame.filter(pl.col("item") == "energy")
    assert set(energy["reason"]) == {reason}
    assert (energy["period"].null_count() > 0) == (reason != "no_ratios")
    assert energy["quantity"].sum() == 29_760.0
    assert line(frame, "total")["amount_yuan"] is None


def test_the_surcharge_is_a_simulation_beside_the_total():
    site = billed(quota_month_kwh=[{"from": "2020-01-01", "value": 20_000}])
    told = rates(surcharge=PACKS.surcharges[0])
    frame = bill(site, OCTOBER, month_of(10.0), told, LATER)
    tiers = frame.filter(pl.col("item") == "surcharge_simulated")
    assert tiers["quantity"].round(6).to_list() == [2000.0, 4000.0, 3760.0]
    assert tiers["amount_yuan"].to_list() == [100.0, 400.0, 752.0]
    assert set(tiers["notes"].explode()) == {"simulation"}
    assert line(frame, "total")["amount_yuan"] == 22220.33


def test_several_main_meters_add_up_and_their_demand_is_a_lower_bound():
    two = billed({"basic": "actual_max_demand"}, meters=[{"id": "m"}, {"id": "n"}])
    rows = pl.concat([month_of(4.0), month_of(6.0, meter="n")])
    frame = bill(two, OCTOBER, rows, rates(), LATER)
    assert line(frame, "energy", "flat")["quantity"] == pytest.approx(11_160.0)
    assert line(frame, "demand")["quantity"] == pytest.approx(40.0)
    assert line(frame, "demand")["notes"] == ["demand_lower_bound"]
    half = bill(two, OCTOBER, month_of(4.0), rates(), LATER)
    assert line(half, "energy", "flat")["coverage"] == 0.5
    assert "incomplete" in line(half, "energy", "flat")["notes"]


@pytest.mark.parametrize(("month", "count"), [(date(2026, 3, 1), 2972), (OCTOBER, 2980)])
def test_months_with_a_day_of_23_or_25_hours_lose_and_double_nothing(month, count):
    site = billed(timezone="Europe/Berlin")
    rows = month_of(1.0, month, "Europe/Berlin", count + 8)
    frame = bill(site, month, rows, rates(), LATER)
    energy = frame.filter(pl.col("item") == "energy")
    assert energy["quantity"].sum() == count
    assert set(energy["coverage"]) == {1.0}


def test_a_late_correction_flows_into_the_bill_and_as_of_keeps_the_old_one():
    """A bill is a function of the latest rows: replacing blocks moves it by their difference."""
    before = month_of([10.0] * 1000 + [8.0] * 1976)
    after = month_of(10.0)
    old, new = (bill(billed(), OCTOBER, rows, rates(), LATER) for rows in (before, after))
    delta = after["energy_kwh"].sum() - before["energy_kwh"].sum()
    assert line(new, "funds")["quantity"] - line(old, "funds")["quantity"] == delta
    shuffled = before.sample(fraction=1.0, shuffle=True, seed=1)
    assert bill(billed(), OCTOBER, shuffled, rates(), LATER).equals(old)


def test_maximum_demand_by_period_has_its_moment():
    rows = month_of(10.0)
    top = midnight(date(2026, 10, 5)).astimezone(UTC) + timedelta(hours=10, minutes=37)
    here = pl.col("start") == top - timedelta(minutes=7)
    rows = rows.with_columns(
        max_demand_kw=pl.when(here).then(55.5).otherwise("max_demand_kw"),
        max_demand_at=pl.when(here).then(pl.lit(top)).otherwise("max_demand_at"),
    )
    axis = grid(OCTOBER, date(2026, 11, 1), PACKS.tariffs[0], "Asia/Shanghai")
    found = {row["period"]: row for row in by_period(rows, axis, LATER).rows(named=True)}
    assert (found["peak"]["max_demand_kw"], found["peak"]["max_demand_at"]) == (55.5, top)
    assert found["flat"]["max_demand_kw"] == 40.0
    assert not found["flat"]["lower_bound"]
    assert sum(one["energy_share"] for one in found.values()) == pytest.approx(1.0)


def test_every_reason_and_note_a_bill_gives_is_explained():
    cases = [billed(), billed({"prices": None}), billed({"area": "elsewhere"})]
    rows = month_of([10.0] * 2000 + [None] * 976)
    frames = [bill(one, OCTOBER, rows, rates(power_factor=None), LATER) for one in cases]
    both = pl.concat(frames)
    assert set(both["reason"].drop_nulls()) <= set(REASONS)
    assert set(both["notes"].explode().drop_nulls()) <= set(NOTES)


def test_the_month_of_another_instant_is_another_bill():
    early = datetime(2026, 10, 1, tzinfo=UTC)
    frame = bill(billed(), OCTOBER, month_of(10.0).clear(), rates(), early)
    assert "month_not_over" in line(frame, "total")["notes"]
