"""Health: counts, the last hour, answer times, clocks, refusals, and stale told from constant."""

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from collector import healthfile
from collector.health import HEALTH, Health
from collector.reading import UTC_US
from collector.reason import Reason
from collector.rejects import Rejects

AT = datetime(2026, 11, 23, 2, tzinfo=UTC)


def readings(values, meter="m", every_s=15.0, first=AT, source="mqtt", lag_s=1.0):
    """READING rows of one meter; `values` are dicts of quantities."""
    rows = [
        {"meter_id": meter, "measured_at": first + timedelta(seconds=every_s * n),
         "source": source, **one}
        for n, one in enumerate(values)
    ]  # fmt: skip
    late = pl.col("measured_at") + timedelta(seconds=lag_s)
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return frame.with_columns(
        pl.col("measured_at").cast(UTC_US), late.cast(UTC_US).alias("received_at")
    )


def row(health, at=None, meter="m"):
    return health.snapshot(at).row(by_predicate=pl.col("meter_id") == meter, named=True)


def test_a_meter_named_often_counts_often_and_one_never_told_of_is_absent():
    health = Health(["m", "n", "o"])
    assert health.snapshot().is_empty()
    health.heard(["m", "n", "m"], AT, [5.0, 7.0, 9.0])
    health.failed("x", "no answer within 1 s", AT)
    told = health.snapshot()
    assert told.schema == pl.Schema(HEALTH)
    assert told["meter_id"].to_list() == ["m", "n", "x"]
    assert told["successes"].to_list() == [2, 1, 0]
    assert told["failures"].to_list() == [0, 0, 1]
    assert told["response_ms"].to_list() == [9.0, 7.0, None]
    assert told["last_heard_at"].to_list() == [AT, AT, None]


def test_the_hour_forgets_and_the_start_does_not():
    health = Health()
    for minute in range(60):
        at = AT + timedelta(minutes=minute)
        health.heard(["m"], at, [10.0])
        if minute < 20:
            health.failed("m", "no answer", at)
    full = row(health, AT + timedelta(minutes=59))
    assert (full["successes_hour"], full["failures_hour"]) == (60, 20)
    later = row(health, AT + timedelta(minutes=100))
    assert (later["successes_hour"], later["failures_hour"]) == (20, 0)
    assert (later["successes"], later["failures"]) == (60, 20)
    gone = row(health, AT + timedelta(days=2))
    assert (gone["successes_hour"], gone["response_p95_ms"]) == (0, None)
    assert gone["response_ms"] == 10.0
    back = row(health, AT - timedelta(hours=3))  # a clock set back empties nothing
    assert back["successes"] == 60


def test_answer_times_of_the_hour_come_with_mean_and_percentile():
    health, took = Health(), np.random.default_rng(1).gamma(4.0, 20.0, 4000)
    for n in range(0, 4000, 100):
        health.heard(["m"] * 100, AT + timedelta(minutes=n / 100), took[n : n + 100].tolist())
    told = row(health)
    assert told["response_mean_ms"] == pytest.approx(took.mean())
    assert told["response_p95_ms"] == pytest.approx(np.percentile(took, 95), rel=0.15)


def test_how_often_a_meter_is_heard_is_learnt_and_an_outage_does_not_disturb_it():
    health = Health()
    for n in range(20):
        health.heard(["m"], AT + timedelta(seconds=15 * n))
    health.heard(["m"], AT + timedelta(hours=5))
    assert row(health)["every_s"] == pytest.approx(15.0)


def test_refused_data_are_told_of_the_meter_whose_topic_or_id_it_is(tmp_path):
    health = Health(["m", "n"])
    rejects = Rejects(tmp_path / "rejects.db", listener=health.noted)
    rejects.add(Reason.NOT_A_NUMBER, "mqtt", "demandwatch/v1/m/readings", "{}", AT, 3)
    rejects.add(Reason.UNKNOWN_QUANTITY, "mqtt", "demandwatch/v1/m/readings", "{}", AT)
    rejects.add(Reason.UNREACHABLE, "modbus:bus-1", "bus-1", "", AT)
    rejects.add(Reason.OUT_OF_RANGE, "mqtt", "demandwatch/v1/stranger/readings", "", AT)
    rejects.close()
    assert health.snapshot()["meter_id"].to_list() == ["m"]
    told = row(health)
    assert (told["refused"], told["refused_why"], told["refused_at"]) == (3, "not_a_number", AT)
    assert told["last_heard_at"] is None


def test_a_failed_poll_keeps_its_words_and_its_kind():
    health = Health(["m"])
    health.failed("m", "no answer within 0.5 s", AT)
    health.noted(Reason.TIMEOUT, "m", AT)
    told = row(health)
    assert (told["last_error"], told["failed_how"]) == ("no answer within 0.5 s", "timeout")
    assert (told["failures"], told["refused"]) == (1, 0)
    health.failed("m", "unreachable", AT)
    assert row(health)["failed_how"] == "unreachable"


