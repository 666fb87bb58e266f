"""How a meter is: each state with its reason, and no false "no data", "stale" or "clock"."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from fakes.stream_driver import book_of

from collector.healthrow import HEALTH
from processors.causes import WAY
from processors.condition import CONDITION, Limits, condition
from processors.live import LIVE
from processors.settings import FleetSettings

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
LIMITS = Limits(900.0, FleetSettings())
QUIET = {"successes": 100, "failures": 0, "refused": 0, "successes_hour": 100, "failures_hour": 0,
         "refused_hour": 0}  # fmt: skip


def ago(**span):
    return NOW - timedelta(**span)


def told(via="mqtt", measured=None, **health):
    """The row of one meter with this health; heard 20 s ago unless it says otherwise."""
    row = QUIET | {"last_heard_at": ago(seconds=20)} | health | {"meter_id": "m"}
    book = book_of(["m"])
    way = pl.DataFrame([("m", "s1", via, via)], schema=WAY, orient="row")
    seen = pl.DataFrame(schema=LIVE)
    if row["last_heard_at"] is not None:
        one = {"meter_id": "m", "measured_at": measured or row["last_heard_at"],
               "received_at": row["last_heard_at"], "power_kw": 5.0}  # fmt: skip
        seen = pl.DataFrame([one], schema_overrides=LIVE)
    health = pl.DataFrame([row], schema=HEALTH)
    rows = condition(book, way, seen, health, NOW, LIMITS)
    assert rows.schema == pl.Schema(CONDITION)
    return rows.row(0, named=True)


def is_(row):
    return row["state"], row["reasons"]


def test_a_meter_that_answers_is_well():
    row = told(response_ms=12.0, every_s=15.0)
    assert is_(row) == ("ok", [])
    assert (row["success_hour"], row["power_kw"]) == (1.0, 5.0)


def test_never_heard_is_no_silence_and_says_why_if_it_can():
    assert is_(told(last_heard_at=None)) == ("never", ["never_heard"])
    row = told("modbus", last_heard_at=None, last_error="no answer", last_error_at=ago(seconds=9),
               failed_how="timeout")  # fmt: skip
    assert is_(row) == ("never", ["never_heard", "no_answer"])


@pytest.mark.parametrize(
    ("how", "why"),
    [("timeout", "no_answer"), ("modbus_exception", "exception"), ("unreachable", "unreachable"),
     (None, "no_answer")],
)  # fmt: skip
def test_a_silent_meter_says_how_its_polls_failed(how, why):
    row = told("modbus", last_heard_at=ago(hours=2), last_error="x", last_error_at=ago(seconds=9),
               failed_how=how)  # fmt: skip
    assert is_(row) == ("silent", ["no_reading", why])
    assert row["power_kw"] is None
    assert row["silent_s"] == 7200


def test_an_old_failure_is_no_reason_for_today_s_silence():
    row = told(last_heard_at=ago(hours=2), last_error="x", last_error_at=ago(hours=5))
    assert is_(row) == ("silent", ["no_reading"])


def test_a_meter_whose_clock_is_hours_behind_is_heard_all_the_same():
    """False "no data" (kapacitor #939): arrival counts, not the time it wrote on the reading."""
    row = told(measured=ago(hours=3), arrival_lag_s=10_800.0)
    assert is_(row) == ("late", ["arrives_late"])
    assert is_(told(measured=ago(hours=3), clock_offset_s=-10_800.0))[0] == "clock"


@pytest.mark.parametrize("offset", [61.0, -61.0])
def test_a_clock_is_off_by_the_meter_s_own_word(offset):
    assert is_(told(clock_offset_s=offset)) == ("clock", ["clock_off"])
    assert is_(told(clock_offset_s=offset / 2)) == ("ok", [])


def test_a_reading_from_the_future_proves_a_fast_clock_and_a_late_one_proves_none():
    assert is_(told(arrival_lag_s=-90.0)) == ("clock", ["clock_ahead"])
    assert is_(told(arrival_lag_s=90.0)) == ("ok", [])


def test_what_speaks_but_is_refused_is_not_called_silent():
    row = told(last_heard_at=ago(hours=2), refused=40, refused_at=ago(seconds=5),
               refused_why="time_in_future", refused_hour=40, successes_hour=0)  # fmt: skip
    assert row["state"] == "refused"
    assert row["reasons"][:2] == ["refused", "no_reading"]
    assert row["success_hour"] == 0.0
    assert told(last_heard_at=None, refused_at=ago(seconds=5))["state"] == "refused"


REPEAT = {"newest_at": ago(seconds=20), "repeating_since": ago(hours=1), "repeats": 200}


def test_stale_is_told_from_constant():
    """thingsboard-gateway #2065, and "tell stale from constant"."""
    assert is_(told(**REPEAT, repeating_gauges=5, repeating_kwh=0.0)) == ("stale", ["values_stand"])
    assert is_(told(**REPEAT, repeating_gauges=1, repeating_kwh=80.0)) == (
        "stale", ["register_stands"],
    )  # fmt: skip
    idle = told(**REPEAT, repeating_gauges=1, repeating_kwh=0.0)
    assert is_(idle) == ("ok", [])  # a circuit without load: one voltage, nothing else
    short = REPEAT | {"repeating_since": ago(minutes=20)}
    assert is_(told(**short, repeating_gauges=5, repeating_kwh=40.0)) == ("ok", [])
    few = REPEAT | {"repeats": 5}
    assert is_(told(**few, repeating_gauges=5, repeating_kwh=40.0)) == ("ok", [])
    assert told(**REPEAT, repeating_gauges=5, last_heard_at=ago(hours=2))["state"] == "silent"


def test_overdue_and_often_failing_are_late_before_they_are_silent():
    assert is_(told(last_heard_at=ago(minutes=5), every_s=15.0)) == ("late", ["overdue"])
    assert is_(told(last_heard_at=ago(minutes=5), every_s=300.0)) == ("ok", [])
    assert is_(told(response_ms=5.0, successes_hour=80, failures_hour=20)) == (
        "late", ["often_fails"],
    )  # fmt: skip
    assert is_(told(successes_hour=1, failures_hour=1)) == ("ok", [])  # two polls prove nothing


def test_a_meter_that_comes_by_file_is_waited_for_by_nobody():
    assert is_(told("file", last_heard_at=ago(days=30))) == ("file", [])
    assert told("file", last_heard_at=None)["success_rate"] == 1.0
