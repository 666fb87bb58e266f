import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from services import Mosquitto, free_port
from waiting import until

from collector import journalfile
from collector.health import Health
from collector.intake import Desk
from collector.journal import Journal
from collector.metrics import Metrics
from collector.rejects import Rejects
from collector.settings import MqttSettings
from collector.sources.mqtt import MqttReader

pytestmark = pytest.mark.mosquitto
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
def publisher(port: int) -> Iterator[paho.Client]:
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def reading_of(n: int) -> dict[str, object]:
    return {"measured_at": (NOW - timedelta(seconds=n)).isoformat(), "energy_import_kwh": float(n)}


def publish(port: int, count: int, first: int = 0) -> None:
    with publisher(port) as client:
        sent = [
            client.publish(f"demandwatch/v1/m{n % 10}/readings", json.dumps(reading_of(n)), 1)
            for n in range(first, first + count)
        ]
        for one in sent:
            one.wait_for_publish(10)


def values(desk: Desk) -> list[float]:
    return sorted(desk.journal.read(0, 10**6).frame["energy_import_kwh"].to_list())


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_what_is_published_is_in_the_journal_once(mosquitto: Mosquitto, desk: Desk, protocol: str):
    with reading(mosquitto.port, desk, protocol) as reader:
        publish(mosquitto.port, 500)
        until(lambda: len(values(desk)) >= 500)
        assert values(desk) == [float(n) for n in range(500)]
        assert reader.status().last_message_at == NOW
        assert reader.status().last_error is None
    assert desk.metrics.value("demandwatch_readings_total", {"source": "mqtt"}) == 500
    assert desk.health.snapshot()["meter_id"].to_list() == sorted(KNOWN)
    assert not reader.status().connected


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_the_broker_keeps_what_came_while_we_were_away(
    mosquitto: Mosquitto, desk: Desk, protocol: str
):
    with reading(mosquitto.port, desk, protocol):
        publish(mosquitto.port, 5)
        until(lambda: len(values(desk)) == 5)
    publish(mosquitto.port, 50, first=5)
    with reading(mosquitto.port, desk, protocol):
        until(lambda: len(values(desk)) >= 55)
    assert values(desk) == [float(n) for n in range(55)]  # and what we acknowledged came once


def test_a_broker_that_restarts_is_found_again(mosquitto: Mosquitto, desk: Desk):
    with reading(mosquitto.port, desk) as reader:
        mosquitto.stop()
        until(lambda: not reader.status().connected)
        assert reader.status().last_error
        mosquitto.start()
        until(lambda: reader.status().connected)
        publish(mosquitto.port, 3)
        until(lambda: len(values(desk)) == 3)
    assert desk.metrics.value("demandwatch_mqtt_lost_total") >= 1


def test_a_broker_that_is_not_there_is_waited_for_and_stopping_does_not_hang(desk: Desk):
    with reading(free_port(), desk, wait=False) as reader:
        until(lambda: reader.status().last_error)
        assert "refused" in reader.status().last_error.lower()


def test_a_server_that_never_answers_does_not_hold_us_up_at_the_end(desk: Desk):
    mute = socket.create_server(("127.0.0.1", 0))
    with closing(mute), reading(mute.getsockname()[1], desk, wait=False) as reader:
        assert not reader.status().connected


def test_bad_messages_are_noted_and_acknowledged(mosquitto: Mosquitto, desk: Desk):
    bad = [
        ("m1", "not json"),
        ("m1", json.dumps(reading_of(1) | {"power_kw": "12"})),
        ("m1", json.dumps(reading_of(1) | {"power_kw": float("nan")})),
        ("m1", json.dumps(reading_of(-3600) | {"energy_import_kwh": 1})),
        ("m1", json.dumps(reading_of(1) | {"measured_at": "1999-01-01T00:00:00Z"})),
        ("stranger", json.dumps(reading_of(1))),
        ("m1", json.dumps(reading_of(1) | {"meter_id": "m2"})),
        ("m1", "x" * 10_000_000),
    ]
    with reading(mosquitto.port, desk), publisher(mosquitto.port) as client:
        for meter, payload in bad:
            sent = client.publish(f"demandwatch/v1/{meter}/readings", payload, 1)
            sent.wait_for_publish(10)
        client.publish("demandwatch/v1/m1/readings", json.dumps(reading_of(7)), 1)
        until(lambda: values(desk) == [7.0])
    assert desk.rejects.counts() == {
        "not_json": 1,
        "not_a_number": 1,
        "not_finite": 1,
        "time_in_future": 1,
        "time_before_2000": 1,
        "unknown_meter": 1,
        "topic_mismatch": 1,
        "too_large": 1,
    }
    with reading(mosquitto.port, desk):  # had they not been acknowledged, they would come again
        publish(mosquitto.port, 1)
        until(lambda: values(desk) == [0.0, 7.0])
    assert sum(desk.rejects.counts().values()) == 8


def test_what_the_disk_refused_is_not_acknowledged_and_comes_again(
    mosquitto: Mosquitto, desk: Desk, tmp_path: Path
):
    room = threading.Event()

    def connect(path: Path):
        connection = journalfile.connect(path)
        pages = "PRAGMA max_page_count = 5"  # SQLite's own limit answers exactly as a full disk
        if path.name == "small.sqlite" and not room.is_set():
            connection.execute(pages)
        return connection

    small = Journal(tmp_path / "small.sqlite", lambda: NOW, connect=connect)
    tight = Desk(small, desk.rejects, desk.metrics, desk.health, desk.now)
    with reading(mosquitto.port, tight) as reader:
        publish(mosquitto.port, 2000)
        until(lambda: "full" in (reader.status().last_error or ""))
    kept = set(values(tight))
    assert len(kept) < 2000
    small.close()
    room.set()
    roomy = Journal(tmp_path / "small.sqlite", lambda: NOW, connect=connect)
    enough = Desk(roomy, desk.rejects, desk.metrics, desk.health, desk.now)
    with reading(mosquitto.port, enough):
        until(lambda: len(set(values(enough))) == 2000)
    roomy.close()


def test_new_meters_are_known_without_a_restart(mosquitto: Mosquitto, desk: Desk):
    with reading(mosquitto.port, desk) as reader, publisher(mosquitto.port) as client:
        client.publish("demandwatch/v1/new/readings", json.dumps(reading_of(1)), 1)
        until(lambda: desk.rejects.counts() == {"unknown_meter": 1})
        reader.know(KNOWN | {"new"})
        client.publish("demandwatch/v1/new/readings", json.dumps(reading_of(2)), 1)
        until(lambda: values(desk) == [2.0])
