"""Day types: the yearly notices, what the bureau tells beside them, and what nobody knows."""

from collections import Counter
from datetime import date, timedelta

import polars as pl
import pytest

from processors.calendar import Calendar, ToldDay, ToldYear, day_types
from processors.calendarfile import load_calendar

ZONE = "Asia/Shanghai"


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        (date(2018, 2, 11), "makeup"),  # 国办发明电〔2017〕12号: Sundays 11 and 24 February worked
        (date(2018, 2, 24), "makeup"),
        (date(2018, 2, 15), "holiday"),  # Spring Festival 15-21 February
        (date(2018, 2, 22), "working"),
        (date(2018, 11, 17), "rest"),
        (date(2018, 12, 29), "makeup"),
        (date(2026, 10, 1), "holiday"),
        (date(2026, 11, 23), "working"),
    ],
)
def test_days_of_the_notices(day, kind):
    assert day_types([day], ZONE) == [kind]


def test_a_year_without_a_notice_is_unknown_on_every_day():
    days = [date(2035, 1, 1) + timedelta(days=n) for n in range(365)]
    assert set(day_types(days, ZONE)) == {"unknown"}


def test_other_countries_have_no_chinese_holidays():
    assert day_types([date(2026, 10, 1)], "Europe/Berlin") == ["unknown"]


def test_every_day_of_the_known_years_has_a_type_and_makeup_days_are_weekend_days():
    days = pl.date_range(date(2018, 1, 1), date(2026, 12, 31), eager=True)
    types = Calendar().types(days, ZONE).cast(pl.String)
    assert "unknown" not in set(types)
    made_up = [day for day, kind in zip(days, types, strict=True) if kind == "makeup"]
    assert len(made_up) > 30
    assert {day.isoweekday() for day in made_up} == {6, 7}
    assert {day.isoweekday() for d, day in zip(types, days, strict=True) if d == "rest"} == {6, 7}


def test_what_the_bureau_tells_wins_and_a_told_year_is_no_longer_unknown(tmp_path):
    (tmp_path / "days").mkdir()
    (tmp_path / "days" / "2035.yaml").write_text(
        "years: [{year: 2035, source: notice}]\n"
        "days:\n"
        "  - {day: 2035-01-01, until: 2035-01-04, type: holiday, source: notice}\n"
        "  - {day: 2035-01-06, type: makeup, source: notice}\n"
        "hot_days: [{day: 2035-06-03, max_c: 35.4, source: utility}]\n",
        encoding="utf-8",
    )
    calendar, faults = load_calendar("days", tmp_path)
    assert not faults
    days = [date(2035, 1, 1) + timedelta(days=n) for n in range(7)]
    assert day_types(days, ZONE, calendar) == [
        "holiday", "holiday", "holiday", "working", "working", "makeup", "rest",
    ]  # fmt: skip
    assert calendar.hot[0].max_c == 35.4


def test_a_single_told_day_does_not_make_its_year_known():
    told = ToldDay(day=date(2035, 1, 1), type="holiday", source="notice")
    kinds = day_types([date(2035, 1, 1), date(2035, 1, 2)], ZONE, Calendar((told,)))
    assert kinds == ["holiday", "unknown"]
    years = (ToldYear(year=2035, source="notice"),)
    assert Counter(day_types([date(2035, 1, 2)], ZONE, Calendar((told,), years))) == {"working": 1}


def test_faults_name_file_and_line(tmp_path):
    (tmp_path / "days").mkdir()
    (tmp_path / "days" / "bad.yaml").write_text("days:\n  - {day: 2035-01-01, type: free}\n")
    _, faults = load_calendar("days", tmp_path)
    assert {fault.key for fault in faults} == {"days.0.type", "days.0.source"}
    _, faults = load_calendar("nowhere", tmp_path)
    assert "not a folder" in faults[0].problem
