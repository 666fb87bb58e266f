"""Gaps in the running program: opened, through a kill, closed by themselves with their energy."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from program import Program
from services_mqtt import publisher
from waiting import until

from collector.clock import Clock

NOON = datetime(2026, 3, 18, 4, tzinfo=UTC)
EIGHT, ELEVEN = NOON - timedelta(hours=4), NOON - timedelta(hours=1)
METERS = ("steady", "quiet", "gateway")
SITE = {
    "id": "works",
    "name": {"zh": "厂", "en": "Works"},
    "kind": "factory",
    "district": "d",
    "meters": [{"id": one} for one in (*METERS, "mute")],
}


def rows(start, end):
    """The register of 100 kW, a reading a minute."""
    minutes = range(int((start - EIGHT) / timedelta(minutes=1)), int((end - EIGHT).seconds / 60))
    return [
        {"measured_at": (EIGHT + timedelta(minutes=m)).isoformat(),
         "energy_import_kwh": round(1000 + 100 * m / 60, 6)}
        for m in minutes
    ]  # fmt: skip


def send(port, meter, found):
    with publisher(port) as field:
        topic = f"demandwatch/v1/{meter}/readings"
        field.publish(topic, json.dumps(found), 1).wait_for_publish(10)


def gaps(program, state=""):
    found = json.loads(program.get(f"/api/v1/gaps?state={state}") or b"[]")
    return {one["meter_id"]: one for one in found}


def asked(program, table):
    told = program.call("query", table, "-c", program.config, "--format", "csv").decode()
    return {one["meter_id"]: one for one in csv.DictReader(io.StringIO(told))}


@pytest.mark.mosquitto
@pytest.mark.timeout(240)
def test_a_silent_meter_and_a_gateway_that_kept_its_readings(tmp_path, mosquitto):
    program = Program.make(
        tmp_path / "bureau",
        [SITE],
        collector={"mqtt": {"host": "127.0.0.1", "port": mosquitto.port}},
    )
    program.settings["processors"] |= {"engine": {"flush_s": 0.5}, "fleet": {"save_s": 0.3}}
    program.write()
    clock = Clock.accelerated(NOON, 20)
    words = ("--clock", clock.told())
    process = program.start(*words)
    try:
        for meter in METERS:
            until_ = NOON if meter == "steady" else ELEVEN
            send(mosquitto.port, meter, rows(EIGHT, until_))
        until(lambda: {"quiet", "gateway"} <= gaps(program, "open").keys(), 40, "two open gaps")
        opened = gaps(program, "open")
        assert "mute" not in opened  # never heard: no gap
        assert opened["quiet"]["start"].startswith("2026-03-18T02:59:00")
        until(lambda: asked(program, "fleet")["quiet"]["gap_since"], 20, "the gap in query fleet")
        process.kill()
        process.wait()
        process = program.start(*words)

        back = clock.now()
        send(mosquitto.port, "gateway", rows(ELEVEN, back))  # what it kept, all at once
        send(mosquitto.port, "quiet", rows(back - timedelta(minutes=1), back))
        closed = lambda: {"quiet", "gateway"} <= gaps(program, "closed").keys()  # noqa: E731
        until(closed, 40, "both gaps to close by themselves")
        check(program, opened, back)
        until(lambda: asked(program, "fleet")["gateway"]["state"] == "ok", 20, "a fresh snapshot")
        program.stop(process)
    finally:
        process.kill()
        process.wait()
    without = asked(program, "fleet")
    assert without["mute"]["reasons_en"] == "never heard"
    assert without["gateway"]["as_of"] > "2026-03-18T04:"
    assert asked(program, "gaps")["quiet"]["method"] == "spread"


def check(program, opened, back):
    """The energy of each gap is the register's: 100 kW for as long as it lasted."""
    body = program.get("/metrics").decode()
    assert 'demandwatch_meters{state="never"} 1' in body
    assert 'demandwatch_meter_well{meter="mute",site="works"} 0' in body
    for meter, gap in gaps(program, "closed").items():
        if meter == "steady":
            continue
        start, end = (datetime.fromisoformat(gap[name]) for name in ("start", "end"))
        assert gap["gap_id"] == opened[meter]["gap_id"]  # the same gap, through the kill
        assert gap["energy_kwh"] == pytest.approx(
            (end - start) / timedelta(hours=1) * 100, rel=1e-4
        )
        assert end <= back
    assert gaps(program, "closed")["gateway"]["method"] == "late_data"
    quiet = gaps(program, "closed")["quiet"]
    story = json.loads(program.get(f"/api/v1/gaps/{quiet['gap_id']}/changes"))
    assert [act["change"] for act in story if act["change"] != "cause"] == ["opened", "closed"]
