"""The 80 % range of a quota account holds the truth as often as it says, over real measurements.

`benchmarks/backtest_quota.py` counts every third day of every month; here is a sample of it.
"""

from datetime import date
from pathlib import Path

import pytest

from benchmarks.backtest_quota import buildings, cases, coverage, steel
from processors.quota import Span

DATA = Path(__file__).parents[3] / "shared" / "data"

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.exists(), reason="../shared/data is absent"),
]


def held(days, year, months, lags, **over):
    starts = [date(year, month, 1) for month in months]
    return coverage(cases(days, starts, lags, shares=[0.9], **over)).row(0, named=True)


def test_of_shops_and_hotels():
    got = held(buildings(DATA / "bdg2"), 2017, (1, 3, 5, 7, 9, 11), (4, 16))
    assert got["origins"] > 150
    assert 0.7 <= got["energy"] <= 0.9
    assert 0.7 <= got["instant"] <= 0.9
    assert got["error"] < 0.1


def test_of_a_steel_works():
    got = held(steel(DATA / "steel_industry_data.csv"), 2018, range(2, 13), range(2, 28, 5))
    assert got["origins"] == 66
    assert 0.7 <= got["energy"] <= 0.9
    assert 0.7 <= got["instant"] <= 0.9


def test_of_a_year():
    got = held(buildings(DATA / "bdg2"), 2017, [1], (59, 120, 181, 242, 303), span=Span.YEAR)
    assert got["origins"] > 70
    assert 0.65 <= got["energy"] <= 0.9