def test_the_clock_offset_is_the_meter_s_own_word_and_the_lag_only_a_bound():
    health = Health()
    told = readings([{"power_kw": 1.0, "clock_offset_s": -95.0}, {"power_kw": 2.0}], lag_s=97.0)
    health.heard(["m"], AT, readings=told)
    known = row(health)
    assert (known["clock_offset_s"], known["arrival_lag_s"]) == (-95.0, 97.0)
    health.heard(["n"], AT, readings=readings([{"power_kw": 1.0}], "n", source="modbus:b"))
    polled = row(health, meter="n")
    assert (polled["clock_offset_s"], polled["arrival_lag_s"]) == (None, None)


FROZEN = {"energy_import_kwh": 4821.7, "power_kw": 118.4, "voltage_a_v": 231.2,
          "voltage_b_v": 230.8, "current_a_a": 178.3}  # fmt: skip


def test_thingsboard_2065_values_repeated_with_a_fresh_time_are_counted():
    """One message or many, in any order, told twice: the count is of distinct instants."""
    health = Health()
    rows = readings([FROZEN] * 121)
    health.heard(["m"], AT, readings=rows.head(50).reverse())
    health.heard(["m"], AT, readings=rows.head(60))
    for n in range(60, 121):
        health.heard(["m"], AT, readings=rows[n : n + 1])
    told = row(health)
    assert (told["repeats"], told["repeating_gauges"]) == (120, 4)
    assert told["repeating_since"] == AT
    assert told["repeating_kwh"] == pytest.approx(118.4 * 120 * 15 / 3600)


def test_one_changed_digit_ends_the_repetition():
    health = Health()
    moved = FROZEN | {"voltage_b_v": 230.9}
    health.heard(["m"], AT, readings=readings([*[FROZEN] * 9, moved, moved, moved]))
    told = row(health)
    assert (told["repeats"], told["repeating_since"]) == (2, AT + timedelta(seconds=9 * 15))
    again = readings([FROZEN], first=AT + timedelta(minutes=10))
    health.heard(["m"], AT, readings=again)
    assert row(health)["repeats"] == 0


def test_a_column_another_meter_fills_changes_nothing():
    health = Health()
    health.heard(["m"], AT, readings=readings([FROZEN]))
    both = pl.concat(
        [
            readings([FROZEN], first=AT + timedelta(seconds=15)),
            readings([FROZEN | {"frequency_hz": 50.0}], "n"),
        ],
        how="diagonal",
    )
    health.heard(["m", "n"], AT, readings=both)
    assert row(health)["repeats"] == 1


def test_an_idle_circuit_gives_no_sign_of_energy_it_should_have_counted():
    idle = {"energy_import_kwh": 4821.7, "power_kw": 0.0, "current_a_a": 0.0, "voltage_a_v": 231.0}
    health = Health()
    health.heard(["m"], AT, readings=readings([idle] * 200))
    told = row(health)
    assert (told["repeats"], told["repeating_gauges"], told["repeating_kwh"]) == (199, 1, 0.0)


def test_what_was_known_survives_the_process(tmp_path):
    health = Health()
    health.heard(["m"], AT)
    health.failed("n", "no answer", AT)
    healthfile.save(tmp_path / "health.arrow", health.snapshot(), AT)
    known, at = healthfile.load(tmp_path / "health.arrow")
    assert (known.height, at) == (2, AT)
    again = Health()
    again.restore(known)
    told = again.snapshot()
    assert told["last_heard_at"].to_list() == [AT, None]
    assert told["last_error"].to_list() == [None, "no answer"]
    assert told["successes"].to_list() == [0, 0]
    (tmp_path / "health.arrow").write_bytes(b"ARROW1 and nothing more")
    assert healthfile.load(tmp_path / "health.arrow")[1] is None
    assert healthfile.load(tmp_path / "absent.arrow")[1] is None


def test_ten_thousand_meters_a_second_cost_little():
    """Two per cent of a processor is the budget; a loaded machine gets ten times that."""
    ids = [f"m{n:05d}" for n in range(10_000)]
    health, chance = Health(ids), np.random.default_rng(1)
    names = ("energy_import_kwh", "power_kw", "voltage_a_v", "voltage_b_v", "current_a_a")
    frames = [
        pl.DataFrame({"meter_id": ids, "measured_at": [AT + timedelta(seconds=n)] * 10_000}
                     | {name: chance.random(10_000) for name in names})
        .with_columns(pl.col("measured_at").cast(UTC_US), source=pl.lit("mqtt"))
        .with_columns(received_at=pl.col("measured_at"))
        for n in range(5)
    ]  # fmt: skip
    begun = time.process_time()
    for n, frame in enumerate(frames):
        health.heard(ids, AT + timedelta(seconds=n), readings=frame)
    assert (time.process_time() - begun) / 5 < 0.2
