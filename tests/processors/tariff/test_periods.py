"""Tariff periods by month, hour, day type and heat, against the notice told in plain Python."""

import os
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from fakes.reference_tariff import guangdong_period, hot_by_hand
from hypothesis import given, settings
from hypothesis import strategies as st
from tariff_rows import every_3_h, starts, tariff, temperatures

from processors.calendar import Calendar, HotDay
from processors.policy.tariff_pack import PeriodRule, TariffPack
from processors.tariff.periods import PERIOD, hot_days, period_of

ZONE = ZoneInfo("Asia/Shanghai")
JUNE = date(2026, 6, 3)


def at(day, clock, zone=ZONE):
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=zone)


def periods(first, count=96, hot=None, pack=None, zone="Asia/Shanghai"):
    return period_of(starts(first, count), pack or tariff(), hot, zone).cast(pl.String).to_list()


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "Asia/Kathmandu"])
def test_every_block_of_a_year_as_the_notice_says(zone):
    first = datetime(2025, 12, 31, 12, tzinfo=UTC)
    times = starts(first, 96 * 366)
    hot = frozenset({date(2026, 6, 3), date(2026, 10, 9), date(2026, 7, 2)})
    frame = pl.DataFrame({"day": sorted(hot), "max_c": 36.0, "hot": True})
    ours = period_of(times, tariff(), frame, zone)
    assert ours.dtype == PERIOD
    assert ours.cast(pl.String).to_list() == [guangdong_period(t, zone, hot) for t in times]


@settings(max_examples=int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "20")), deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 20 * 96), st.floats(20, 40).map(lambda c: round(c, 1))),
        max_size=12,
        unique_by=lambda row: row[0],
    ),
    st.randoms(),
)
def test_hot_days_make_sharp_hours_whatever_the_order_of_readings(rows, random):
    first = datetime(2026, 5, 20, tzinfo=UTC)
    told = [(first + n * timedelta(minutes=15), c) for n, c in rows]
    shuffled = list(told)
    random.shuffle(shuffled)
    hot = hot_days(temperatures(shuffled), "Asia/Shanghai")
    assert hot.equals(hot_days(temperatures(told), "Asia/Shanghai"))
    by_hand = hot_by_hand(told, "Asia/Shanghai", 35.0)
    assert set(hot.filter("hot")["day"]) == by_hand
    times = starts(first, 96 * 21)
    assert period_of(times, tariff(), hot, "Asia/Shanghai").cast(pl.String).to_list() == [
        guangdong_period(t, "Asia/Shanghai", by_hand) for t in times
    ]


def test_a_day_is_rated_anew_when_its_maximum_arrives():
    before = every_3_h(JUNE, 30.0, ZONE)[:4]
    after = [*before, (at(JUNE, "14:07"), 35.0)]
    cool, warm = (hot_days(temperatures(rows), "Asia/Shanghai") for rows in (before, after))
    assert cool["hot"].to_list() == [None]  # the day is not over: nobody can say no
    assert warm["hot"].to_list() == [True]
    assert periods(at(JUNE, "11:00"), 4, cool) == ["peak"] * 4
    assert periods(at(JUNE, "11:00"), 4, warm) == ["sharp"] * 4


def test_not_hot_needs_the_whole_day():
    whole = hot_days(temperatures(every_3_h(JUNE, 34.9, ZONE)), "Asia/Shanghai")
    assert whole.rows() == [(JUNE, 34.9, False)]
    holed = [row for n, row in enumerate(every_3_h(JUNE, 34.9, ZONE)) if n != 4]
    assert hot_days(temperatures(holed), "Asia/Shanghai")["hot"].to_list() == [None]


def test_a_corrected_temperature_takes_the_heat_back():
    rows = temperatures([(at(JUNE, "14:00"), 36.0), (at(JUNE, "14:00"), 33.0)])
    later = rows.with_columns(received_at=pl.Series([at(JUNE, "14:01"), at(JUNE, "15:00")]))
    later = later.cast({"received_at": pl.Datetime("us", "UTC")})
    assert hot_days(later, "Asia/Shanghai")["max_c"].to_list() == [33.0]


def test_an_announced_maximum_stands_before_the_station():
    calendar = Calendar(hot=(HotDay(day=JUNE, max_c=35.1, source="utility"),))
    found = hot_days(temperatures(every_3_h(JUNE, 30.0, ZONE)), "Asia/Shanghai", calendar=calendar)
    assert found.rows() == [(JUNE, 35.1, True)]


@pytest.mark.parametrize(
    ("day", "count"), [(date(2026, 3, 29), 92), (date(2026, 10, 25), 100)], ids=["23 h", "25 h"]
)
def test_days_of_23_and_25_hours_keep_their_clock(day, count):
    berlin = ZoneInfo("Europe/Berlin")
    told = periods(at(day, "00:00", berlin), count, zone="Europe/Berlin")
    valley = 28 if count == 92 else 36  # the clocks change at night
    assert told.count("valley") == valley
    assert told.count("peak") == 28
    assert told == [
        guangdong_period(t, "Europe/Berlin") for t in starts(at(day, "00:00", berlin), count)
    ]


def by_day_type():
    """Deep valley at noon of public holidays, as some provinces have it; peak on working days."""
    rules = (
        {"period": "valley", "hours": [["10:00", "14:00"]], "day_types": ["holiday"]},
        {"period": "peak", "hours": [["10:00", "12:00"]], "day_types": ["working", "makeup"]},
    )
    made = tuple(PeriodRule.model_validate(one | {"provenance": "illustrative"}) for one in rules)
    return tariff().model_copy(update={"periods": made})


@pytest.mark.parametrize(
    ("day", "at_ten", "at_nine"),
    [
        ("2026-10-01", "valley", "flat"),  # National Day
        ("2026-10-10", "peak", "flat"),  # a Saturday made up for it
        ("2026-10-11", "flat", "flat"),
        ("2026-10-12", "peak", "flat"),
        ("2035-10-12", None, "flat"),  # no notice known: the hours it decides are not stated
    ],
)
def test_periods_by_day_type(day, at_ten, at_nine):
    assert periods(at(day, "10:00"), 1, pack=by_day_type()) == [at_ten]
    assert periods(at(day, "09:00"), 1, pack=by_day_type()) == [at_nine]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hot": None}, "or_hot"),
        ({"sharp_on_peak": None}, "sharp_on_peak"),
    ],
)
def test_a_tariff_that_lacks_what_it_names_is_refused(change, says):
    data = tariff().model_dump(mode="json", by_alias=True) | change
    with pytest.raises(ValueError, match=says):
        TariffPack.model_validate(data)


@pytest.mark.parametrize("hours", [[["10:00", "10:20"]], [["22:00", "06:00"]], [["x", "1"]]])
def test_hours_off_the_quarter_or_across_midnight_are_refused(hours):
    with pytest.raises(ValueError, match=r"quarter hour|from < to|HH:MM"):
        PeriodRule.model_validate({"period": "peak", "hours": hours, "provenance": "published"})
