"""The DL/T 645 source against simulated meters, over TCP and over a serial line."""

from dataclasses import replace
from datetime import timedelta

import pytest
from services_dlt645 import SHOWN, address, line, site_of
from waiting import until

from collector.dlt645.items import DEFAULT, ITEMS
from collector.simulator.dlt645_answers import LineFault, Showing

EVERY_ITEM = [name for name in ITEMS if "export" not in name or name == "energy_export"]
ENERGY = {name: one for name, one in SHOWN.items() if name.startswith("energy_import")}


def steady(_at):
    return Showing(SHOWN)


def faulty(fault, **more):
    return lambda _at: Showing(SHOWN, fault, **more)


def stated(row):
    """Return what a reading says, without its keys."""
    return {name: row[name] for name in SHOWN if row[name] is not None}


def test_everything_a_meter_tells_is_in_the_journal(station):
    port = station.simulate({7: lambda _at: Showing(SHOWN, clock_ahead_s=-37)})
    before = station.clock.now()
    reader = station.reader(line(port), site_of([7], items=EVERY_ITEM, poll_every_s=0.2))
    until(lambda: station.readings().height >= 2)
    reader.stop()
    row = station.readings().row(0, named=True)
    assert (row["meter_id"], row["source"]) == ("m7", "dlt645:line-1")
    assert stated(row) == pytest.approx(SHOWN)
    assert row["clock_offset_s"] == pytest.approx(-37, abs=1.1)
    assert before <= row["measured_at"] <= row["received_at"] <= station.clock.now()
    assert station.readings().height == station.outcome("ok")
    health = station.health.snapshot().row(0, named=True)
    assert (health["successes"], health["failures"]) == (station.outcome("ok"), 0)
    assert health["response_ms"] > 0
    assert not station.rejects.counts()


@pytest.mark.socat
def test_the_same_over_a_serial_line(station, pty_pair):
    meters, reader = pty_pair
    station.simulate({7: steady, 8: steady}, device=meters)
    station.reader(line(device=reader), site_of([7, 8], items=EVERY_ITEM))
    until(lambda: station.readings("m7").height and station.readings("m8").height)
    for meter_id in ("m7", "m8"):
        row = station.readings(meter_id).row(0, named=True)
        assert stated(row) == pytest.approx(SHOWN)
        assert row["clock_offset_s"] == pytest.approx(0, abs=1.1)
    assert not station.rejects.counts()


@pytest.mark.socat
def test_a_serial_line_that_was_pulled_out_is_opened_again(station, tmp_path):
    import subprocess

    from services import end, requires

    ends = [str(tmp_path / one) for one in ("meters", "reader")]
    cable = [requires("socat"), *[f"pty,raw,echo=0,link={one}" for one in ends]]
    station.reader(line(device=ends[1]), site_of([1]))
    until(lambda: station.outcome("unreachable") >= 1)
    assert f"{ends[1]} cannot be opened" in station.rejects.latest()["excerpt"][0]
    for _ in range(2):
        process = subprocess.Popen(cable)
        try:
            until(lambda: (tmp_path / "meters").exists() and (tmp_path / "reader").exists())
            station.simulate({1: steady}, device=ends[0])
            polled, missed = station.outcome("ok"), station.outcome("unreachable")
            until(lambda polled=polled: station.outcome("ok") >= polled + 2)
        finally:
            end(process)
        until(lambda missed=missed: station.outcome("unreachable") > missed)


def test_a_dead_meter_costs_its_own_slot_only(station):
    port = station.simulate({1: faulty(LineFault.SILENT), 2: steady, 3: steady})
    station.reader(line(port, timeout_s=0.15), site_of([1, 2, 3]))
    until(lambda: station.outcome("timeout") >= 3 and station.outcome("ok") >= 60)
    health = {row["meter_id"]: row for row in station.health.snapshot().to_dicts()}
    assert "no answer within 0.15 s to energy_import (0001FF00)" in health["m1"]["last_error"]
    assert health["m1"]["successes"] == 0 == health["m2"]["failures"] == health["m3"]["failures"]
    assert station.outcome("ok") > 5 * station.outcome("timeout")


def test_a_meter_that_comes_back_is_heard_again(station):
    answers = iter([faulty(LineFault.SILENT)] * 3)

    def recovering(at):
        return next(answers, steady)(at)

    port = station.simulate({1: recovering})
    station.reader(line(port, timeout_s=0.15), site_of([1]))
    until(lambda: station.outcome("timeout") == 3 and station.outcome("ok") >= 2)


