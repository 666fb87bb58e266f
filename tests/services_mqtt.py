"""A desk with a real journal, a reader on a real broker and a publisher beside it."""

import json
import select
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from waiting import until

from collector.health import Health
from collector.intake import Desk
from collector.journal import Journal
from collector.metrics import Metrics
from collector.rejects import Rejects
from collector.settings import MqttSettings
from collector.sources.mqtt import MqttReader

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KNOWN = frozenset(f"m{n}" for n in range(10))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    metrics = Metrics()
    journal = Journal(tmp_path / "journal.sqlite", lambda: NOW)
    rejects = Rejects(None, metrics=metrics)
    yield Desk(journal, rejects, metrics, Health(), lambda: NOW)
    journal.close()
    rejects.close()


@contextmanager
def reading(port: int, desk: Desk, protocol: str = "5", wait: bool = True) -> Iterator[MqttReader]:
    settings = MqttSettings(port=port, protocol=protocol, reconnect_max_s=1)
    reader = MqttReader(settings, KNOWN, desk)
    reader.start()
    try:
        if wait:
            until(lambda: reader.status().connected, what="the reader to connect")
        yield reader
    finally:
        reader.stop()


@contextmanager
def publisher(port: int, protocol: str = "5") -> Iterator[paho.Client]:
    version = paho.MQTTv5 if protocol == "5" else paho.MQTTv311
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    while not client.is_connected():  # what paho is told to publish while its thread handles the
        select.select([client.socket()], [], [], 5)  # CONNACK, it may publish twice: so the
        client.loop_read()  # thread begins after that
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def reading_of(n: int) -> dict[str, object]:
    return {"measured_at": (NOW - timedelta(seconds=n)).isoformat(), "energy_import_kwh": float(n)}


def publish(port: int, count: int, first: int = 0, protocol: str = "5") -> None:
    with publisher(port, protocol) as client:
        sent = [
            client.publish(f"demandwatch/v1/m{n % 10}/readings", json.dumps(reading_of(n)), 1)
            for n in range(first, first + count)
        ]
        for one in sent:
            one.wait_for_publish(10)


def values(desk: Desk) -> list[float]:
    return sorted(desk.journal.read(0, 10**6).frame["energy_import_kwh"].to_list())
