"""The promise behind the acknowledgement: kill -9 at any moment loses no reading."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paho.mqtt.client as paho
import polars as pl
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from services import Mosquitto, end
from waiting import until

from collector.journal import Journal

ROUNDS = 20
T0 = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


class Publisher(threading.Thread):
    """Publishes numbered readings at QoS 1 until told to stop."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.enough = threading.Event()
        self.count = 0
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.max_inflight_messages_set(200)
        self._client.connect("127.0.0.1", port)

    def greet_until(self, heard: Callable[[], bool]) -> None:
        """Publish reading 0 until a collector has subscribed: from then on the broker queues."""
        self._client.loop_start()
        self.count = 1
        until(lambda: self._send(0).wait_for_publish(5) or heard(), 30, "the child to subscribe")

    def _send(self, n: int) -> paho.MQTTMessageInfo:
        at = T0 + timedelta(seconds=n)
        body = {"measured_at": at.isoformat(), "energy_import_kwh": float(n)}
        return self._client.publish(f"demandwatch/v1/m{n % 10}/readings", json.dumps(body), 1)

    def run(self) -> None:
        while not self.enough.is_set():
            for _ in range(20):
                last = self._send(self.count)
                self.count += 1
            last.wait_for_publish(30)  # the broker has it
            time.sleep(0.01)  # about 2,000 a second: the child is killed at work, not in arrears
        self._client.disconnect()
        self._client.loop_stop()


def start(port: int, path: Path) -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("collect_child.py")
    return subprocess.Popen([sys.executable, str(script), str(port), str(path)], cwd=ROOT,
                            env={"PYTHONPATH": str(ROOT)})  # fmt: skip


@pytest.mark.mosquitto
def test_telegraf_802_openems_45_killed_at_random_moments_every_reading_is_there_once(
    mosquitto: Mosquitto, tmp_path: Path
):
    path = tmp_path / "journal.sqlite"
    journal = Journal(path, lambda: T0)
    moments = random.Random(20)
    child = start(mosquitto.port, path)
    publisher = Publisher(mosquitto.port)
    try:
        publisher.greet_until(lambda: journal.last() > 0)
        publisher.start()
        for _ in range(ROUNDS):
            seen = journal.last()
            until(lambda seen=seen: journal.last() > seen, 30, "the child to journal")
            time.sleep(moments.uniform(0, 0.2))  # the moment is the subject of the test
            child.send_signal(signal.SIGKILL)
            child.wait()
            child = start(mosquitto.port, path)
        publisher.enough.set()
        publisher.join()
        wanted = set(map(float, range(publisher.count)))
        until(lambda: set(told(journal)) == wanted, 60, "every reading to be there")
    finally:
        publisher.enough.set()
        end(child)
    frame = journal.read(0, 10**9).frame
    once = frame.unique(["meter_id", "measured_at"])
    assert once.height == publisher.count
    assert frame.unique(pl.exclude("received_at")).height == publisher.count  # never another value
    journal.close()


def told(journal: Journal) -> list[float]:
    return journal.read(0, 10**9).frame["energy_import_kwh"].to_list()
