"""Statistics periods, and a part of a year scaled by the site's own months."""

import calendar
import os
from datetime import date, timedelta

import polars as pl
import pytest
from fakes.reference_allocation import annual
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_rows import REPO, at, day_rows, meter, site
from test_verdict import guide

from processors.claims import Period, Span, area_claim
from processors.intensity import measure
from processors.judge import judge
from processors.policy.load import Packs, load_packs
from processors.season import in_season
from processors.settings import VerdictSettings

RULES = VerdictSettings(guides={"lodging": "g"})


@pytest.mark.parametrize(
    ("span", "today", "start", "end"),
    [
        (Span.MONTH, date(2026, 1, 15), date(2025, 12, 1), date(2026, 1, 1)),
        (Span.QUARTER, date(2026, 2, 28), date(2025, 10, 1), date(2026, 1, 1)),
        (Span.QUARTER, date(2026, 7, 1), date(2026, 4, 1), date(2026, 7, 1)),
        (Span.YEAR, date(2026, 7, 1), date(2025, 1, 1), date(2026, 1, 1)),
        (Span.YEAR_TO_DATE, date(2026, 7, 9), date(2026, 1, 1), date(2026, 7, 9)),
        (Span.YEAR_TO_DATE, date(2026, 1, 1), date(2025, 1, 1), date(2026, 1, 1)),
        (Span.ROLLING, date(2026, 7, 9), date(2025, 7, 9), date(2026, 7, 9)),
        (Span.ROLLING, date(2028, 2, 29), date(2027, 2, 28), date(2028, 2, 29)),
    ],
)
def test_periods_are_whole_and_over(span, today, start, end):
    period = Period.of(span, today)
    assert period == Period(start, end)
    rolling_year = (start.month, start.day, end.day) == (1, 1, 1)
    assert period.span in {span} | ({Span.YEAR} if rolling_year else set())


def cooling(day):
    """A shop of the south: three times the energy from June to September."""
    return 300.0 if 6 <= day.month <= 9 else 100.0


LAST = day_rows("m", date(2016, 1, 1), date(2017, 1, 1), cooling)


def told(first, until, kwh, *, last=LAST, rules=RULES, packs=None, of=None):
    days = pl.concat([last, day_rows("m", first, until, kwh)])
    tables = Packs(tables=(packs or guide(),))
    now = at(until + timedelta(days=1))
    rows = judge(days, [of or site()], tables, Period(first, until), rules, now)
    return rows.row(0, named=True)


def test_a_hot_quarter_is_no_overrun_and_a_mild_one_no_saving():
    year = 122 * 300 + 244 * 100  # of 2016, kWh on 1000 m2
    summer = told(date(2017, 7, 1), date(2017, 10, 1), cooling)
    spring = told(date(2017, 3, 1), date(2017, 6, 1), cooling)
    for row in (summer, spring):
        assert row["actual"] == pytest.approx(year / 1000)
        assert row["annualised"] == "shape of 2016"
        assert row["outcome"] == "overrun"
        assert row["standing"] == "clue"
        assert "annualised" in row["standing_reasons"]
    less = told(date(2017, 7, 1), date(2017, 10, 1), lambda day: cooling(day) / 2)
    assert (less["outcome"], less["actual"]) == ("within", pytest.approx(year / 2000))


@pytest.mark.parametrize(
    "last",
    [
        LAST.clear(),
        LAST.filter(pl.col("day") < date(2016, 12, 1)),
        LAST.filter(pl.col("day") >= date(2016, 1, 4)),
        day_rows("m", date(2016, 1, 1), date(2017, 1, 1), lambda d: 0.0 if d.month == 2 else 9.0),
        day_rows("m", date(2015, 1, 1), date(2016, 1, 1), cooling),
    ],
    ids=["none", "no December", "three days of January", "February of zeros", "another year"],
)
def test_without_a_whole_year_before_a_part_of_a_year_is_undecided(last):
    row = told(date(2017, 7, 1), date(2017, 10, 1), cooling, last=last)
    assert (row["outcome"], row["reason"]) == ("undecided", "no_seasonal_shape")
    assert row["annualised"] == "mean"


def test_a_trial_may_still_take_the_plain_mean_and_a_week_is_never_a_year():
    trial = VerdictSettings(guides={"lodging": "g"}, min_period_days=28)
    row = told(date(2017, 7, 1), date(2017, 10, 1), cooling, last=LAST.clear(), rules=trial)
    assert (row["outcome"], row["actual"]) == ("overrun", pytest.approx(300 * 365 / 1000))
    week = told(date(2017, 7, 1), date(2017, 7, 8), cooling)
    assert (week["outcome"], week["reason"]) == ("undecided", "period_too_short")


def test_a_whole_year_is_not_scaled():
    row = told(date(2017, 1, 1), date(2018, 1, 1), cooling)
    assert row["annualised"] is None
    assert row["actual"] == pytest.approx((122 * 300 + 243 * 100) / 1000)


shapes = st.lists(st.integers(1, 400), min_size=12, max_size=12)


@settings(max_examples=int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "25")), deadline=None)
@given(shapes, shapes, st.integers(0, 300), st.integers(28, 200))
def test_annualised_is_that_of_the_plain_reference(before, now, offset, length):
    first = date(2017, 1, 1) + timedelta(days=offset)
    period = Period(first, first + timedelta(days=length))
    grown = site(
        floor_area_m2=[{"from": "2010-01-01", "value": 1000, "declared_by": "a"}],
        meters=[meter("m"), meter("n")],
    )
    parts = [
        day_rows(name, start, end, lambda day, s=shape, k=part: float(s[day.month - 1] * k))
        for name, part in (("m", 1), ("n", 3))
        for start, end, shape in (
            (date(2016, 1, 1), date(2017, 1, 1), before), (period.start, period.end, now),
        )
    ]  # fmt: skip
    days = pl.concat(parts)
    claims = in_season([area_claim(grown, period)], days, period, 0.95)
    row = measure(days, claims).row(0, named=True)
    dates = [period.start + timedelta(days=n) for n in range(period.days)]
    last = [date(2016, 1, 1) + timedelta(days=n) for n in range(366)]
    want = annual(
        [(day.month, 4 * before[day.month - 1]) for day in last],
        {day: 4 * now[day.month - 1] for day in dates},
        lambda day: day.month,
        lambda day: calendar.monthrange(day.year, day.month)[1],
    )
    assert row["per_unit_kwh"] == pytest.approx(float(want) / 1000, rel=1e-8, abs=2e-9)


def test_the_grade_bears_its_name_also_beyond_the_last_level():
    packs, _ = load_packs(REPO / "config" / "policy")
    demo = packs.guide("demo-tertiary", date(2016, 1, 1), date(2018, 1, 1))
    here = site(guide="demo-tertiary")
    year = date(2017, 1, 1), date(2018, 1, 1)
    names = [told(*year, kwh, packs=demo, of=here)["grade_zh"] for kwh in (100, 300, 350, 400)]
    assert names == ["一级", "三级", "四级（约束值）", "五级（超约束值）"]
    assert told(*year, 400, packs=demo, of=here)["grade_en"] == "grade 5 (above the limit)"
    hole = guide(limit=50.0, advanced=None)
    assert told(*year, 400, packs=hole)["grade_zh"] is None
