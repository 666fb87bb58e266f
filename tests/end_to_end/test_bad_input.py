"""Bad data from the first day: counted by reason, kept to be read, never a crash."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from program import Program
from services_modbus import frame
from services_mqtt import publisher
from waiting import until

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
TOPIC = "demandwatch/v1/good/readings"
EXCEPTION, SHORT, WRONG, GOOD = 1, 2, 3, 4
"""Units behind the scripted gateway."""


def reading(minute, **more):
    at = (START + timedelta(minutes=minute)).isoformat()
    return {"measured_at": at, "energy_import_kwh": 100.0 + minute, **more}


def answer(transaction, unit, function, start, count):
    """A gateway whose meters fail, each in its own way, but for the last."""
    if unit == EXCEPTION:
        return [(0, frame(transaction, unit, bytes([function | 0x80, 4])))]
    words = bytes(2 * count)
    if unit == SHORT:
        return [(0, frame(transaction, unit, bytes([function, 4]) + words[:4]))]
    if unit == WRONG:
        return [(0, b"\x15\x03\x01\x00\x02\x02\x28")]
    return [(0, frame(transaction, unit, bytes([function, len(words)]) + words))]


def site(units):
    meters = [{"id": "good"}, {"id": "other"}]
    modbus = {"via": "modbus", "bus": "b1", "profile": "demandwatch-sim", "poll_every_s": 0.2}
    meters += [{"id": f"unit-{n}", "source": modbus | {"unit": n}} for n in units]
    name = {"zh": "厂", "en": "Works"}
    return {"id": "works", "name": name, "kind": "factory", "district": "d", "meters": meters}


@contextmanager
def running(folder, port, bus_port=None):
    collector = {"mqtt": {"host": "127.0.0.1", "port": port}}
    quick = {"timeout_s": 0.3, "retries": 0, "backoff_min_s": 0.1, "backoff_max_s": 0.3}
    units = () if bus_port is None else (EXCEPTION, SHORT, WRONG, GOOD)
    if units:
        collector["buses"] = [{"id": "b1", "host": "127.0.0.1", "port": bus_port, **quick}]
    program = Program.make(folder / "bureau", [site(units)], collector=collector)
    process = program.start()
    try:
        yield program
        assert process.poll() is None
        program.stop(process)
    finally:
        process.kill()
        process.wait()


MESSAGES = {
    "not_json": (TOPIC, b"\xff\x00{energy"),
    "not_an_object": (TOPIC, b'"12.5"'),
    "no_time": (TOPIC, json.dumps({"energy_import_kwh": 5})),
    "bad_time": (TOPIC, json.dumps({"measured_at": "yesterday", "energy_import_kwh": 5})),
    "not_a_number": (TOPIC, json.dumps(reading(1, energy_import_kwh="101.0"))),
    "not_finite": (TOPIC, json.dumps(reading(2, energy_import_kwh=float("nan")))),
    "time_in_future": (TOPIC, json.dumps(reading(3) | {"measured_at": "2199-01-01T00:00:00Z"})),
    "time_before_2000": (TOPIC, json.dumps(reading(4) | {"measured_at": "1999-12-31T23:59:59Z"})),
    "unknown_meter": ("demandwatch/v1/stranger/readings", json.dumps(reading(5))),
    "topic_mismatch": (TOPIC, json.dumps(reading(6, meter_id="other"))),
    "too_large": (TOPIC, b"[" + b" " * 10_000_000 + b"]"),
    "out_of_range": (TOPIC, json.dumps(reading(7, energy_import_kwh=-1e30))),
    "unknown_quantity": (TOPIC, json.dumps(reading(8, colour="red"))),
    "no_quantity": (TOPIC, json.dumps({"measured_at": START.isoformat()})),
}


@pytest.mark.mosquitto
def test_bad_messages_between_good_ones(tmp_path, mosquitto):
    with running(tmp_path, mosquitto.port) as program, publisher(mosquitto.port) as foreign:
        for minute, (topic, payload) in enumerate(MESSAGES.values(), start=20):
            foreign.publish(topic, payload, 1)
            foreign.publish(TOPIC, json.dumps(reading(minute)), 1).wait_for_publish(20)
        good = len(MESSAGES) + 1  # an unknown key leaves the rest of its reading good
        taken = lambda: program.metric("demandwatch_readings_processed_total")  # noqa: E731
        until(lambda: taken() >= good, 30, "the good readings")
        assert taken() == good
        counted = reasons(program)
        assert counted == dict.fromkeys(MESSAGES, 1)
        listed = json.loads(program.get("/api/v1/rejects"))
        assert {one["reason"] for one in listed} == set(MESSAGES)
        by_reason = {one["reason"]: one for one in listed}
        assert by_reason["unknown_meter"]["subject"] == MESSAGES["unknown_meter"][0]
        assert "10000002 bytes" in by_reason["too_large"]["excerpt"]
        assert len(json.dumps(listed)) < 10_000  # ten megabytes are not kept
        seen_by_command(program)
    log = (program.folder / "run.log").read_text()
    assert "crashed" not in log
    assert "Traceback" not in log


def reasons(program):
    """Return demandwatch_rejected_total by reason."""
    found = {}
    for line in program.get("/metrics").decode().splitlines():
        if line.startswith("demandwatch_rejected_total{"):
            reason = line.split('reason="')[1].split('"')[0]
            found[reason] = found.get(reason, 0) + float(line.rsplit(" ", 1)[1])
    return found


def seen_by_command(program):
    words = ["query", "rejects", "-c", program.config, "--format", "json"]
    assert {one["reason"] for one in json.loads(program.call(*words))} == set(MESSAGES)
    mine = json.loads(program.call(*words, "--meter", "good"))
    assert {one["reason"] for one in mine} == set(MESSAGES) - {"unknown_meter"}
    assert json.loads(program.call(*words, "--from", "2199-01-01")) == []


@pytest.mark.mosquitto
def test_a_flood_of_bad_messages_is_counted_whole_and_kept_in_bounds(tmp_path, mosquitto):
    flood = 20_000
    with running(tmp_path, mosquitto.port) as program, publisher(mosquitto.port) as foreign:
        for n in range(flood):
            last = foreign.publish("demandwatch/v1/good/readings", f"not json {n}", 1)
        last.wait_for_publish(30)
        foreign.publish(TOPIC, json.dumps(reading(1)), 1).wait_for_publish(10)
        until(lambda: program.metric("demandwatch_readings_processed_total") == 1, 30)
        assert reasons(program) == {"not_json": flood}
        assert 0 < len(json.loads(program.get("/api/v1/rejects?limit=10000"))) <= 10_000
        assert (program.folder / "var/rejects.db").stat().st_size < 10_000_000


@pytest.mark.mosquitto
def test_modbus_exceptions_and_short_frames_do_not_hold_up_the_others(
    tmp_path, mosquitto, scripted
):
    with running(tmp_path, mosquitto.port, scripted(answer)) as program:
        polled = lambda: program.metric("demandwatch_readings_processed_total")  # noqa: E731
        until(lambda: {"modbus_exception", "short_frame"} <= set(reasons(program)), 30)
        before = polled()
        until(lambda: polled() >= before + 3, 20, "the good meter to be read on")
        listed = json.loads(program.get("/api/v1/rejects?limit=1000"))
        mine = {(one["subject"], one["reason"]) for one in listed}
        assert (f"unit-{EXCEPTION}", "modbus_exception") in mine
        assert (f"unit-{SHORT}", "short_frame") in mine
        assert {subject for subject, _ in mine} >= {f"unit-{WRONG}"}
        blamed = {reason for subject, reason in mine if subject == f"unit-{GOOD}"}
        assert blamed <= {"out_of_range"}  # a frequency of 0 Hz
        fleet = lambda: {one["meter_id"]: one for one in json.loads(program.get("/api/v1/fleet"))}  # noqa: E731
        until(lambda: fleet()[f"unit-{GOOD}"]["measured_at"], 20, "the good meter to be shown")
        assert fleet()[f"unit-{EXCEPTION}"]["measured_at"] is None
