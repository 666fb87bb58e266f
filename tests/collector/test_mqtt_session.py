"""A persistent session outlives the settings: what it is subscribed to follows them."""

import json
from contextlib import contextmanager
from pathlib import Path

import pytest
from services import Mosquitto
from services_mqtt import KNOWN, publish, publisher, reading_of, values
from waiting import until

from collector.intake import Desk
from collector.payloads.routes import Wanted
from collector.settings import MqttSettings
from collector.sources.mqtt import MqttReader
from collector.sources.mqttsession import Subscriptions, packets

pytestmark = pytest.mark.mosquitto
BOTH = ("demandwatch/v1/m1/readings", "demandwatch/v1/m2/readings")


@contextmanager
def connected(port: int, desk: Desk, memory: Path, **settings: object):
    told = MqttSettings(port=port, reconnect_max_s=1, **settings)
    reader = MqttReader(told, KNOWN, desk, memory=memory)
    reader.start()
    try:
        until(lambda: reader.status().connected, what="the reader to connect")
        yield reader
    finally:
        reader.stop()


def say(port: int, *meters: str, n: int = 1) -> None:
    with publisher(port) as client:
        for meter in meters:
            told = client.publish(f"demandwatch/v1/{meter}/readings", json.dumps(reading_of(n)), 1)
            told.wait_for_publish(10)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_telegraf_9703_a_topic_taken_out_of_the_settings_is_unsubscribed(
    mosquitto: Mosquitto, desk: Desk, tmp_path: Path, protocol: str
):
    memory = tmp_path / "subscriptions.json"
    with connected(mosquitto.port, desk, memory, topics=BOTH, protocol=protocol):
        say(mosquitto.port, "m1", "m2")
        until(lambda: len(values(desk)) == 2)
    with connected(mosquitto.port, desk, memory, topics=BOTH[:1], protocol=protocol):
        say(mosquitto.port, "m2", "m1", n=2)
        until(lambda: len(values(desk)) >= 3)
    say(mosquitto.port, "m2", n=3)  # and nothing of it is queued while we are away
    with connected(mosquitto.port, desk, memory, topics=BOTH, protocol=protocol):
        say(mosquitto.port, "m2", n=4)
        until(lambda: len(values(desk)) >= 4)
    told = desk.journal.read(0, 100).frame.sort("energy_import_kwh")
    assert told.select("meter_id", "energy_import_kwh").rows() == [
        ("m1", 1.0), ("m2", 1.0), ("m1", 2.0), ("m2", 4.0)]  # fmt: skip


def test_telegraf_9703_a_changed_group_is_left(mosquitto: Mosquitto, desk: Desk, tmp_path: Path):
    memory = tmp_path / "subscriptions.json"
    for group in ("first", "second", None):
        with connected(mosquitto.port, desk, memory, shared_group=group):
            publish(mosquitto.port, 10)
            until(lambda: len(values(desk)) >= 10)
        assert values(desk) == sorted([float(n) for n in range(10)])  # not twice by two groups
        desk.journal.trim(desk.journal.last(), desk.now().replace(year=2100))


def test_topics_are_left_also_when_we_fell_before_it_was_told(
    mosquitto: Mosquitto, desk: Desk, tmp_path: Path
):
    """Killed between subscribing and noting that: the note was written before."""
    memory = tmp_path / "subscriptions.json"
    with connected(mosquitto.port, desk, memory, topics=BOTH):
        before = memory.read_bytes()
    with connected(mosquitto.port, desk, memory, topics=BOTH[:1]):
        pass
    memory.write_bytes(before)  # as it was when the second one began
    with connected(mosquitto.port, desk, memory, topics=BOTH[:1]):
        say(mosquitto.port, "m2", "m1")
        until(lambda: len(values(desk)) >= 1)
    assert desk.journal.read(0, 10).frame["meter_id"].to_list() == ["m1"]


def test_the_note_holds_what_is_left_until_the_broker_has_confirmed(tmp_path: Path):
    path = tmp_path / "s.json"
    one = Subscriptions(MqttSettings(topics=BOTH), path=path)
    assert one.begin(session_present=False) == []
    assert json.loads(path.read_text()) == {"demandwatch-collector@127.0.0.1:1883": list(BOTH)}
    fewer = Subscriptions(MqttSettings(topics=BOTH[:1]), path=path)
    assert fewer.begin(session_present=True) == [BOTH[1]]
    assert Subscriptions(MqttSettings(topics=()), path=path).begin(session_present=True) == list(
        BOTH
    )
    fewer = Subscriptions(MqttSettings(topics=BOTH[:1]), path=path)
    fewer.begin(session_present=True)
    fewer.settle()
    assert Subscriptions(MqttSettings(topics=BOTH[:1]), path=path).begin(session_present=True) == []
    assert one.begin(session_present=False) == []  # the broker forgot the session: nothing to leave


def test_a_note_that_cannot_be_read_is_no_reason_to_stand_still(tmp_path: Path):
    path = tmp_path / "s.json"
    for text in ("{", "[]", '{"x": 3}'):
        path.write_text(text)
        assert Subscriptions(MqttSettings(), path=path).begin(session_present=True) == []


def test_many_topics_are_told_in_packets_and_each_once():
    mapped = [Wanted(f"t/{n}", 1) for n in range(1200)] * 2
    one = Subscriptions(MqttSettings(), mapped)
    assert len(one.wanted) == 1201
    assert [len(some) for some in packets(one.wanted)] == [500, 500, 201]


def test_many_topics_are_all_subscribed(mosquitto: Mosquitto, desk: Desk, tmp_path: Path):
    topics = tuple(f"demandwatch/v1/m{n}/readings" for n in range(1200))
    with connected(mosquitto.port, desk, tmp_path / "s.json", topics=topics):
        say(mosquitto.port, "m9", "m1")
        until(lambda: len(values(desk)) == 2)
