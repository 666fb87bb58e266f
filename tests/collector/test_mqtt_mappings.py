"""Foreign devices on a real broker: what is queued, what is retained, who is to be born again."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue

import pytest
from fakes.sparkplug_encoder import metric, payload
from payload_world import SHIPPED, site
from services import Mosquitto
from services_mqtt import NOW, publish, publisher
from waiting import until

from collector.intake import Desk
from collector.payloads.routes import Routes
from collector.settings import MqttSettings
from collector.sources.mqtt import MqttReader

pytestmark = pytest.mark.mosquitto
AT = int(NOW.timestamp() * 1000) - 60_000
PRO = "shellypro3em-1/events/rpc"


def source(mapping: str, device: str, **more: object) -> dict[str, object]:
    return {"via": "mqtt", "mapping": mapping, "device": device} | more


METERS = site(
    {"id": "pro", "source": source("shelly-pro-3em", "shellypro3em-1")},
    {"id": "old", "source": source("shelly-3em", "shellyem3-1")},
    {"id": "spb", "source": source("sparkplug", "plant/edge/meter")},
)


@contextmanager
def reading(mosquitto: Mosquitto, desk: Desk, protocol: str = "5") -> Iterator[MqttReader]:
    routes = Routes([METERS], SHIPPED)
    settings = MqttSettings(port=mosquitto.port, protocol=protocol, reconnect_max_s=1)
    reader = MqttReader(settings, frozenset(("m1",)), desk, routes)
    reader.start()
    try:
        until(lambda: reader.status().connected)
        yield reader
    finally:
        reader.stop()


def heard(desk: Desk) -> list[tuple[str, float]]:
    frame = desk.journal.read(0, 1000).frame
    return sorted(frame.select("meter_id", "energy_import_kwh").drop_nulls().rows())


def pro(kwh: float) -> str:
    return json.dumps({"params": {"ts": AT / 1000 + kwh, "emdata:0": {"total_act": kwh * 1000}}})


def old(client, watt_hours: float, *, retain: bool = False, phases=(0, 1, 2)) -> None:
    for phase in phases:
        topic = f"shellies/shellyem3-1/emeter/{phase}/total"
        client.publish(topic, str(watt_hours), 1, retain=retain).wait_for_publish(5)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_what_tells_its_time_is_queued_for_us_and_what_does_not_is_not(
    mosquitto: Mosquitto, desk: Desk, protocol: str
):
    """thingsboard-gateway #2065: a value of two hours ago must not get the time of its arrival."""
    with reading(mosquitto, desk, protocol), publisher(mosquitto.port) as client:
        client.publish(PRO, pro(1), 1).wait_for_publish(5)
        old(client, 1000)
        until(lambda: heard(desk) == [("old", 3.0), ("pro", 1.0)])
    with publisher(mosquitto.port) as client:
        client.publish(PRO, pro(2), 1).wait_for_publish(5)
        old(client, 2000)
    with reading(mosquitto, desk, protocol), publisher(mosquitto.port) as client:
        until(lambda: ("pro", 2.0) in heard(desk))
        old(client, 3000)
        until(lambda: ("old", 9.0) in heard(desk))
    assert heard(desk) == [("old", 3.0), ("old", 9.0), ("pro", 1.0), ("pro", 2.0)]
    assert desk.rejects.counts() == {}


def test_a_retained_value_of_unknown_age_is_refused(mosquitto: Mosquitto, desk: Desk):
    with publisher(mosquitto.port) as client:
        old(client, 1000, retain=True)
        client.publish(PRO, pro(1), 1, retain=True).wait_for_publish(5)
    with reading(mosquitto, desk), publisher(mosquitto.port) as client:
        until(lambda: heard(desk) == [("pro", 1.0)])  # it says when it was
        until(lambda: desk.rejects.counts() == {"retained": 3})
        old(client, 2000, retain=True)  # published now: not from the broker's memory
        until(lambda: ("old", 6.0) in heard(desk))


def test_an_older_subscription_that_queues_gives_no_fresh_times(mosquitto: Mosquitto, desk: Desk):
    """A session that was subscribed with QoS 1 by other settings has old messages waiting."""
    earlier = MqttSettings(port=mosquitto.port, topics=("shellies/#",))
    reader = MqttReader(earlier, frozenset(), desk)
    reader.start()
    until(lambda: reader.status().connected)
    reader.stop()
    with publisher(mosquitto.port) as client:
        old(client, 1000)
    with reading(mosquitto, desk):
        until(lambda: desk.rejects.counts().get("delayed") == 3)
    assert heard(desk) == []


def test_other_talk_is_counted_and_strangers_are_noted(mosquitto: Mosquitto, desk: Desk):
    with reading(mosquitto, desk), publisher(mosquitto.port) as client:
        client.publish("shellies/shellyem3-1/emeter/0/pf", "0.9", 1)
        client.publish(PRO, '{"params": {"ts": 1, "sys": {}}}', 1)
        publish(mosquitto.port, 2)  # m0 is unknown, m1 is known
        until(lambda: heard(desk) == [("m1", 1.0)])
    assert desk.rejects.counts() == {"unknown_meter": 1}
    ignored = desk.metrics.value("demandwatch_messages_ignored_total", {"source": "mqtt"})
    assert ignored == 2


def test_a_sparkplug_node_is_asked_for_a_rebirth_and_then_understood(
    mosquitto: Mosquitto, desk: Desk
):
    commands: Queue[bytes] = Queue()
    with publisher(mosquitto.port) as node:
        node.on_message = lambda _client, _data, message: commands.put(message.payload)
        node.subscribe("spBv1.0/plant/NCMD/edge", 0)
        with reading(mosquitto, desk):
            command = commands.get(timeout=10)  # we have just begun and know no birth
            assert b"Node Control/Rebirth" in command
            data = payload(metric("Double", 2.0, alias=1, at=AT, typed=False), seq=7, at=AT)
            node.publish("spBv1.0/plant/DDATA/edge/meter", data, 0)
            until(lambda: desk.rejects.counts() == {"no_birth": 1})
            born = payload(metric("Int64", 0, "bdSeq"), seq=0, at=AT)
            node.publish("spBv1.0/plant/NBIRTH/edge", born, 0)
            device = metric("Double", 3.0, "energy_import_kwh", alias=1, at=AT)
            node.publish("spBv1.0/plant/DBIRTH/edge/meter", payload(device, seq=1, at=AT), 0)
            data = payload(metric("Double", 4.0, alias=1, at=AT + 1, typed=False), seq=2, at=AT)
            node.publish("spBv1.0/plant/DDATA/edge/meter", data, 0)
            until(lambda: heard(desk) == [("spb", 3.0), ("spb", 4.0)])
        assert commands.empty()  # once a minute at most, and it was heard


def test_one_who_leaves_the_group_fetches_what_waits_for_it(mosquitto: Mosquitto, desk: Desk):
    """To retire a member: start it once without topics."""
    told = {"port": mosquitto.port, "shared_group": "city"}
    for topics in (("demandwatch/v1/+/readings",), ()):
        reader = MqttReader(MqttSettings(topics=topics, **told), frozenset(("m1",)), desk)
        reader.start()
        until(lambda reader=reader: reader.status().connected)
        if topics:
            reader.stop()
            publish(mosquitto.port, 1, first=1)
    until(lambda: heard(desk) == [("m1", 1.0)])
    reader.stop()
