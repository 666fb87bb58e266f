"""`demandwatch meter` and `simulate` as people call them."""

import json
import subprocess

import pytest
from bench_images import PROFILES
from program import COMMAND, ROOT, Program
from services import end, requires
from typer.testing import CliRunner

from collector.clock import Clock
from collector.identity import shown
from collector.simulator.served import Stand
from collector.simulator.stand import StandSettings
from demandwatch.cli import app

FOLDER = ["--profiles", str(ROOT / "config" / "meter-profiles")]


def call(*words, status=0):
    """Run a command in this process; return what it printed."""
    done = CliRunner().invoke(app, [str(one) for one in words], env={"COLUMNS": "200"})
    assert done.exit_code == status, done.output
    return done.stdout


@pytest.fixture
def stand():
    """Serve stands; called with links and faults, gives what is served."""
    opened = []

    def serve(*links, faults=()):
        settings = StandSettings.model_validate({"links": links, "faults": faults})
        opened.append(Stand(settings, PROFILES, Clock.real()))
        return opened[-1].start()

    yield serve
    for one in opened:
        one.close()


def at(served, *more):
    return ["--host", "127.0.0.1", "--port", served.port, *more, *FOLDER]


def test_read_shows_value_words_and_register(stand):
    (served,) = stand({"profile": "eastron-sdm630"})
    told = call("meter", "read", *at(served, "--profile", "eastron-sdm630"))
    (line,) = (one for one in told.splitlines() if one.startswith("voltage_a_v"))
    _, value, unit, raw, register, scale = line.split()
    assert 200 < float(value) < 250
    assert (unit, len(raw), register, scale) == ("V", 8, "4:0", "1")


def test_read_repeats_as_json_lines(stand):
    (served,) = stand({})
    words = at(served, "--profile", "demandwatch-sim", "--every", 0.1, "--count", 3)
    lines = call("meter", "read", *words, "--format", "json").splitlines()
    rows = [json.loads(one) for one in lines]
    assert len({one["measured_at"] for one in rows}) == 3
    assert rows[0]["quantities"]["power_kw"]["register"] == "3:12"


def test_read_says_what_was_not_answered(stand):
    (served,) = stand({"units": "1-2"}, faults=["2:exception", "1:sentinel"])
    words = at(served, "--profile", "demandwatch-sim")
    assert "exception 4" in call("meter", "read", *words, "--unit", 2, status=1)
    assert "says: no value" in call("meter", "read", *words)


def test_read_without_a_map_says_what_there_is(stand):
    done = CliRunner().invoke(app, ["meter", "read", "--host", "127.0.0.1", *FOLDER])
    assert done.exit_code == 1
    assert "eastron-sdm630" in done.stderr
    assert "meter probe" in done.stderr


def test_read_dlt645_by_the_only_address(stand):
    (served,) = stand({"kind": "dlt645", "addresses": ["000000000042"]})
    told = call("meter", "read", *at(served, "--address", "any", "--baudrate", 9600))
    assert told.startswith("meter 000000000042 at")
    assert "its clock minus ours" in told


def test_probe_finds_units_and_ranks_maps_by_evidence(stand):
    (served,) = stand({"profile": "abb-b23", "units": "3"} if "abb-b23" in PROFILES else {})
    wanted = served.link.profile
    words = at(served, "--units", "1-4", "--watch", 0, "--scan-timeout", 0.1)
    told = call("meter", "probe", *words, "--format", "json")
    (found,) = (json.loads(one) for one in told.splitlines())
    equal = [c for c in found["candidates"] if c["score"] == found["candidates"][0]["score"]]
    assert found["unit"] == int(served.link.units)
    assert wanted in [one["profile"] for one in equal]
    assert found["candidates"][0]["standing"] == "match"


def test_a_meter_that_tells_its_name_is_known_by_it(stand):
    name = next(one.id for one in PROFILES.values() if shown(one))
    (served,) = stand({"profile": name})
    words = at(served, "--units", "1", "--watch", 0)
    found = json.loads(call("meter", "probe", *words, "--format", "json"))
    (check,) = (c for c in found["candidates"][0]["checks"] if c["name"] == "identity")
    assert found["candidates"][0]["profile"] == name
    assert check["outcome"] == "passed"


def test_probe_names_the_word_order_of_a_meter_no_map_fits(stand):
    (served,) = stand({"profile": "eastron-sdm630"}, faults=["1:swapped_words"])
    words = at(served, "--units", "1", "--watch", 0, "--profile", "eastron-sdm630")
    told = call("meter", "probe", *words, status=1)
    assert "word order looks little-endian" in told
    assert "no map matches as it is" in told


def test_probe_of_nobody_ends_with_status_1(stand):
    (served,) = stand({"units": "9"})
    words = at(served, "--units", "1-3", "--scan-timeout", 0.05, "--watch", 0)
    done = CliRunner().invoke(app, ["meter", "probe", *map(str, words)])
    assert done.exit_code == 1
    assert "nobody answers" in done.stderr


@pytest.mark.socat
def test_probe_finds_rate_and_unit_on_a_serial_line(stand, cable):
    here, there = cable.ends
    stand({"kind": "rtu", "device": there, "units": "2"})
    words = ["--device", here, "--units", "1-2", "--scan-timeout", 0.05, "--timeout", 0.2]
    words += ["--watch", 0, "--profile", "demandwatch-sim", *FOLDER]
    told = call("meter", "probe", *words)
    assert f"unit 2 at {here}, 9600 8N1 answers" in told
    assert "match: demandwatch-sim" in told