def test_a_repeated_request_reads_but_tells_no_clock(station):
    asked = []

    def every_second(at):
        asked.append(at)
        return (faulty(LineFault.SILENT) if len(asked) % 2 else steady)(at)

    port = station.simulate({1: every_second})
    station.reader(line(port, retries=1, timeout_s=0.05), site_of([1]))
    until(lambda: station.readings().height >= 2)
    assert station.readings()["clock_offset_s"].null_count() == station.readings().height
    assert stated(station.readings().row(0, named=True)) == pytest.approx(ENERGY)


@pytest.mark.parametrize("wake", [0, 1, 4, 11])
def test_any_number_of_wake_bytes_runs_ahead_of_an_answer(station, wake):
    port = station.simulate({1: lambda _at: Showing(SHOWN, wake=wake)})
    station.reader(line(port), site_of([1], wake_bytes=wake))
    until(lambda: station.readings().height)
    assert stated(station.readings().row(0, named=True)) == pytest.approx(ENERGY)


def test_noise_and_broadcasts_before_the_answer_are_passed_over(station):
    port = station.simulate({1: faulty(LineFault.NOISE)})
    station.reader(line(port), site_of([1], items=list(DEFAULT)))
    until(lambda: station.outcome("ok") >= 5)
    assert station.outcome("timeout") == station.outcome("short_frame") == 0
    assert set(station.readings()["energy_import_kwh"]) == {4321.09}


@pytest.mark.parametrize(
    ("fault", "outcome", "said"),
    [
        (LineFault.CHECKSUM, "short_frame", "broken answer fe fe fe fe 68 01"),
        (LineFault.PARTIAL, "short_frame", "broken answer fe fe fe fe 68 01"),
        (LineFault.SWAPPED_ADDRESS, "timeout", "heard instead: meter 010000000000, control 91H"),
        (LineFault.WRONG_ITEM, "timeout", "heard instead: meter 000000000001, control 91H"),
        (LineFault.REFUSED, "dlt645_error", "every item is refused"),
    ],
)
def test_an_answer_that_is_none_is_no_reading(station, fault, outcome, said):
    port = station.simulate({1: faulty(fault), 2: steady})
    station.reader(line(port, timeout_s=0.15), site_of([1, 2]))
    until(lambda: station.outcome(outcome) >= 2 and station.outcome("ok") >= 2)
    health = {row["meter_id"]: row for row in station.health.snapshot().to_dicts()}
    assert said in health["m1"]["last_error"]
    assert station.readings("m1").is_empty()
    assert station.rejects.counts()[outcome] >= 2


def test_a_late_answer_is_not_taken_for_another_request(station):
    big = SHOWN | {"energy_import_kwh": 999_999.0, "energy_export_kwh": 888_888.0}
    late = faulty(LineFault.LATE, late_s=0.12)
    port = station.simulate({1: lambda at: replace(late(at), values=big), 2: steady})
    slow = line(port, timeout_s=0.1, backoff_min_s=0.01, backoff_max_s=0.01)
    items = ["energy_export", "energy_import"]
    station.reader(slow, site_of([1, 2], items=items))
    until(lambda: station.outcome("timeout") >= 4 and station.readings("m2").height >= 4)
    assert set(station.readings("m2")["energy_import_kwh"]) == {4321.09}
    assert set(station.readings("m2")["energy_export_kwh"]) == {12.34}
    assert station.readings("m1").is_empty()


def test_a_late_refusal_is_not_taken_for_the_next_items(station):
    # a refusal does not say what it refuses: the one of a repeated request, come late, is let by
    few = {name: one for name, one in SHOWN.items() if not name.startswith("voltage")}
    asked = []

    def slow(_at):  # voltages are refused after 0.75 s, twice; all else is told after 0.3 s
        asked.append(1)
        late_s = 0.75 if len(asked) <= 2 else 0.3
        return Showing(few, LineFault.LATE, late_s=late_s)

    port = station.simulate({1: slow})
    items = ["voltage", "current", "power", "frequency"]
    patient = line(port, timeout_s=0.5, retries=1)
    station.reader(patient, site_of([1], items=items, clock_every_s=3600, poll_every_s=60))
    until(lambda: station.readings().height)
    assert {"current_a_a", "power_kw", "frequency_hz"} <= set(
        stated(station.readings().row(0, named=True))
    )
    assert station.rejects.counts() == {"dlt645_error": 1}


@pytest.mark.parametrize("frame_bytes", [1, 7, 20, 200])
def test_an_answer_in_many_frames_is_joined(station, frame_bytes):
    port = station.simulate({1: lambda _at: Showing(SHOWN, frame_bytes=frame_bytes)})
    station.reader(line(port), site_of([1], items=["energy_import", "demand_register"]))
    until(lambda: station.readings().height)
    shown = ENERGY | {name: SHOWN[name] for name in SHOWN if "register" in name}
    assert stated(station.readings().row(0, named=True)) == pytest.approx(shown)


