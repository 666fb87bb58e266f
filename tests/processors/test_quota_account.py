"""Monthly quota accounts: what is used, where it is heading, and when it crosses."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_rows import REPO, at, day_rows, meter, site

from processors.policy.load import load_packs
from processors.quota import ACCOUNT, BURN_DOWN, accounts, burn_down, first_day

# November 2026 begins on a Sunday; the 16th is a Monday
NOVEMBER, DECEMBER, TODAY = date(2026, 11, 1), date(2026, 12, 1), date(2026, 11, 16)
BEGIN = first_day(NOVEMBER, 28)
NOW = at(TODAY)


def held(quota=3000.0, **over):
    declared = [{"from": "2026-01-01", "value": quota, "declared_by": "bureau"}]
    return site(quota_month_kwh=declared, **over)


def account(days, of=None, now=NOW, **over):
    frame = accounts(days, [of or held()], now, **over)
    assert frame.schema == pl.Schema(ACCOUNT)
    return frame.row(0, named=True)


def steady(kwh=100.0, until=TODAY):
    return day_rows("m", BEGIN, until, kwh)


def weekly(day: date) -> float:
    return 50.0 if day.weekday() >= 5 else 150.0


def test_a_steady_site_crosses_when_arithmetic_says():
    got = account(steady(), held(2550.0))
    assert got["energy_kwh"] == pytest.approx(1500)
    assert got["used_ratio"] == pytest.approx(1500 / 2550)
    assert got["remaining_kwh"] == pytest.approx(1050)
    assert got["elapsed_ratio"] == pytest.approx(0.5)
    assert got["projected_kwh"] == pytest.approx(3000)
    assert got["crossed"] is False
    # 25.5 days at 100 kWh: noon of the 26th
    assert got["crosses_at"] == at(date(2026, 11, 26)) + timedelta(hours=12)
    # the range is that day, whole
    assert got["crosses_early"] == at(date(2026, 11, 26))
    assert got["crosses_late"] == at(date(2026, 11, 27)) - timedelta(seconds=1)
    assert (got["month"], got["start"], got["end"]) == (NOVEMBER, at(NOVEMBER), at(DECEMBER))
    assert (got["coverage"], got["missing_days"], got["basis_days"]) == (1.0, 0.0, 28)


def test_within_the_quota_there_is_no_date():
    got = account(steady(), held(3000.0))
    assert (got["crosses_at"], got["crosses_early"], got["crosses_late"]) == (None, None, None)
    assert got["projected_ratio"] == pytest.approx(1.0)


def test_working_days_and_rest_days_have_their_own_habit():
    got = account(day_rows("m", BEGIN, TODAY, weekly))
    # from the 16th: 11 working days and 4 rest days
    assert got["projected_kwh"] - got["energy_kwh"] == pytest.approx(11 * 150 + 4 * 50)
    assert got["projected_low_kwh"] == pytest.approx(got["projected_high_kwh"])


def test_scatter_opens_a_range_around_the_date():
    days = day_rows("m", BEGIN, TODAY, lambda day: 100.0 + 40.0 * (day.toordinal() % 2))
    got = account(days, held(2900.0))
    assert got["crosses_early"] < got["crosses_at"] < got["crosses_late"]
    assert got["projected_low_kwh"] < got["projected_kwh"] < got["projected_high_kwh"]
    assert got["crosses_early"] >= NOW


def test_the_range_by_hand():
    """Four weeks of 100, 110, 90 and 100 kWh a day; 11 working and 4 rest days to come."""
    weeks = dict(enumerate((100.0, 110.0, 90.0, 100.0)))
    days = day_rows("m", BEGIN, TODAY, lambda day: weekly_level(weeks, day))
    got = account(days)
    # every day of a type is level + nothing: variance over 20 working and 8 rest days
    square = 5 * (10.0**2 + 10.0**2)
    scatter = 11 * square / 19 + 4 * (square * 2 / 5) / 7
    drift = 1.5 * (10.0**2 + 20.0**2 + 10.0**2) / 3
    variance = scatter + 15**2 * drift * (4 + 15 / 7) / 3
    half = (got["projected_high_kwh"] - got["projected_low_kwh"]) / 2
    assert half == pytest.approx(1.2816 * variance**0.5)


def weekly_level(weeks, day):
    back = (TODAY - day).days
    return weeks[3 - (back - 1) // 7] if 1 <= back <= 28 else 100.0


def test_a_crossed_quota_states_when():
    got = account(steady(), held(1250.0))
    assert got["crossed"] is True
    assert got["remaining_kwh"] == pytest.approx(-250)
    assert got["crosses_at"] == at(date(2026, 11, 13)) + timedelta(hours=12)
    assert got["crosses_at"] == got["crosses_early"] == got["crosses_late"]


def test_the_running_day_counts_as_far_as_it_is_known():
    noon = NOW + timedelta(hours=12)
    running = day_rows("m", TODAY, TODAY + timedelta(days=1), 60.0, blocks=48, blocks_expected=48)
    got = account(pl.concat([steady(), running]), now=noon)
    assert got["energy_kwh"] == pytest.approx(1560)
    assert got["projected_kwh"] == pytest.approx(1560 + 50 + 14 * 100)
    assert got["coverage"] == pytest.approx(1.0)
    assert got["missing_days"] == pytest.approx(0.0)


def test_a_gap_is_expected_but_never_stated():
    days = day_rows("m", BEGIN, TODAY, lambda day: None if day.day in (3, 4) else 100.0)
    got = account(days, held(2550.0))
    assert got["energy_kwh"] == pytest.approx(1300)
    assert got["missing_days"] == pytest.approx(2.0)
    assert got["coverage"] == pytest.approx(13 / 15)
    assert got["projected_kwh"] == pytest.approx(3000)
    assert got["crosses_at"] == at(date(2026, 11, 26)) + timedelta(hours=12)


def test_expected_gaps_alone_never_cross_in_the_past():
    days = day_rows("m", BEGIN, TODAY, lambda day: None if day.day in (3, 4) else 100.0)
    got = account(days, held(1400.0))
    assert got["crossed"] is False
    assert got["crosses_at"] == NOW


def test_nothing_known_is_null_not_zero():
    got = account(day_rows("other", BEGIN, TODAY, 1.0))
    for name in ("energy_kwh", "used_ratio", "projected_kwh", "projected_low_kwh", "crossed"):
        assert got[name] is None
    assert got["reason"] == "too_little_history"
    assert got["missing_days"] == pytest.approx(15.0)
    assert got["coverage"] == 0.0


def test_the_first_day_of_a_month_rests_on_the_month_before():
    begin = first_day(NOVEMBER, 28)
    got = account(day_rows("m", begin, NOVEMBER, 100.0), now=at(NOVEMBER) + timedelta(minutes=1))
    assert got["energy_kwh"] is None
    assert got["projected_kwh"] == pytest.approx(3000)


def test_meters_of_a_site_are_added_and_sub_meters_are_not():
    two = held(meters=[meter("m"), meter("n"), meter("k", role="sub")])
    days = pl.concat([steady(), *(day_rows(name, BEGIN, TODAY, 10.0) for name in ("n", "k"))])
    assert account(days, two)["energy_kwh"] == pytest.approx(1650)


def test_the_quota_in_force_on_the_day_counts():
    raised = site(
        quota_month_kwh=[
            {"from": "2026-01-01", "value": 1000},
            {"from": "2026-11-10", "value": 2000},
        ]
    )
    assert account(steady(), raised)["quota_kwh"] == 2000
    assert account(steady(), raised, now=at(date(2026, 11, 5)))["quota_kwh"] == 1000
    unheld = site(quota_month_kwh=[{"from": "2027-01-01", "value": 1}])
    assert accounts(steady(), [unheld, site()], NOW).is_empty()


def test_a_past_month_is_closed():
    got = account(steady(until=DECEMBER), now=at(date(2026, 12, 10)), month=NOVEMBER)
    assert got["energy_kwh"] == got["projected_kwh"] == pytest.approx(3000)
    assert got["elapsed_ratio"] == 1.0


def test_each_site_keeps_its_own_midnight():
    london = held(id="l", timezone="Europe/London", meters=[meter("n")])
    days = pl.concat([steady(), day_rows("n", BEGIN, TODAY, 100.0)])
    frame = accounts(days, [held(), london], NOW)
    assert frame["start"].to_list() == [datetime(2026, 11, 1, tzinfo=UTC), at(NOVEMBER)]


@pytest.fixture(scope="module")
def tiers():
    packs, _ = load_packs(REPO / "config" / "policy")
    return packs.surcharge("demo-progressive", TODAY)


def test_surcharge_by_marginal_tiers(tiers):
    # 1500 kWh of 1200: over by 25 %: 120 kWh at 0.05 and 180 kWh at 0.10 yuan
    got = account(steady(), held(1200.0), surcharge=tiers)
    assert got["surcharge_yuan"] == pytest.approx(120 * 0.05 + 180 * 0.10)
    assert (got["surcharge_pack"], got["surcharge_provenance"]) == (
        "demo-progressive 1",
        "illustrative",
    )
    # the month ends at 3000 kWh, 150 % over: all four tiers
    by_hand = 1200 * (0.1 * 0.05 + 0.2 * 0.10 + 0.7 * 0.20 + 0.5 * 0.30)
    assert got["projected_surcharge_yuan"] == pytest.approx(by_hand)


def test_no_surcharge_below_the_quota_and_no_amount_where_none_is_printed(tiers):
    assert account(steady(), surcharge=tiers)["surcharge_yuan"] == 0.0
    unknown = tiers.tiers[-1].model_copy(update={"add_yuan_per_kwh": None})
    hole = tiers.model_copy(update={"tiers": (*tiers.tiers[:-1], unknown)})
    got = account(steady(), held(1200.0), surcharge=hole)
    assert got["surcharge_yuan"] == pytest.approx(24.0)
    assert got["projected_surcharge_yuan"] is None


def test_the_curves_agree_with_the_account():
    days, of = steady(), held(2550.0)
    curve = burn_down(days, [of], NOW)
    assert curve.schema == pl.Schema(BURN_DOWN)
    assert curve.height == 30
    assert curve["energy_kwh"].drop_nulls().to_list()[-1] == pytest.approx(1500)
    assert curve["energy_kwh"].null_count() == 15
    assert curve["projected_kwh"].null_count() == 15
    assert curve["projected_kwh"][-1] == pytest.approx(account(days, of)["projected_kwh"])
    assert curve["pace_kwh"][-1] == pytest.approx(2550)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 500), min_size=44, max_size=44), st.floats(100, 20_000))
def test_bounds_keep_their_order(energies, quota):
    # 28 days of history, then 15 days of November
    begin = TODAY - timedelta(days=44)
    days = day_rows("m", begin, TODAY, lambda day: energies[(day - begin).days])
    got = account(days, held(quota))
    assert got["energy_kwh"] <= got["projected_low_kwh"] + 1e-6
    assert got["projected_low_kwh"] <= got["projected_kwh"] + 1e-6
    assert got["projected_kwh"] <= got["projected_high_kwh"] + 1e-6
    dates = [got["crosses_early"], got["crosses_at"], got["crosses_late"]]
    known = [one for one in dates if one is not None]
    assert known == sorted(known)
    assert dates[: len(known)] == known  # early is the first to be stated, late the last


def test_ten_thousand_meters_in_one_go():
    names = [f"m{n}" for n in range(10_000)]
    sites = [held(id=f"s{name}", meters=[meter(name)]) for name in names]
    days = steady().drop("meter_id").join(pl.DataFrame({"meter_id": names}), how="cross")
    assert accounts(days, sites, NOW)["projected_kwh"].sum() == pytest.approx(3000 * len(names))