@pytest.mark.mbpoll
def test_simulate_is_read_by_a_foreign_reader_and_ends_on_a_signal(tmp_path):
    mbpoll = requires("mbpoll")
    words = ["simulate", "--profile", "eastron-sdm630", "--units", "1-2", *FOLDER]
    process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, text=True)
    try:
        lines = [process.stdout.readline() for _ in range(2)]
        port = lines[1].split("127.0.0.1:")[1].split()[0]
        # function 4, 32-bit floats, most significant word first
        asked = [mbpoll, "-m", "tcp", "-p", port, "-a", "2", "-t", "3:float", "-B", "-r", "1"]
        told = subprocess.check_output(
            [*asked, "-c", "3", "-1", "-q", "127.0.0.1"], text=True, timeout=20
        )
        volts = [float(one.split()[-1]) for one in told.splitlines() if one.startswith("[")]
        assert len(volts) == 3, told
        assert all(220 < one < 240 for one in volts)
        process.terminate()
        assert "gone" in process.stdout.read()
        assert process.wait(10) == 0
    finally:
        end(process)
        process.stdout.close()


def test_a_stand_is_a_file_too(tmp_path):
    file = tmp_path / "stand.yaml"
    file.write_text(
        "links:\n"
        "  - {id: east, kind: tcp, profile: eastron-sdm630, units: 1-3}\n"
        "  - {id: old, kind: dlt645, addresses: ['000000000007']}\n"
        "faults: ['east/2:timeout@30s..60s', 'old/all:clock=5']\n"
    )
    told = call("simulate", "--file", file, "--for", 0.01, *FOLDER)
    assert "eastron-sdm630: units 1-3" in told
    assert "fault: east/2:timeout@30s..60s" in told
    file.write_text("links:\n  - {id: east, kind: tcp, unit: 1}\n")
    done = CliRunner().invoke(app, ["simulate", "--file", str(file), *FOLDER])
    assert done.exit_code == 1
    assert "stand.yaml:2" in done.stderr


def test_budget_of_a_planned_bus_and_of_the_settings(tmp_path):
    planned = ["--profile", "demandwatch-sim", "--units", "1-32", "--poll-every", 5, *FOLDER]
    told = json.loads(call("meter", "budget", *planned, "--format", "json"))[0]
    assert len(told["meters"]) == 32
    per_meter_s = told["meters"][0]["ms"] / 1000
    assert told["shortest_poll_every_s"] == pytest.approx(32 * per_meter_s, rel=1e-3)
    assert "cannot be held" in call("meter", "budget", *planned, "--baudrate", 1200, status=1)
    config = ROOT / "config" / "demo" / "demandwatch.yaml"
    assert "shortest poll_every_s" in call("meter", "budget", "--config", config)


def test_check_warns_of_a_bus_that_cannot_hold_its_period(tmp_path):
    source = {"via": "modbus", "bus": "b", "profile": "demandwatch-sim", "poll_every_s": 1}
    meters = [{"id": f"m{i}", "source": {**source, "unit": i}} for i in range(1, 33)]
    name = {"zh": "厂", "en": "Works"}
    site = {"id": "s", "name": name, "kind": "factory", "district": "d", "meters": meters}
    bus = {"id": "b", "kind": "rtu", "device": "/dev/ttyUSB0"}
    program = Program.make(tmp_path, [site], collector={"buses": [bus]})
    done = CliRunner().invoke(app, ["check", "--config", str(program.config)])
    assert done.exit_code == 0, done.output
    assert "warning: bus b: poll_every_s 1 cannot be held" in done.stderr


def test_conform_writes_a_report_that_verifies_and_tells_by_its_status(stand, tmp_path):
    (served,) = stand({"units": "1-2", "peak_kw": 4000}, faults=["2:swapped_words"])
    words = [*at(served, "--profile", "demandwatch-sim"), "--for", 1.5, "--readings", 6]
    words += ["--rated-kw", 5000, "--try-limits", "--key", tmp_path / "key.pem"]
    told = call("meter", "conform", *words, "--out", tmp_path / "report", status=3)
    assert "passed      word_order" in told
    assert "passed      energy_slope" in told
    for name in ("report.json", "report.txt"):
        verify = ["--verify", tmp_path / name, "--key", tmp_path / "key.pem"]
        assert "verified: nothing differs" in call("meter", "conform", *verify)
    broken = (tmp_path / "report.json").read_text().replace('"unit": 1', '"unit": 7')
    (tmp_path / "report.json").write_text(broken)
    assert "NOT verified" in call(
        "meter", "conform", "--verify", tmp_path / "report.json", status=1
    )
    told = call("meter", "conform", *words, "--unit", 2, "--format", "json", status=1)
    failed = [x["name"] for x in json.loads(told)["report"]["lines"] if x["outcome"] == "failed"]
    assert "word_order" in failed


def test_conform_of_a_dlt645_meter_tells_its_clock(stand, tmp_path):
    (served,) = stand({"kind": "dlt645"}, faults=["all:clock=300"])
    words = [*at(served, "--address", "any", "--baudrate", 115200), "--for", 0.1, "--readings", 2]
    told = call("meter", "conform", *words, "--key", tmp_path / "key.pem", status=1)
    assert "FAILED      clock          +300" in told or "FAILED      clock          +299" in told
    assert "six digits" in told
