"""`demandwatch collect` as a process, between the meters' broker and the upper side's."""

import json
import random
import signal
import subprocess
import threading
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from program import COMMAND, ROOT
from services import Mosquitto, end, free_port, requires
from services_edge import KNOWN, METERS, upper
from waiting import until

from collector.simulator.publisher import Publisher, payload_of, topic_of

pytestmark = pytest.mark.mosquitto
ROUNDS = 4
BEGAN, LATER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class EdgeProgram:
    """A configuration folder, and the process that runs on it."""

    def __init__(self, folder, field_port, upstream_port, **edge):
        self.folder, self.config, self.port = folder, folder / "demandwatch.yaml", free_port()
        self.log = folder / "collect.log"
        (folder / "sites").mkdir(parents=True)
        upstream = {"port": upstream_port, "reconnect_max_s": 1}
        wish = {"id": "edge-1", "upstream": upstream, "batch_within_s": 0.05,
                "status_port": self.port, **edge}  # fmt: skip
        mqtt = {"port": field_port, "client_id": "edge-1", "reconnect_max_s": 1}
        settings = {"collector": {"mqtt": mqtt, "edge": wish}}
        self.config.write_text(yaml.safe_dump(settings))
        site = {"id": "works", "name": {"zh": "厂", "en": "Works"}, "kind": "factory",
                "district": "d", "meters": [{"id": one} for one in sorted(KNOWN)]}  # fmt: skip
        (folder / "sites" / "works.yaml").write_text(yaml.safe_dump({"sites": [site]}))
        self.process = None

    @property
    def command(self):
        return [*COMMAND, "collect", "--config", str(self.config)]

    def start(self, **how):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=ROOT, **how)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def get(self, path):
        try:
            url = f"http://127.0.0.1:{self.port}{path}"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def status(self):
        return json.loads(self.get("/status") or '{"problems": {"start": "not up yet"}}')

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(self.log.read_text())
        return not self.status()["problems"]


@pytest.fixture
def brokers(tmp_path):
    made = []
    for name in ("field", "upstream"):
        (tmp_path / name).mkdir()
        made.append(Mosquitto(tmp_path / name, requires("mosquitto")))
        made[-1].start()
    yield made
    for one in made:
        one.stop()


@contextmanager
def publishing(port, pace_s=0.02):
    """Publish numbered readings until the block ends; gives how many there are."""
    publisher, over, sent = Publisher("127.0.0.1", port, client_id="field"), threading.Event(), [0]

    def run():
        while not over.wait(pace_s):
            rows = [{"measured_at": (BEGAN + timedelta(seconds=sent[0] + n)).isoformat(),
                     "energy_import_kwh": float(sent[0] + n)} for n in range(20)]  # fmt: skip
            publisher.publish(topic_of(f"m{sent[0] // 20 % METERS}"), payload_of(rows))
            sent[0] += 20

    publisher.connect()
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield sent
    finally:
        over.set()
        thread.join()
        assert publisher.settle(30)
        publisher.close()


def values(desk):
    return set(desk.journal.read(0, 10**8).frame["energy_import_kwh"].to_list())


def test_killed_at_random_moments_every_reading_arrives_upstream_and_none_changes(
    brokers, tmp_path
):
    field, upstream = brokers
    edge = EdgeProgram(tmp_path / "edge", field.port, upstream.port)
    moments = random.Random(3)
    with upper(upstream, tmp_path, now=LATER) as (desk, _):
        edge.start()
        try:
            until(edge.ready, 30, "the edge to be ready")
            with publishing(field.port) as sent:
                for _ in range(ROUNDS):
                    seen = len(values(desk))
                    until(lambda seen=seen: len(values(desk)) > seen, 30, "readings upstream")
                    threading.Event().wait(moments.uniform(0, 0.4))  # the moment is the subject
                    edge.kill()
                    edge.start()
            wanted = set(map(float, range(sent[0])))
            until(lambda: values(desk) == wanted, 60, "every reading to arrive")
        finally:
            end(edge.process)
        frame = desk.journal.read(0, 10**8).frame
        assert frame.unique(["meter_id", "measured_at"]).height == sent[0]
        assert frame.drop("received_at").unique().height == sent[0]
        assert not desk.rejects.counts()


def test_it_shows_its_state_refuses_a_second_and_ends_cleanly(brokers, tmp_path):
    field, upstream = brokers
    edge = EdgeProgram(tmp_path / "edge", field.port, upstream.port, capacity_hours=72)
    with upper(upstream, tmp_path, now=LATER) as (desk, _):
        edge.start()
        try:
            until(edge.ready, 30, "the edge to be ready")
            with publishing(field.port) as sent:
                until(lambda: values(desk), 10)
            until(lambda: len(values(desk)) == sent[0])
            status = edge.status()
            assert status["meters"]["heard"] >= 1
            assert status["upstream"]["connected"] is True
            assert status["journal"]["percent_full"] < 5
            assert "demandwatch_edge_journal_used_ratio" in edge.get("/metrics")
            told = subprocess.run([*edge.command, "--status"], capture_output=True, text=True,
                                  check=True, cwd=ROOT)  # fmt: skip
            assert json.loads(told.stdout)["edge"] == "edge-1"
            assert "connected" in told.stderr
            second = subprocess.run(edge.command, capture_output=True, text=True, check=False,
                                    cwd=ROOT)  # fmt: skip
            assert second.returncode == 1
            assert "another demandwatch runs" in second.stderr
            edge.process.send_signal(signal.SIGTERM)
            assert edge.process.wait(5) == 0
        finally:
            end(edge.process)
    gone = subprocess.run([*edge.command, "--status"], capture_output=True, text=True, check=False,
                          cwd=ROOT)  # fmt: skip
    assert gone.returncode == 1
    assert "no collector answers" in gone.stderr


def test_the_shipped_edge_settings_are_sound():
    command = [*COMMAND, "check", "--config", str(ROOT / "config/edge/demandwatch.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "collector at the edge" in " ".join(done.stdout.split())
