"""SIGHUP: faulty settings change nothing, good ones take effect, nothing is lost meanwhile."""

import json
import signal
import socket
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from program import Program
from services import free_port
from services_mqtt import publisher
from waiting import until

START = datetime(2026, 3, 2, tzinfo=UTC)

pytestmark = [pytest.mark.mosquitto, pytest.mark.timeout(120)]


def site(*meters, kind="factory"):
    return {
        "id": "works",
        "name": {"zh": "厂", "en": "Works"},
        "kind": kind,
        "district": "d",
        "meters": [{"id": one} for one in meters],
    }


@contextmanager
def running(folder, port):
    broker = {"mqtt": {"host": "127.0.0.1", "port": port}}
    program = Program.make(folder / "bureau", [site("old")], collector=broker)
    process = program.start()
    try:
        yield program, process
        program.stop(process)
    finally:
        process.kill()
        process.wait()


def send(port, meter, minutes):
    """Publish the register at some minutes; the broker has them when this returns."""
    topic = f"demandwatch/v1/{meter}/readings"
    with publisher(port) as field:
        for n in minutes:
            at = (START + timedelta(minutes=n)).isoformat()
            row = {"measured_at": at, "energy_import_kwh": 10.0 + n}
            field.publish(topic, json.dumps(row), 1).wait_for_publish(10)


def heard(program, meter):
    """Return the minute of the meter's last reading as the running system has it, or None."""
    fleet = json.loads(program.get("/api/v1/fleet") or "[]")
    found = {one["meter_id"]: one["measured_at"] for one in fleet}.get(meter)
    return found and (datetime.fromisoformat(found) - START) / timedelta(minutes=1)


def hang_up(program, process, told):
    """Send SIGHUP; wait until the log says what came of it and the program is ready again."""
    log = program.folder / "run.log"
    before = len(log.read_text())
    process.send_signal(signal.SIGHUP)
    until(lambda: told in log.read_text()[before:], 20, told)
    until(program.answers, 20, "the program to be ready")
    return log.read_text()[before:]


def test_faulty_settings_leave_the_running_ones_in_force(tmp_path, mosquitto):
    with running(tmp_path, mosquitto.port) as (program, process):
        program.sites = [site("old", "new", kind="castle")]
        program.write()
        said = hang_up(program, process, "the old ones stay in force")
        assert "sites.0.kind: cannot be 'castle'" in said
        send(mosquitto.port, "new", [1])
        send(mosquitto.port, "old", [1])
        until(lambda: heard(program, "old") == 1, 20)
        assert heard(program, "new") is None
        assert program.metric("demandwatch_rejected_total") == 1


def test_good_settings_take_effect_and_nothing_is_lost_meanwhile(tmp_path, mosquitto):
    with running(tmp_path, mosquitto.port) as (program, process):
        send(mosquitto.port, "old", range(16))
        until(lambda: heard(program, "old") == 15, 20)
        program.sites = [site("old", "new")]
        program.settings["dashboards"]["console"]["port"] = port = free_port()
        program.write()
        process.send_signal(signal.SIGHUP)
        send(mosquitto.port, "old", range(16, 61))  # while it stops and starts
        until(program.answers, 20, "the program on its new port")
        assert f":{port}" in (program.folder / "run.log").read_text()
        send(mosquitto.port, "new", range(61))
        until(lambda: (heard(program, "old"), heard(program, "new")) == (60, 60), 20)
    query = ["query", "intervals", "-c", program.config, "--format", "json"]
    rows = json.loads(program.call(*query))
    assert len(rows) == 8
    assert {(one["energy_kwh"], one["coverage"]) for one in rows} == {(15.0, 1.0)}


def test_settings_that_cannot_be_started_leave_the_running_ones_in_force(tmp_path, mosquitto):
    """A port of the console that another program has."""
    with running(tmp_path, mosquitto.port) as (program, process), closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ours = program.settings["dashboards"]["console"]
        theirs = {"port": other.getsockname()[1], "try_next_ports": 0}
        program.settings["dashboards"]["console"] = theirs
        program.write()
        program.settings["dashboards"]["console"] = ours
        said = hang_up(program, process, "the new settings cannot be started: back to the old")
        assert "is in use" in said
        send(mosquitto.port, "old", [1])
        until(lambda: heard(program, "old") == 1, 20)


def test_stopped_in_the_middle_of_a_reload_it_ends_cleanly(tmp_path, mosquitto):
    with running(tmp_path, mosquitto.port) as (program, process):
        program.write()
        process.send_signal(signal.SIGHUP)
        until(lambda: "settings read anew" in (program.folder / "run.log").read_text(), 20)
        program.stop(process)
