"""Projection and crossing against a slow calculation that shares no code; nothing looks ahead."""

import os
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from fakes import reference_quota
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from policy_rows import at, day_rows, site

from processors.calendar import Calendar, ToldDay
from processors.quota import Span, accounts, burn_down
from processors.ranges import learn

TODAY = date(2026, 11, 12)
BEGIN = TODAY - timedelta(days=140)
FEW = int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "10"))


def held(quota=3000.0, **over):
    return site(quota_month_kwh=[{"from": "2020-01-01", "value": quota}], **over)


def rows(energy):
    return day_rows("m", min(energy), max(energy) + timedelta(days=1), energy.__getitem__)


def energies(seed):
    state, found = seed, {}
    for n in range((TODAY - BEGIN).days):
        state = (1103515245 * state + 12345) % 2**31
        found[BEGIN + timedelta(days=n)] = 50.0 + 100.0 * state / 2**31 + 0.2 * n
    return found


@settings(max_examples=FEW, deadline=None, phases=[Phase.generate])
@given(st.integers(1, 2**31 - 1), st.floats(300, 5000))
def test_the_account_is_that_of_the_slow_calculation(seed, quota):
    energy = energies(seed)
    want = reference_quota.account(energy, TODAY, quota)
    elsewhere = held(quota, timezone="Asia/Singapore")  # no notices of holidays
    got = accounts(rows(energy), [elsewhere], at(TODAY)).row(0, named=True)
    assert got["energy_kwh"] == pytest.approx(want["used"])
    names = ("projected_low_kwh", "projected_kwh", "projected_high_kwh")
    assert [got[name] for name in names] == pytest.approx(list(want["bounds"]))
    assert got["range_forecasts"] == 14
    for name, days in zip(
        ("crosses_early", "crosses_at", "crosses_late"), want["crossings"], strict=True
    ):
        if days is None:
            assert got[name] is None
        else:
            passed = (got[name] - at(date(2026, 11, 1))).total_seconds() / 86400
            assert passed == pytest.approx(days, abs=1e-4)


def test_ranges_learned_ahead_give_the_same_account():
    days, of = rows(energies(7)), held()
    ranges = learn(days, [of], at(TODAY))
    recent = days.filter(pl.col("day") >= date(2026, 10, 1))
    assert_frame_equal(
        accounts(recent, [of], at(TODAY), ranges=ranges), accounts(days, [of], at(TODAY))
    )


def test_days_to_come_change_nothing():
    energy = energies(3)
    later = energy | {TODAY + timedelta(days=n): 9e9 for n in range(1, 15)} | {TODAY: 9e9}
    days = rows(later)
    before = accounts(days.filter(pl.col("day") < TODAY), [held()], at(TODAY))
    assert_frame_equal(learned(days), learned(rows(energy)))
    assert before["projected_high_kwh"][0] < 1e6


def learned(days):
    one = learn(days, [held()], at(TODAY))["s"]
    return pl.DataFrame({"multiple": one.multiple, "forecasts": one.forecasts})


def test_a_yearly_quota_has_its_own_account():
    days = day_rows("m", date(2026, 1, 1), TODAY, 100.0)
    both = site(
        quota_month_kwh=[{"from": "2026-01-01", "value": 3000}],
        quota_year_kwh=[{"from": "2026-01-01", "value": 33000}],
    )
    got = accounts(days, [both], at(TODAY), span=Span.YEAR).row(0, named=True)
    assert (got["kind"], got["month"]) == ("year", date(2026, 1, 1))
    assert got["energy_kwh"] == pytest.approx(31_500)
    assert got["projected_kwh"] == pytest.approx(36_500)
    assert got["crosses_at"] == at(date(2026, 11, 27))
    assert burn_down(days, [both], at(TODAY), span=Span.YEAR).height == 365


def test_days_of_23_and_25_hours_are_days():
    berlin = ZoneInfo("Europe/Berlin")
    of = held(2500.0, timezone="Europe/Berlin")
    days = day_rows("m", date(2026, 9, 1), date(2026, 10, 20), 100.0)
    got = accounts(days, [of], at(date(2026, 10, 20), berlin)).row(0, named=True)
    # 25 days of 100 kWh: the night to the 26th, after the day of 25 hours
    assert got["crosses_at"] == at(date(2026, 10, 26), berlin)
    assert got["projected_kwh"] == pytest.approx(3100)


def test_public_holidays_have_their_own_habit():
    off = ToldDay(day=date(2026, 11, 2), until=date(2026, 11, 5), type="holiday", source="test")
    later = ToldDay(day=date(2026, 11, 23), type="holiday", source="test")
    days = day_rows("m", BEGIN, TODAY, lambda day: 10.0 if 2 <= day.day < 5 else 100.0)
    days = days.filter(pl.col("day") >= date(2026, 10, 10))
    told = accounts(days, [held()], at(TODAY), calendar=Calendar((off, later)))
    # 19 days to come, one of them a holiday
    left = told["projected_kwh"][0] - told["energy_kwh"][0]
    assert left == pytest.approx(18 * 100 + 10)
