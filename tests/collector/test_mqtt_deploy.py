"""The shipped broker configuration: who may say what, who gets in, and what survives."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from services_broker import PASSWORDS, ShippedBroker
from services_mqtt import reading_of
from structlog.testing import capture_logs
from waiting import until

from collector.intake import Desk
from collector.rows import Message
from collector.settings import MqttSettings, TlsSettings
from collector.sources.mqtt import MqttReader

pytestmark = [
    pytest.mark.mosquitto,
    # paho leaves the socket of a refused handshake to the garbage collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
KNOWN = frozenset(("m1", "m2"))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ShippedBroker]:
    made = ShippedBroker(tmp_path / "broker")
    made.start()
    yield made
    made.stop()


def settings(broker: ShippedBroker, **more: object) -> MqttSettings:
    told = {"username": "demandwatch", "password": PASSWORDS["demandwatch"]} | more
    ca = broker.authority.folder / "ca.pem"
    tls = told.pop("tls", TlsSettings(ca=ca))
    return MqttSettings(port=told.pop("port", broker.by_password), tls=tls, reconnect_max_s=1,
                        **told)  # fmt: skip


@contextmanager
def collecting(told: MqttSettings, desk: Desk) -> Iterator[MqttReader]:
    reader = MqttReader(told, KNOWN, desk)
    reader.start()
    try:
        yield reader
    finally:
        reader.stop()


@contextmanager
def meter(broker: ShippedBroker, user: str, *, certificate: bool = False) -> Iterator[paho.Client]:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=user, protocol=paho.MQTTv311)
    folder = broker.authority.folder
    if certificate:
        cert, key = broker.authority.issue(user)
        client.tls_set(str(folder / "ca.pem"), str(cert), str(key))
    else:
        client.tls_set(str(folder / "ca.pem"))
        client.username_pw_set(user, PASSWORDS[user])
    client.connect("127.0.0.1", broker.by_certificate if certificate else broker.by_password)
    client.loop_start()
    try:
        until(client.is_connected)
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def say(client: paho.Client, meter_id: str, n: int) -> None:
    told = client.publish(f"demandwatch/v1/{meter_id}/readings", json.dumps(reading_of(n)), 1)
    told.wait_for_publish(10)


def heard(desk: Desk) -> list[tuple[str, float]]:
    frame = desk.journal.read(0, 1000).frame
    return sorted(frame.select("meter_id", "energy_import_kwh").rows())


def test_a_meter_publishes_for_itself_alone(broker: ShippedBroker, desk: Desk):
    with collecting(settings(broker), desk) as reader:
        until(lambda: reader.status().connected, what=str(reader.status()))
        with meter(broker, "m1") as first, meter(broker, "m2", certificate=True) as second:
            say(first, "m2", 1)  # the broker acknowledges and drops it
            say(second, "m1", 2)
            first.publish("demandwatch/v1/m1/other", "x", 1).wait_for_publish(5)
            say(first, "m1", 3)
            say(second, "m2", 4)
            until(lambda: len(heard(desk)) == 2)
    assert heard(desk) == [("m1", 3.0), ("m2", 4.0)]
    assert desk.rejects.counts() == {}


@pytest.mark.parametrize("group", [None, "city"])
def test_the_collector_enters_with_a_certificate_too_and_in_a_group(
    broker: ShippedBroker, desk: Desk, group: str | None
):
    cert, key = broker.authority.issue("demandwatch")
    own = TlsSettings(ca=broker.authority.folder / "ca.pem", cert=cert, key=key)
    told = settings(broker, port=broker.by_certificate, tls=own, username=None, password=None,
                    shared_group=group)  # fmt: skip
    with collecting(told, desk) as reader, meter(broker, "m1") as client:
        until(lambda: reader.status().connected, what=str(reader.status()))
        say(client, "m1", 1)
        until(lambda: heard(desk) == [("m1", 1.0)])


class Acts:
    """Hears what is declared."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bytes]] = []

    def knows(self, topic: str) -> bool:
        return topic.endswith("/activity")

    def take(self, messages: Sequence[Message], at: datetime, limit: int) -> Future[None]:
        self.told += [(one.topic, one.payload) for one in messages]
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def close(self) -> None:
        self.told.append(("closed", b""))


def test_a_site_declares_for_itself_alone(broker: ShippedBroker, desk: Desk):
    acts = Acts()
    reader = MqttReader(settings(broker, shared_group="city"), KNOWN, desk, acts=acts)
    reader.start()
    try:
        until(lambda: reader.status().connected, what=str(reader.status()))
        with meter(broker, "m1") as first, meter(broker, "works") as site:
            for client, name in ((first, "works"), (site, "other"), (site, "works")):
                told = client.publish(f"demandwatch/v1/{name}/activity", name, 1)
                told.wait_for_publish(10)
            until(lambda: acts.told)
    finally:
        reader.stop()
    assert acts.told == [("demandwatch/v1/works/activity", b"works"), ("closed", b"")]


def test_a_wrong_password_is_told_in_status_and_log(broker: ShippedBroker, desk: Desk):
    with capture_logs() as logs, collecting(settings(broker, password="guess"), desk) as reader:
        until(lambda: reader.status().last_error)
        assert reader.status().last_error == "the broker refused the connection: Not authorized"
        assert not reader.status().connected
    assert "Not authorized" in str(logs)
    assert "guess" not in str(logs)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_nobody_enters_without_a_name(broker: ShippedBroker, desk: Desk, protocol: str):
    nameless = settings(broker, username=None, password=None, protocol=protocol)
    with collecting(nameless, desk) as reader:
        until(lambda: "Not authorized" in (reader.status().last_error or ""))
    strange = settings(broker, port=broker.by_certificate, username=None, password=None)
    with collecting(strange, desk) as reader:
        until(lambda: reader.status().last_error)
        assert not reader.status().connected


def test_a_restart_of_the_broker_in_the_collectors_absence_loses_nothing(
    broker: ShippedBroker, desk: Desk
):
    with collecting(settings(broker), desk) as reader:
        until(lambda: reader.status().connected)
    with meter(broker, "m1") as client:
        for n in range(300):
            say(client, "m1", n)
    broker.stop()
    broker.start()
    with meter(broker, "m1") as client:
        for n in range(300, 400):
            say(client, "m1", n)
    with collecting(settings(broker), desk):
        until(lambda: len(heard(desk)) >= 400)
    assert heard(desk) == [("m1", float(n)) for n in range(400)]
