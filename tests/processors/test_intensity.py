"""Intensity: numerator and denominator over the same span."""

from datetime import date

import polars as pl
import pytest
from policy_rows import day_rows, meter, site

from processors.intensity import INTENSITY, Period, area_claim, measure, output_claims

Y = Period.year(2017)
START, END = date(2017, 1, 1), date(2018, 1, 1)
JULY = date(2017, 7, 1)


def one(days, claim):
    frame = measure(days, [claim])
    assert frame.schema == pl.Schema(INTENSITY)
    return frame.row(0, named=True)


def test_a_full_year_is_energy_over_area():
    got = one(day_rows("m", START, END, 100.0), area_claim(site(), Y))
    assert got["energy_kwh"] == pytest.approx(36_500)
    assert got["per_unit_kwh"] == pytest.approx(36.5)
    assert got["stated_per_unit_kwh"] == pytest.approx(36.5)
    assert got["coverage"] == pytest.approx(1.0)
    assert got["days_counted"] == 365


def test_zeros_before_commissioning_shorten_the_span_and_never_flatter():
    days = day_rows("m", START, END, lambda day: 0.0 if day < JULY else 100.0)
    got = one(days, area_claim(site(), Y))
    assert got["per_unit_kwh"] == pytest.approx(36.5)
    assert got["stated_per_unit_kwh"] == pytest.approx(18_400 / 1000)
    assert got["coverage"] == pytest.approx(184 / 365)
    assert (got["days_counted"], got["zero_days"]) == (184, 181)


def test_missing_days_and_null_days_do_not_count_as_zero():
    nulls = day_rows("m", START, END, lambda day: None if day < JULY else 100.0)
    absent = nulls.filter(pl.col("day") >= JULY)
    for days in (nulls, absent):
        got = one(days, area_claim(site(), Y))
        assert got["per_unit_kwh"] == pytest.approx(36.5)
        assert got["coverage"] == pytest.approx(184 / 365)


def test_no_day_at_all_is_null_with_no_coverage():
    got = one(day_rows("other", START, END, 1.0), area_claim(site(), Y))
    assert got["energy_kwh"] is None
    assert got["per_unit_kwh"] is None
    assert got["coverage"] == 0.0
    assert got["silent_meters"] == ["m"]


def test_part_of_a_day_weighs_as_part_of_a_day():
    days = day_rows("m", START, END, 50.0, blocks=48, coverage=0.5)
    got = one(days, area_claim(site(), Y))
    assert got["per_unit_kwh"] == pytest.approx(36.5)
    assert got["coverage"] == pytest.approx(0.5)


def test_a_meter_that_fell_silent_is_taken_at_its_own_mean():
    two = site(meters=[meter("m"), meter("n")])
    days = pl.concat([day_rows("m", START, END, 100.0), day_rows("n", JULY, END, 300.0)])
    got = one(days, area_claim(two, Y))
    assert got["per_unit_kwh"] == pytest.approx(365 * 400 / 1000)
    # n carries three quarters of the energy and is known for 184 days
    assert got["coverage"] == pytest.approx((100 * 365 + 300 * 184) / 400 / 365)
    assert got["silent_meters"] == []


def test_sub_meters_are_never_added():
    two = site(meters=[meter("m"), meter("n", role="sub")])
    days = pl.concat([day_rows("m", START, END, 100.0), day_rows("n", START, END, 60.0)])
    assert one(days, area_claim(two, Y))["energy_kwh"] == pytest.approx(36_500)


def test_area_in_force_day_by_day():
    grown = site(
        floor_area_m2=[
            {"from": "2010-01-01", "value": 1000, "declared_by": "a"},
            {"from": "2017-07-01", "value": 2000, "declared_by": "b"},
        ]
    )
    claim = area_claim(grown, Y)
    got = one(day_rows("m", START, END, 100.0), claim)
    assert claim.denominator == pytest.approx((181 * 1000 + 184 * 2000) / 365)
    assert claim.declared_by == "a; b"
    assert got["per_unit_kwh"] == pytest.approx(36_500 / claim.denominator)


def test_area_that_begins_inside_the_period_covers_only_its_days():
    late = site(floor_area_m2=[{"from": "2017-07-01", "value": 1000, "declared_by": "a"}])
    got = one(day_rows("m", START, END, 100.0), area_claim(late, Y))
    assert got["coverage"] == pytest.approx(184 / 365)
    assert got["per_unit_kwh"] == pytest.approx(36.5)
    assert area_claim(site(floor_area_m2=[]), Y) is None


def test_a_leap_year_and_a_month_are_scaled_to_a_year():
    leap = Period.year(2016)
    assert leap.year_days == 366
    got = one(day_rows("m", leap.start, leap.end, 100.0), area_claim(site(), leap))
    assert got["per_unit_kwh"] == pytest.approx(36.6)
    may = Period(date(2017, 5, 1), date(2017, 6, 1))
    got = one(day_rows("m", may.start, may.end, 100.0), area_claim(site(), may))
    assert got["per_unit_kwh"] == pytest.approx(36.5)


def test_estimated_share_is_weighted_by_energy():
    days = pl.concat(
        [
            day_rows("m", START, JULY, 100.0, estimated_share=1.0),
            day_rows("m", JULY, END, 300.0, estimated_share=0.0),
        ]
    )
    expected = 181 * 100 / (181 * 100 + 184 * 300)
    assert one(days, area_claim(site(), Y))["estimated_share"] == pytest.approx(expected)


def output(first, until, tonnes, **over):
    return {
        "from": first,
        "until": until,
        "product": "clinker_el",
        "output": tonnes,
        "unit": "t",
        "declared_by": "works",
    } | over


def test_output_is_divided_by_over_the_declared_days_only():
    works = site(
        production=[output("2017-01-01", "2017-02-01", 62), output("2017-03-01", "2017-04-01", 62)]
    )
    (claim,) = output_claims(works, Y)
    assert (claim.period.start, claim.period.end) == (START, date(2017, 4, 1))
    assert claim.days_expected == 62
    got = one(day_rows("m", START, END, 100.0), claim)
    assert got["energy_kwh"] == pytest.approx(6200)
    assert got["per_unit_kwh"] == pytest.approx(50.0)
    assert got["coverage"] == pytest.approx(1.0)


def test_a_declaration_that_reaches_beyond_the_period_is_left_out():
    works = site(production=[output("2017-12-01", "2018-01-02", 62)])
    assert output_claims(works, Y) == []


def test_two_products_on_the_same_meters_are_shared_unless_metered_apart():
    both = [
        output("2017-01-01", "2018-01-01", 9),
        output("2017-06-01", "2017-07-01", 9, product="p"),
    ]
    assert all(claim.shared for claim in output_claims(site(production=both), Y))
    apart = [both[0] | {"meters": ["m"]}, both[1] | {"meters": ["n"]}]
    claims = output_claims(site(meters=[meter("m"), meter("n")], production=apart), Y)
    assert not any(claim.shared for claim in claims)


def test_nothing_to_measure():
    assert measure(day_rows("m", START, END, 1.0), []).is_empty()
