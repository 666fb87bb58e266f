import json
import socket
import threading
from contextlib import closing
from pathlib import Path

import pytest
from services import Mosquitto, free_port
from services_mqtt import KNOWN, NOW, publish, publisher, reading, reading_of, values
from waiting import until

from collector import journalfile
from collector.intake import Desk
from collector.journal import Journal
from collector.settings import MqttSettings
from collector.sources.mqtt import MqttReader

pytestmark = pytest.mark.mosquitto


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
        until(lambda: 0.0 in values(desk))
    assert values(desk) == [0.0, 7.0]
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


def test_a_stranger_is_told_why_the_broker_turns_it_away(mosquitto: Mosquitto, desk: Desk):
    mosquitto.stop()
    mosquitto.extra = "allow_anonymous false\n"
    mosquitto.start()
    with reading(mosquitto.port, desk, wait=False) as reader:
        until(lambda: "Not authorized" in (reader.status().last_error or ""))


def test_a_client_id_of_another_subscription_list_still_gets_the_new_topics(
    mosquitto: Mosquitto, desk: Desk
):
    """A persistent session must not make us deaf to a changed list of topics."""
    first = MqttSettings(port=mosquitto.port, topics=("demandwatch/v1/m1/readings",))
    for settings, meter in ((first, "m1"), (MqttSettings(port=mosquitto.port), "m2")):
        reader = MqttReader(settings, KNOWN, desk)
        reader.start()
        until(lambda reader=reader: reader.status().connected)
        with publisher(mosquitto.port) as client:
            client.publish(f"demandwatch/v1/{meter}/readings", json.dumps(reading_of(1)), 1)
            until(lambda meter=meter: meter in desk.health.snapshot()["meter_id"].to_list())
        reader.stop()


def test_two_collectors_of_a_group_share_the_readings(mosquitto: Mosquitto, desk: Desk):
    readers = [
        MqttReader(
            MqttSettings(port=mosquitto.port, client_id=f"c{n}", shared_group="bureau"), KNOWN, desk
        )
        for n in range(2)
    ]
    for reader in readers:
        reader.start()
        until(lambda reader=reader: reader.status().connected)
    publish(mosquitto.port, 100)
    until(lambda: len(values(desk)) >= 100)
    for reader in readers:
        reader.stop()
    assert values(desk) == [float(n) for n in range(100)]
    assert all(reader.status().last_message_at == NOW for reader in readers)
