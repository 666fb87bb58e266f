"""`demandwatch check`: every fault of every file at once, and never a secret."""

import shutil

import pytest
import yaml
from program import ROOT, Program

PASSWORD = "hunter2-do-not-show"
TOKEN = "influx-token-do-not-show"

MAIN = """\
name: {zh: 局, en: Bureau}
meter_profiles: profiles
colector: {}
collector:
  journal: {keep_hours: long}
  mqtt: {host: localhost, port: 99999, password: "${MQTT_PASSWORD}", password_file: x}
processors:
  policy_folder: policy
alerting:
  channels:
    operations: {kind: webhook, url: "ftp://nowhere"}
dashboards:
  influx: {url: "http://127.0.0.1:8086", token: "${NOT_SET_ANYWHERE}"}
"""
NORTH = """\
sites:
  - id: works
    name: {zh: 厂, en: Works}
    kind: castle
    district: North
    meters:
      - id: m1
  - id: shop
    name: {zh: 店, en: Shop}
    kind: retail
    district: North
    timezone: Asia/Shangai
    contract_demand_kw:
      - {from: 2026-02-01, value: 100}
      - {from: 2026-01-01, value: 90}
    meters:
      - id: m2
  - id: hotel
    name: {zh: 旅馆, en: Hotel}
    kind: lodging
    district: North
    timezone: Asia/Shangai
    meters:
      - id: m3
        source: {via: modbus, bus: b9, profile: no-such-profile}
"""
SOUTH = """\
sites:
  - id: other
    name: {zh: 他, en: Other}
    kind: retail
    guide: no-such-guide
    district: South
    meters:
      - id: m3
"""
RULES = """\
rules:
  - id: first
    on: site_interval
    when: demand_kw > contract_demand
    severity: critical
    text: {zh: 一, en: one}
  - id: second
    on: site_interval
    when: demand_kw > > 5
    severity: loud
    notify: [nobody]
    text: {zh: 二, en: two}
  - id: third
    on: fleet
    when: silent_s > 5
    severity: warning
    notify: [nobody]
    text: {zh: 三, en: three}
"""
PROFILE = """\
id: other-name
title: A meter
reference: none
function: 9
registers: []
"""


def broken(folder):
    for name, text in {
        "demandwatch.yaml": MAIN,
        "sites/north.yaml": NORTH,
        "sites/south.yaml": SOUTH,
        "sites/torn.yaml": "sites: [",
        "rules/rules.yaml": RULES,
        "profiles/sim.yaml": PROFILE,
        "policy/pack.yaml": "kind: guide\nid: g\n",
    }.items():
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return Program(folder, {}, [])


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What `check` says of the broken configuration, one fault a line."""
    tmp_path = tmp_path_factory.mktemp("broken")
    program = broken(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MQTT_PASSWORD", PASSWORD)
        return lines_of(program, tmp_path)


def lines_of(program, tmp_path):
    done = program.call("check", "-c", program.config, ok=False)
    assert done.returncode == 1
    assert done.stdout == b""
    return done.stderr.decode().replace(f"{tmp_path}/", "").splitlines()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("demandwatch.yaml:3: colector:", ["unknown key", "collector"]),
        ("demandwatch.yaml:5: collector.journal.keep_hours:", ["'long'", "number"]),
        ("demandwatch.yaml:6: collector.mqtt.port:", ["99999", "65535"]),
        ("demandwatch.yaml:11: alerting.channels.operations.url:", ["ftp://nowhere", "https?"]),
        ("demandwatch.yaml:13: dashboards.influx.token:", ["NOT_SET_ANYWHERE is not set"]),
        ("sites/north.yaml:4: sites.0.kind:", ["'castle'", "'factory'", "'catering'"]),
        ("sites/north.yaml:13: sites.1.contract_demand_kw:", ["ascending"]),
        ("sites/north.yaml:18: timezone:", ["Asia/Shangai", "Asia/Shanghai"]),
        ("sites/north.yaml:18: meters.m3.source.profile:", ["no-such-profile"]),
        ("sites/south.yaml:2: meters.id:", ["m3", "hotel"]),
        ("sites/south.yaml:2: guide:", ["no-such-guide"]),
        ("sites/torn.yaml:2:", ["not YAML"]),
        ("rules/rules.yaml:4: rules.0.when:", ["contract_demand", "contract_demand_kw"]),
        ("rules/rules.yaml:10: rules.1.severity:", ["'loud'", "'critical'"]),
        ("rules/rules.yaml:17: rules.2.notify:", ["'nobody'", "operations"]),
        ("profiles/sim.yaml:4: function:", ["9", "3 or 4"]),
        ("policy/pack.yaml", ["required but absent"]),
    ],
)
def test_each_fault_is_told_with_its_place_and_what_is_allowed(said, place, words):
    mine = [line for line in said if line.startswith(place)]
    assert any(all(word in line for word in words) for line in mine), "\n".join(said)


def test_the_last_line_counts_them_and_no_secret_is_shown(said):
    assert said[-1] == (
        f"demandwatch: {len(said) - 1} fault(s) in the settings; nothing was started"
    )
    whole = "\n".join(said)
    assert PASSWORD not in whole
    assert "Traceback" not in whole


@pytest.mark.parametrize("name", ["example", "demo"])
def test_what_is_delivered_has_no_fault(tmp_path, monkeypatch, name):
    monkeypatch.setenv("INFLUX_TOKEN", TOKEN)
    shutil.copytree(ROOT / "config", tmp_path / "config")
    program = Program(tmp_path / "config" / name, {}, [])
    done = program.call("check", "-c", program.config, ok=False)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert b"no fault" in done.stdout
    assert TOKEN.encode() not in told


def test_a_secret_of_the_wrong_shape_is_not_shown(tmp_path, monkeypatch):
    """A list or section in place of a secret, and a secret under a key that is none."""
    monkeypatch.setenv("MQTT_PASSWORD", PASSWORD)
    program = Program.make(tmp_path / "bureau", [{"id": "x"}])
    program.settings["collector"] = {
        "mqtt": {"password": ["${MQTT_PASSWORD}"], "password_file": "x"}
    }
    program.settings["dashboards"]["influx"] = {"url": "${MQTT_PASSWORD}", "token": {"a": PASSWORD}}
    program.settings["alerting"] = {
        "channels": {"a": {"kind": "webhook", "url": "http://x", "headers": {"Key": [PASSWORD]}}}
    }
    program.write()
    done = program.call("check", "-c", program.config, ok=False)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") >= 5, done.stderr
    assert b"dashboards.influx.url: cannot be '***'" in done.stderr
    assert PASSWORD.encode() not in done.stderr


def test_a_settings_file_that_is_absent_or_empty_gets_one_clear_sentence(tmp_path):
    program = Program(tmp_path, {}, [])
    absent = program.call("check", "-c", tmp_path / "none.yaml", ok=False)
    (tmp_path / "empty.yaml").write_text(yaml.safe_dump(None))
    empty = program.call("check", "-c", tmp_path / "empty.yaml", ok=False)
    assert (absent.returncode, empty.returncode) == (1, 1)
    assert b"No such file" in absent.stderr
    assert b"empty" in empty.stderr
    assert b"Traceback" not in absent.stderr + empty.stderr
