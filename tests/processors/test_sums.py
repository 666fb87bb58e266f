"""Site sums: coverage over all main meters, the worst quality, never a zero for no data."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from fakes.stream_driver import book_of, readings_of

from processors import running
from processors.blocks import intervals_of
from processors.book import BOOK, Book
from processors.step import State, step
from processors.sums import site_intervals

START = datetime(2026, 3, 1, 8, tzinfo=UTC)


def meters(*names):
    return book_of(names)


def minutes(meter, kw, count, first=0):
    return [
        (meter, START + timedelta(minutes=m), 100.0 + kw * m / 60)
        for m in range(first, first + count)
    ]


def test_a_site_is_the_sum_of_its_main_meters():
    book = meters("a", "b")
    readings = readings_of(minutes("a", 40, 46) + minutes("b", 60, 46))
    sums = site_intervals(intervals_of(readings, book), book)
    assert sums["demand_kw"].to_list() == pytest.approx([100.0] * 3)
    assert sums["coverage"].to_list() == [1.0] * 3
    assert set(sums["quality"].cast(str)) == {"measured"}


def test_an_absent_main_meter_lowers_coverage_and_makes_the_sum_a_lower_bound():
    book = meters("a", "b")
    sums = site_intervals(intervals_of(readings_of(minutes("a", 40, 31)), book), book)
    assert sums["demand_kw"].to_list() == pytest.approx([40.0] * 2)
    assert sums["coverage"].to_list() == [0.5] * 2
    assert set(sums["quality"].cast(str)) == {"missing"}


def test_sub_meters_are_not_added():
    frame = meters("a", "b").meters.with_columns(is_main=pl.col("meter_id") == "a")
    book = Book(frame.select(list(BOOK)))
    readings = readings_of(minutes("a", 40, 31) + minutes("b", 25, 31))
    sums = site_intervals(intervals_of(readings, book), book)
    assert sums["demand_kw"].to_list() == pytest.approx([40.0] * 2)


def test_the_running_block_says_what_is_still_allowed():
    book = meters("a", "b")
    # 08:30 to 08:36: six minutes at 100 kW are 10 kWh; 80 kW x 0.25 h = 20 kWh are contracted
    readings = readings_of(minutes("a", 40, 37) + minutes("b", 60, 37))
    state, _ = step(State.empty(), readings, book, START)
    live = running.running(state, book, book.meters["meter_id"])
    assert live["energy_so_far_kwh"].to_list() == pytest.approx([4.0, 6.0])
    contract = pl.DataFrame({"site_id": ["s1"], "contract_demand_kw": [80.0]})
    site = running.site_running(live, contract, book).row(0, named=True)
    assert site["block_start"] == START + timedelta(minutes=30)
    assert site["energy_so_far_kwh"] == pytest.approx(10.0)
    assert site["projected_demand_kw"] == pytest.approx(100.0)
    assert site["allowed_kw"] == pytest.approx((20.0 - 10.0) / (9 / 60))


def test_what_is_allowed_is_unknown_while_a_main_meter_is_not_heard():
    book = meters("a", "b")
    state, _ = step(State.empty(), readings_of(minutes("a", 40, 37)), book, START)
    live = running.running(state, book, book.meters["meter_id"])
    contract = pl.DataFrame({"site_id": ["s1"], "contract_demand_kw": [80.0]})
    site = running.site_running(live, contract, book).row(0, named=True)
    assert site["energy_so_far_kwh"] is None
    assert site["allowed_kw"] is None
