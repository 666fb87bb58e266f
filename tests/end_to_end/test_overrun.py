"""An overrun's whole way: readings by MQTT, block, alert, notice, a package that verifies."""

import io
import json
import random
import threading
import zipfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from program import Program
from services_mqtt import publisher
from waiting import until

from alerting.evidence.verify import verify
from collector.clock import Clock

NOON = datetime(2026, 3, 18, 4, tzinfo=UTC)
"""Site time at the program's start: 12:00 in Shenzhen."""
EIGHT = NOON - timedelta(hours=4)
RULES = """\
rules:
  - id: contract-demand-overrun
    on: site_interval
    when: demand_kw > contract_demand_kw
    clear: demand_kw <= contract_demand_kw and coverage >= 0.9
    severity: critical
    notify: [operations]
    text: {zh: "{site_name} {demand_kw:.1f} kW", en: "{site_name}: {demand_kw:.1f} kW"}
  - id: month-quota-overrun
    on: quota
    when: energy_kwh > quota_kwh
    severity: critical
    notify: [operations]
    text: {zh: "{energy_kwh:.0f} kWh", en: "{site_name}: {energy_kwh:.0f} kWh"}
"""
SITE = {
    "id": "works",
    "name": {"zh": "厂", "en": "Works"},
    "kind": "factory",
    "district": "d",
    "contract_demand_kw": [{"from": "2026-01-01", "value": 500, "declared_by": "contract"}],
    "quota_month_kwh": [{"from": "2026-01-01", "value": 700, "declared_by": "notice"}],
    "meters": [
        {
            "id": "works-main",
            "verification": {"certificate": "C-1", "valid_until": "2030-01-01"},
        }
    ],
}


def load_kw(at):
    """100 kW; 600 kW from 10:00 to 11:00."""
    return 600.0 if timedelta(hours=2) <= at - EIGHT < timedelta(hours=3) else 100.0


def rows(start, end):
    """The register each minute, integrated from 08:00."""
    energy, at, found = 1000.0, EIGHT, []
    while at < end:
        if at >= start:
            found.append({"measured_at": at.isoformat(), "energy_import_kwh": round(energy, 4)})
        energy += load_kw(at) / 60
        at += timedelta(minutes=1)
    return found


