"""The 80 % ranges of a quota account hold the truth as often as they say, over real measurements.

`python benchmarks/backtest_quota.py` counts every third day of every month; here is a sample of it.
"""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from benchmarks.backtest_quota import buildings, cases, coverage, steel
from processors.terms import Span

DATA = Path(__file__).parents[3] / "shared" / "data"
NEAR = (0.9, 0.97, 1.03)
JANUARY = [date(2017, 1, 1)]

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.exists(), reason="../shared/data is absent"),
]


def starts(year, months):
    return [date(year, month, 1) for month in months]


def calibrated(rows, *by):
    got = coverage(rows, *by)
    for name in ("energy", "day", "ranged"):
        assert got[name].is_between(0.7, 0.9).all(), got
    return got


def test_of_shops_and_hotels():
    days = buildings(DATA / "bdg2")
    rows = cases(days, starts(2017, range(1, 13)), (3, 12, 21), shares=NEAR)
    got = calibrated(rows).row(0, named=True)
    assert (got["origins"] > 300, got["crossings"] > 1000, got["error"] < 0.1) == (True, True, True)
    assert calibrated(rows, "half").height == 2


def test_of_quotas_that_know_nothing_of_what_came():
    days = buildings(DATA / "bdg2")
    rows = cases(days, starts(2017, (2, 5, 8, 11)), (4, 16), shares=(0.8, 0.9, 1.0), pace=True)
    calibrated(rows)


def test_of_a_steel_works():
    days = steel(DATA / "steel_industry_data.csv")
    got = calibrated(cases(days, starts(2018, range(2, 13)), range(0, 28, 9), shares=NEAR))
    assert got["origins"][0] == 44


def test_of_a_year_by_the_year_before():
    rows = cases(buildings(DATA / "bdg2"), JANUARY, range(15, 360, 20), Span.YEAR, NEAR)
    seasonal = rows.filter(pl.col("season") == "year_before")
    got = calibrated(seasonal).row(0, named=True)
    assert (got["origins"] > 60, got["error"] < 0.03) == (True, True)
    assert calibrated(seasonal, "half").height == 2


def test_of_a_year_without_one_before():
    days = buildings(DATA / "bdg2").filter(pl.col("day") >= date(2016, 12, 1))
    rows = cases(days, JANUARY, range(55, 360, 50), Span.YEAR, NEAR)
    assert rows["season"].unique().to_list() == ["none"]
    calibrated(rows)