@pytest.mark.parametrize("fault", [LineFault.LOST_FOLLOW_UP, LineFault.WRONG_SEQUENCE])
def test_a_lost_follow_up_loses_the_whole_value(station, fault):
    port = station.simulate({1: faulty(fault, frame_bytes=8)})
    station.reader(line(port, timeout_s=0.15), site_of([1], items=["voltage", "energy_import"]))
    until(lambda: station.outcome("timeout") >= 2)
    assert station.readings().is_empty()
    assert "energy_import (0001FF00)" in station.rejects.latest()["excerpt"][0]


def test_an_item_the_meter_lacks_is_left_out_and_soon_not_asked_for(station):
    few = {name: SHOWN[name] for name in (*ENERGY, "frequency_hz")}
    port = station.simulate({1: lambda _at: Showing(few)})
    items = ["energy_import", "voltage", "frequency"]
    station.reader(line(port), site_of([1], items=items))
    until(lambda: station.outcome("ok") >= 6)
    assert stated(station.readings().row(0, named=True)) == pytest.approx(few)
    assert station.rejects.counts() == {"dlt645_error": 3}
    assert "voltage (0201FF00)" in station.rejects.latest()["excerpt"][0]
    assert "no such data" in station.rejects.latest()["excerpt"][0]


def test_digits_that_are_none_and_absent_values_are_null(station):
    absent = dict.fromkeys(SHOWN) | {"voltage_a_v": 225.6}
    port = station.simulate({1: faulty(LineFault.BAD_DIGITS), 2: lambda _at: Showing(absent)})
    station.reader(line(port), site_of([1, 2], items=["energy_import", "voltage"]))
    until(lambda: station.readings("m1").height and station.readings("m2").height)
    one, two = (station.readings(x).row(0, named=True) for x in ("m1", "m2"))
    assert one["energy_import_kwh"] is None is one["voltage_a_v"]
    assert one["energy_import_t1_kwh"] == pytest.approx(321.09)
    assert stated(two) == {"voltage_a_v": 225.6}
    assert set(station.rejects.counts()) == {"not_bcd"}


def test_ratios_in_force_are_applied(station):
    port = station.simulate({1: steady})
    meter = {
        "ct_ratio": [{"from": "2020-01-01", "value": 100}, {"from": "2021-01-01", "value": 60}],
        "pt_ratio": [{"from": "2020-01-01", "value": 100}],
    }
    items = ["energy_import", "voltage", "current", "demand_register"]
    station.reader(line(port), site_of([1], meter, items=items))
    until(lambda: station.readings().height)
    row = station.readings().row(0, named=True)
    assert row["energy_import_t2_kwh"] == pytest.approx(1500.5 * 6000)
    assert row["demand_register_kw"] == pytest.approx(12.3456 * 6000)
    assert row["demand_register_at_s"] == SHOWN["demand_register_at_s"]
    assert (row["voltage_a_v"], row["current_b_a"]) == pytest.approx((23_010, -285))


def test_a_ratio_not_yet_in_force_gives_no_value(station):
    port = station.simulate({1: steady})
    tomorrow = (station.clock.now() + timedelta(days=2)).date().isoformat()
    meter = {"ct_ratio": [{"from": tomorrow, "value": 100}]}
    station.reader(line(port), site_of([1], meter, items=["energy_import_total", "frequency"]))
    until(lambda: station.readings().height)
    assert stated(station.readings().row(0, named=True)) == {"frequency_hz": 49.98}
    assert "no CT or PT ratio in force" in station.rejects.latest()["excerpt"][0]


def test_a_clock_read_now_and_then_is_not_repeated_in_between(station):
    port = station.simulate({1: lambda _at: Showing(SHOWN, clock_ahead_s=120)})
    station.reader(line(port), site_of([1], clock_every_s=3600))
    until(lambda: station.readings().height >= 4)
    offsets = station.readings()["clock_offset_s"].to_list()
    assert offsets[0] == pytest.approx(120, abs=1.1)
    assert set(offsets[1:]) == {None}


def test_a_restarted_server_is_reconnected(station):
    port = station.simulate({1: steady})
    station.reader(line(port), site_of([1]))
    until(lambda: station.outcome("ok") >= 2)
    station.simulators[0].stop()
    until(lambda: station.outcome("unreachable") >= 1)
    assert station.simulate({1: steady}, port=port) == port
    polled = station.outcome("ok")
    until(lambda: station.outcome("ok") > polled)


def test_addresses_are_twelve_digits_of_one_meter():
    assert address(7) == "000000000007"
    for wrong in ("7", "99999999999A", "999999999999", 7):
        with pytest.raises(ValueError, match="address"):
            site_of([1], address=wrong)
    with pytest.raises(ValueError, match="nope: one or more of energy_import"):
        site_of([1], items=["nope"])
