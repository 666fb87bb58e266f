"""Instants between two milliseconds: the log of a table cuts them off, history must not."""

from datetime import timedelta

import polars as pl
from history_rows import DAY0, T0, book, intervals, readings

from processors.history.store import History

METERS = ["a-1", "b-2"]
ODD = timedelta(microseconds=416)
NO_READINGS = readings([], T0, 0)


def opened(folder, **options):
    return History(folder, lambda: T0 + timedelta(days=400), book(*METERS), **options)


def test_days_of_one_import_after_another_are_all_there(tmp_path):
    """Each import is a process of its own; the days of the one before are folded by the next."""
    for number, meter in enumerate(METERS, start=1):
        at = T0 + timedelta(days=5, seconds=number) + ODD
        history = opened(tmp_path)
        history.add(number, NO_READINGS, intervals([meter], T0, 96, at))
        history.flush()
        history.maintain()
    for history in (opened(tmp_path), History.open_readonly(tmp_path, book(*METERS))):
        days = history.days(DAY0, DAY0 + timedelta(days=1))
        assert days["meter_id"].to_list() == METERS


def test_a_sink_sees_what_was_computed_in_the_same_millisecond_as_its_cursor(tmp_path):
    at = T0 + timedelta(days=5) + ODD
    history = opened(tmp_path, recent_span=timedelta(0), recent_rows=0)
    history.add(1, NO_READINGS, intervals(["a-1"], T0, 4, at))
    history.flush()
    found = History.open_readonly(tmp_path, book(*METERS)).intervals_since(at - ODD / 2, 100)
    assert found.height == 4


def test_a_reading_between_two_milliseconds_is_found(tmp_path):
    history = opened(tmp_path)
    heard = readings(["a-1"], T0 + ODD, 1)
    history.add(1, heard, intervals([], T0, 0, T0))
    history.flush()
    found = history.readings(T0 + ODD / 2, T0 + timedelta(seconds=1))
    assert found["measured_at"].to_list() == heard["measured_at"].to_list()
    assert found.schema["measured_at"] == pl.Datetime("us", "UTC")
