"""Energy of long gaps: conserved, spread by like days, the same however the readings arrive."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from fakes.reference_like_days import reference_like_days
from fakes.stream_driver import Stream, book_of, readings_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from processors.blocks import evenly, intervals_of
from processors.interval import INTERVAL

MONDAY = datetime(2026, 3, 1, 16, tzinfo=UTC)  # 2 March 2026, 00:00 in Shanghai
QUARTER = timedelta(minutes=15)
FIGURES = [name for name in INTERVAL if name not in {"revision", "computed_at"}]
RELAXED = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def register(days, start=MONDAY, zone_hours=8, every=1):
    """Readings each quarter hour; by day 40 kWh a quarter from 8 to 20, else 4; weekends half."""
    rows, total = [], 100.0
    for n in range(days * 96 + 1):
        at = start + n * QUARTER
        if n % every == 0:
            rows.append(("m", at, round(total, 6)))
        local = at + timedelta(hours=zone_hours)
        load = 40.0 if 8 <= local.hour < 20 else 4.0
        total += load * (0.5 if local.weekday() >= 5 else 1.0)
    return rows


def without(rows, first, last):
    return [row for row in rows if not first < row[1] < last]


BOOK = book_of(["m"], rated_power_kw=400.0)


def of(rows, book=BOOK):
    return intervals_of(readings_of(rows), book).sort("start")


def test_a_gap_of_a_working_morning_is_spread_as_on_the_days_before():
    rows = register(10)  # Monday of the second week: 9 March
    gap = MONDAY + timedelta(days=7, hours=6), MONDAY + timedelta(days=7, hours=10)
    full, holed = of(rows), of(without(rows, *gap))
    assert_frame_equal(full.select("start"), holed.select("start"))
    inside = holed.filter(pl.col("start") >= gap[0], pl.col("end") <= gap[1])
    assert inside["energy_kwh"].to_list() == pytest.approx([4.0] * 8 + [40.0] * 8)
    assert set(inside["method"]) == {"like_day"}
    assert set(inside["quality"]) == {"estimated"}
    assert set(inside["coverage"]) == {0.0}
    assert holed["energy_kwh"].sum() == pytest.approx(full["energy_kwh"].sum(), abs=1e-6)


@pytest.mark.parametrize(("hours", "method"), [(2, "linear"), (2.25, "like_day")])
def test_up_to_two_hours_the_spread_is_even(hours, method):
    begin = MONDAY + timedelta(days=4, hours=7)
    found = of(without(register(6), begin, begin + timedelta(hours=hours)))
    assert set(found.filter(pl.col("start") == begin)["method"]) == {method}


def test_rest_days_lean_on_rest_days_and_one_is_too_few():
    begin = MONDAY + timedelta(days=6, hours=6)  # the first Sunday: one rest day before
    gap = begin, begin + timedelta(hours=4)
    assert set(of(without(register(8), *gap)).filter(pl.col("coverage") == 0)["method"]) == {
        "linear"
    }
    second = tuple(one + timedelta(days=7) for one in gap)
    found = of(without(register(15), *second)).filter(pl.col("coverage") == 0)
    assert set(found["method"]) == {"like_day"}
    assert found["energy_kwh"].to_list() == pytest.approx([2.0] * 8 + [20.0] * 8)


def test_the_rule_can_be_off_and_prolonged_gaps_are_flagged_or_left():
    from collector.site import Site
    from processors.book import Book

    def book(**estimation):
        return Book.of([Site.model_validate({
            "id": "s", "name": {"zh": "s", "en": "s"}, "kind": "retail", "district": "d",
            "meters": [{"id": "m", "validation": {"estimation": estimation}}]})])  # fmt: skip

    gap = MONDAY + timedelta(days=5), MONDAY + timedelta(days=5, hours=30)
    rows = without(register(8), *gap)
    even = of(rows, book(enabled=False)).filter(pl.col("coverage") == 0)
    assert set(even["method"]) == {"linear"}
    long = of(rows, book(prolonged_days=1.0)).filter(pl.col("coverage") == 0)
    assert all("prolonged_estimate" in flags for flags in long["flags"])
    left = of(rows, book(longest_days=1.0)).filter(pl.col("coverage") == 0)
    assert set(left["energy_kwh"]) == {None}
    assert set(left["quality"]) == {"missing"}
    flagged = of(rows, book(longest_days=1.0)).filter(
        pl.col("flags").list.contains("gap_not_spread")
    )
    assert flagged["start"].to_list() == [gap[1]]


@st.composite
def holed(draw):
    """Five to nine days with odd quarter hours and a few holes; the last may lean on the others."""
    step = draw(st.sampled_from([1, 2, 3]))
    rows = register(draw(st.integers(5, 9)), every=step)
    rows = [(m, at + timedelta(minutes=draw(st.integers(0, 3)) if n % 7 == 0 else 0), v)
            for n, (m, at, v) in enumerate(rows)]  # fmt: skip
    for _ in range(draw(st.integers(1, 3))):
        first = MONDAY + timedelta(hours=draw(st.integers(1, 200)))
        rows = without(rows, first, first + timedelta(hours=draw(st.sampled_from([1, 3, 5, 30]))))
    return rows


@RELAXED
@given(holed(), st.randoms(use_true_random=False), st.integers(1, 9))
def test_any_order_gives_the_batch_result(rows, random, parts):
    readings = readings_of(rows)
    order = list(range(len(readings)))
    if random.random() < 0.5:
        random.shuffle(order)
    stream = Stream(BOOK)
    size = max(1, len(order) // parts)
    for k in range(0, len(order), size):
        stream.take(readings[order[k : k + size]])
        if random.random() < 0.3:
            stream.restart()
    key = ["meter_id", "start"]
    whole = intervals_of(readings, BOOK).select(FIGURES).sort(key)
    assert_frame_equal(whole, stream.latest().select(FIGURES).sort(key), check_exact=True)


@RELAXED
@given(holed())
def test_against_the_slow_obvious_reference_and_conserved(rows):
    found, even = of(rows), evenly(readings_of(rows), BOOK)
    expected = reference_like_days(rows, even.sort("start"), "Asia/Shanghai")
    assert found["energy_kwh"].to_list() == pytest.approx(expected, abs=1e-6)
    assert found["energy_kwh"].sum() == pytest.approx(even["energy_kwh"].sum(), abs=1e-6)
    assert found["energy_kwh"].min() >= 0


@pytest.mark.parametrize(
    "sunday", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)]
)
def test_days_of_23_and_25_hours(sunday):
    ahead = 1 if sunday.month == 3 else 2
    rows = register(15, sunday - timedelta(days=13, hours=ahead), ahead)
    gap = sunday - timedelta(hours=2), sunday + timedelta(hours=9)
    berlin = book_of(["m"], rated_power_kw=400.0, timezone="Europe/Berlin")
    holed_rows = without(rows, *gap)
    found = of(holed_rows, berlin)
    expected = reference_like_days(
        holed_rows, evenly(readings_of(holed_rows), berlin).sort("start"), "Europe/Berlin"
    )
    assert "like_day" in set(found["method"])
    assert found["energy_kwh"].to_list() == pytest.approx(expected, abs=1e-6)