@pytest.fixture
def endpoint():
    """A webhook that fails the first request and keeps what it then receives."""
    notices, failed = [], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if failed.is_set():
                notices.append(json.loads(body))
            self.send_response(200 if failed.is_set() else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            failed.set()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/notices", notices
        server.shutdown()
        thread.join()


@contextmanager
def bureau(folder, port, url):
    channel = {"kind": "webhook", "url": url}
    program = Program.make(
        folder / "bureau",
        [SITE],
        RULES,
        collector={"mqtt": {"host": "127.0.0.1", "port": port}},
        alerting={"channels": {"operations": channel}, "outbox": {"first_retry_s": 0.2}},
    )
    program.settings["processors"]["engine"] = {"flush_s": 0.5, "refresh_s": 0.5}
    program.write()
    process = program.start("--clock", Clock.accelerated(NOON, 1).told())
    try:
        yield program
        program.stop(process)
    finally:
        process.kill()
        process.wait()


def send(port, found):
    with publisher(port) as field:
        topic = "demandwatch/v1/works-main/readings"
        field.publish(topic, json.dumps(found), 1).wait_for_publish(10)


def alerts(program, state="all"):
    return {one["rule_id"]: one for one in json.loads(program.get(f"/api/v1/alerts?state={state}"))}


@pytest.mark.mosquitto
@pytest.mark.timeout(180)
def test_from_reading_to_verified_package(tmp_path, mosquitto, endpoint):
    url, notices = endpoint
    demand, quota = "contract-demand-overrun", "month-quota-overrun"
    with bureau(tmp_path, mosquitto.port, url) as program:
        send(mosquitto.port, rows(EIGHT, EIGHT + timedelta(minutes=181)))
        until(lambda: {demand, quota} <= alerts(program, "active").keys(), 30, "both alerts")
        until(lambda: len(notices) == 2, 10, "both notices, one after a refusal")
        check_notices(notices)
        known = asked(program)
        assert {one["rule_id"] for one in known} == {demand, quota}
        assert {one["alert_id"] for one in known} == {one["alert_id"] for one in notices}
        assert {one["resolved_at"] for one in known} == {None}
        packages = {name: exported(program, alerts(program)[name]) for name in (demand, quota)}

        send(mosquitto.port, rows(EIGHT + timedelta(minutes=181), NOON))
        until(lambda: demand not in alerts(program, "active"), 30, "the load has fallen")
        send(mosquitto.port, rows(EIGHT, NOON))  # told again, it is no news
        taken = lambda: program.metric("demandwatch_readings_processed_total")  # noqa: E731
        until(lambda: taken() == 2 * 240, 20)
        until(lambda: len(notices) == 3, 10)
        assert [one["state"] for one in notices if one["rule_id"] == demand] == [
            "fired",
            "resolved",
        ]
        resolved = {one["rule_id"]: one["resolved_at"] for one in asked(program)}
        assert resolved[demand] == "2026-03-18T03:15:00Z"
        assert resolved[quota] is None
        acts = [one["act"] for one in timeline(program, alerts(program)[demand]["alert_id"])]
        assert acts.count("fired") == acts.count("resolved") == 1
        assert acts.count("evidence_exported") == 1
    assert len(notices) == 3
    for package in packages.values():
        check_verdict(program, package)
        check_tampering(package)


def timeline(program, alert_id):
    return json.loads(program.get(f"/api/v1/alerts/{alert_id}"))["acts"]


def asked(program):
    return json.loads(program.call("query", "alerts", "-c", program.config, "--format", "json"))


def check_notices(notices):
    by_rule = {one["rule_id"]: one for one in notices}
    demand = by_rule["contract-demand-overrun"]
    assert (demand["state"], demand["site_id"]) == ("fired", "works")
    fired_at = datetime.fromisoformat(demand["fired_at"])
    assert fired_at == EIGHT + timedelta(hours=2, minutes=15)  # the end of the first such block
    assert demand["text_en"] == "Works: 600.0 kW"
    assert demand["row"]["contract_demand_kw"] == 500
    quota = by_rule["month-quota-overrun"]
    assert quota["row"]["energy_kwh"] == pytest.approx(200 + 600, abs=0.01)
    assert quota["text_en"] == "Works: 800 kWh"


def exported(program, alert):
    """Export beside the running program, which holds the ledger."""
    out = program.folder / f"{alert['rule_id']}.zip"
    told = program.call(
        "evidence", "export", alert["alert_id"], "-c", program.config, "--by", "Li Lei",
        "--out", out,
    )  # fmt: skip
    assert str(out) in told.decode()
    return out


def check_verdict(program, package):
    moved = program.folder / "elsewhere" / package.name  # no database, no settings beside it
    moved.parent.mkdir(exist_ok=True)
    moved.write_bytes(package.read_bytes())
    said = program.call("evidence", "verify", moved).decode()
    assert "verified: nothing differs" in said
    assert "overrun" in said


def check_tampering(package):
    whole = package.read_bytes()
    dice = random.Random(20110803)
    spots = {dice.randrange(len(whole)) for _ in range(60)} | {0, len(whole) - 1}
    with zipfile.ZipFile(io.BytesIO(whole)) as opened:
        members = {one.filename: one for one in opened.infolist()}
        assert {"readings.csv", "finding.json", "report.pdf", "manifest.sig"} <= members.keys()
        for one in members.values():
            first = whole.index(one.filename.encode(), one.header_offset) + len(one.filename)
            spots.add(first + dice.randrange(max(one.compress_size, 1)))
    other = package.with_suffix(".changed")
    for spot in sorted(spots):
        changed = bytearray(whole)
        changed[spot] ^= 1 << dice.randrange(8)
        other.write_bytes(changed)
        assert not verify(other).ok, f"byte {spot} of {len(whole)} was changed"
    other.write_bytes(whole)
    assert verify(other).ok
