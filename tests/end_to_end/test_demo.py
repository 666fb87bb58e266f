"""The demonstration: ends by itself or by Ctrl-C, goes on where it ended, says what went wrong."""

import io
import json
import re
import shutil
import signal
import socket
import subprocess
import time
from contextlib import closing, contextmanager
from datetime import datetime, timedelta

import polars as pl
import pytest
import yaml
from program import COMMAND, ROOT, Program
from services import free_port
from waiting import until

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def demo(tmp_path):
    """The delivered demonstration with a data folder and a port of its own."""
    for name in ("demo", "meter-profiles", "policy"):
        shutil.copytree(ROOT / "config" / name, tmp_path / "config" / name)
    folder = tmp_path / "config" / "demo"
    settings = yaml.safe_load((folder / "demandwatch.yaml").read_text(encoding="utf-8"))
    settings["data"] = "var"
    settings["dashboards"]["console"]["port"] = free_port()
    program = Program(folder, settings, [])
    text = yaml.safe_dump(settings, allow_unicode=True)
    program.config.write_text(text, encoding="utf-8")
    yield program
    assert left_over(folder) == []


def left_over(folder):
    """Return processes that still name the folder, such as a broker without its master."""
    listed = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if f"{folder}/" in line]


def words(demo, *more):
    return ["demo", "-c", str(demo.config), "--speed", "120", *more]


@contextmanager
def running(demo, *more):
    """Start it; it must be over when the block ends."""
    command = [*COMMAND, *words(demo, *more)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, cwd=demo.folder) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                pytest.fail("it still ran")


def stop(process, number=signal.SIGINT):
    """Send a signal; return what it said. It has five seconds."""
    process.send_signal(number)
    began = time.monotonic()
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - began < 5
    assert process.returncode in {0, 130}, err.decode()
    assert b"Traceback" not in err
    return out.decode()


def time_kept(demo):
    note = json.loads((demo.folder / "var/demo-clock.json").read_text())
    return datetime.fromisoformat(note["site_time"])


def alerts(demo):
    found = json.loads(demo.call("query", "alerts", "-c", demo.config, "--format", "json"))
    return {one["alert_id"]: one for one in found}


def starts(demo, meter="minghui-castings-main"):
    query = ["query", "intervals", "-c", demo.config, "--meter", meter, "--format", "parquet"]
    return pl.read_parquet(io.BytesIO(demo.call(*query)))["start"].sort()


def test_it_ends_by_itself_and_goes_on_where_it_ended(demo):
    taken = demo.settings["dashboards"]["console"]["port"]
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", taken))
        other.listen()
        said = demo.call(*words(demo, "--headless", "--for", "30")).decode()
    proof = re.search(r"verified, (\d+) polls decoded again", " ".join(said.split()))
    assert proof
    assert int(proof[1]) > 0, "the package holds no register words"
    told = next(line for line in said.splitlines() if "console" in line)
    port = int(told.rsplit(":", 1)[1].strip(" │"))
    assert taken < port <= taken + 20
    first, raised, blocks = time_kept(demo), alerts(demo), starts(demo)
    assert {one["rule_id"] for one in raised.values()} >= {"contract-demand-overrun"}
    assert len(blocks) > 35 * 96

    with running(demo) as process:  # with the live display
        until(lambda: demo.get("/readyz"), 30, "the console")
        assert json.loads(demo.get("/api/v1/alerts?state=all")) != []
        processed = lambda: demo.metric("demandwatch_readings_processed_total")  # noqa: E731
        until(lambda: processed() > 500, 30, "readings of the second run")
        assert "heard" in stop(process)
    assert first < time_kept(demo) < first + timedelta(hours=4)
    assert raised.keys() <= alerts(demo).keys()
    after = starts(demo)
    assert after.n_unique() == len(after) >= len(blocks)
    assert set(after.diff().drop_nulls()) == {timedelta(minutes=15)}


def test_fresh_starts_anew_with_the_embedded_broker(demo):
    with running(demo, "--headless", "--embedded-broker") as process:
        until(lambda: demo.get("/readyz"), 40, "the console")
        stop(process, signal.SIGTERM)
    old = time_kept(demo)
    note = demo.folder / "var/demo-clock.json"
    kept = json.loads(note.read_text())
    later = kept | {"site_time": (old + timedelta(hours=3)).isoformat()}
    note.write_text(json.dumps(later))
    with running(demo, "--headless", "--embedded-broker", "--fresh") as process:
        until(lambda: demo.get("/readyz"), 40, "the console")
        counted = lambda: demo.metric("demandwatch_readings_total")  # noqa: E731
        until(lambda: counted() > 100, 30, "readings by MQTT through the embedded broker")
        stop(process)
    assert time_kept(demo) < old + timedelta(hours=3)
    assert not (demo.folder / "var/broker/mosquitto.conf").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_starts_ends_it_cleanly(demo, number):
    """As soon as it has made its data folder."""
    with running(demo, "--headless") as process:
        until(lambda: (demo.folder / "var").exists() or process.poll() is not None, 30)
        stop(process, number)


def test_a_stage_without_data_is_told_in_one_sentence(demo):
    """All MQTT meters silent from the start."""
    fleet = demo.folder / "fleet.yaml"
    settings = yaml.safe_load(fleet.read_text(encoding="utf-8"))
    sites = [
        site
        for file in (demo.folder / "sites").glob("*.yaml")
        for site in yaml.safe_load(file.read_text(encoding="utf-8"))["sites"]
    ]
    mute = [m["id"] for s in sites for m in s["meters"] if m["source"]["via"] == "mqtt"]
    assert len(mute) >= 30
    settings["troubles"] = [
        {"meter": one, "kind": "silent", "after_s": 0, "for_s": 86_400} for one in mute
    ]
    fleet.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    done = demo.call(*words(demo, "--headless", "--for", "5"), ok=False)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-1] == (
        "demandwatch: readings by MQTT: the demonstration saw none; see the log above"
    )
