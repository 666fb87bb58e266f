"""Declarations over a real broker: kept before acknowledged, once each; bad ones have a reason."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from program import ROOT, Program
from services_mqtt import KNOWN, publisher, reading_of
from waiting import until

from collector.clock import Clock
from collector.rows import Message
from collector.settings import MqttSettings
from collector.sources.mqtt import MqttReader
from demandwatch.declaring import Declaring
from demandwatch.declaring_mqtt import TopicActs, items
from demandwatch.settings import load
from processors.activity import standing

pytestmark = pytest.mark.mosquitto
WORKS = {
    "id": "works", "name": {"zh": "厂", "en": "Works"}, "kind": "factory", "district": "d",
    "meters": [{"id": "m", "source": {"via": "file"}}],
}  # fmt: skip
GUESTS = {"activity": "guests", "from": "2025-01-01", "until": "2025-02-01", "unit": "guest",
          "value": 900, "declared_by": "Li"}  # fmt: skip


@pytest.fixture
def declaring(tmp_path):
    made = Program.make(tmp_path / "bureau", [WORKS])
    assert (ROOT / "config/policy").is_dir()
    return Declaring(load(made.config), Clock.real())


@contextmanager
def listening(mosquitto, desk, acts) -> Iterator[MqttReader]:
    broker = MqttSettings(port=mosquitto.port, reconnect_max_s=1)
    reader = MqttReader(broker, KNOWN, desk, acts=acts)
    reader.start()
    try:
        until(lambda: reader.status().connected, what="the reader to connect")
        yield reader
    finally:
        reader.stop()


def say(mosquitto, told, site="works", retain=False):
    with publisher(mosquitto.port) as client:
        body = told if isinstance(told, str) else json.dumps(told)
        client.publish(f"demandwatch/v1/{site}/activity", body, 1, retain).wait_for_publish(10)


def values(declaring):
    return standing(declaring.acts())["value"].to_list()


def test_good_ones_are_kept_with_the_senders_name_and_bad_ones_refused(mosquitto, desk, declaring):
    acts = TopicActs(declaring, desk.rejects, desk.metrics)
    with listening(mosquitto, desk, acts) as reader:
        mixed = [GUESTS, {**GUESTS, "value": True}, {**GUESTS, "site_id": "other"}, 7,
                 {**GUESTS, "from": "2025-01-15"}, {**GUESTS, "until": "2999-01-01"},
                 {**GUESTS, "activity": "beer"}, {**GUESTS, "id": 3}]  # fmt: skip
        say(mosquitto, mixed)
        say(mosquitto, "{")
        say(mosquitto, GUESTS, site="nobody")
        with publisher(mosquitto.port) as client:
            client.publish("demandwatch/v1/m1/readings", json.dumps(reading_of(1)), 1)
        area = {"activity": "floor_area_m2", "from": "2025-01-01", "value": 80, "unit": "m2"}
        say(mosquitto, area)
        until(lambda: len(values(declaring)) == 2)
        until(lambda: desk.journal.last() == 1)
        until(lambda: reader.held() == 0)
    told = standing(declaring.acts()).select("activity", "value", "declared_by").rows()
    assert told == [("guests", 900, "Li (MQTT: works)"), ("floor_area_m2", 80, "MQTT: works")]
    wanted = {"bad_declaration": 5, "topic_mismatch": 1, "not_an_object": 1, "not_json": 1,
              "unknown_site": 1}  # fmt: skip
    assert desk.rejects.counts() == wanted
    why = " ".join(desk.rejects.latest()["excerpt"])
    for text in ("value: True is no figure", "revise that period", "not over", "beer", "id 3"):
        assert text in why
    counted = {name: desk.metrics.value("demandwatch_declarations_total", {"outcome": name})
               for name in ("declared", "unchanged", "refused")}  # fmt: skip
    assert counted == {"declared": 2, "unchanged": None, "refused": 9}


class Falls(TopicActs):
    """Keeps what comes, and falls before it can be acknowledged, the first time."""

    fallen = False

    def take(self, messages, at, max_payload_bytes):
        kept = super().take(messages, at, max_payload_bytes)
        if self.fallen:
            return kept
        self.fallen = True
        kept.result(30)
        lost: Future[None] = Future()
        lost.set_exception(OSError("power cut"))
        return lost


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=9), some),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(st.sampled_from([*GUESTS, "id", "note", "share", "meters"]), JSON)))
@example([GUESTS | {"id": "\ud800", "note": "NaN"}])
@example([GUESTS | {"note": "NaN\ud800"}])
@example([GUESTS | {"value": 10**400}])
@settings(max_examples=int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "40")), deadline=None)
def test_no_message_is_refused_by_an_exception(rows):
    body = json.dumps([GUESTS | row for row in rows]).encode()
    found = list(items(Message("demandwatch/v1/works/activity", body), 10**6))
    assert len(found) == max(1, len(rows))


def test_a_delivery_made_again_declares_once(mosquitto, desk, declaring):
    acts = Falls(declaring, desk.rejects, desk.metrics)
    with listening(mosquitto, desk, acts) as reader:
        say(mosquitto, GUESTS)
        unchanged = {"outcome": "unchanged"}
        until(lambda: desk.metrics.value("demandwatch_declarations_total", unchanged) == 1)
        until(lambda: reader.held() == 0)
    assert acts.fallen
    assert declaring.acts().height == 1


def test_an_old_delivery_never_undoes_a_revision(mosquitto, desk, declaring):
    acts = TopicActs(declaring, desk.rejects, desk.metrics)
    named = GUESTS | {"id": "jan"}
    with listening(mosquitto, desk, acts):
        for told in (named, GUESTS | {"value": 950}, GUESTS, named):
            say(mosquitto, told)
        until(lambda: desk.rejects.counts() == {"bad_declaration": 1})
        say(mosquitto, named | {"value": 1})  # the id is taken
        until(lambda: desk.rejects.counts() == {"bad_declaration": 2})
        assert values(declaring) == [950]
        say(mosquitto, GUESTS | {"id": "jan-again"})
        until(lambda: values(declaring) == [900])
    assert declaring.acts().height == 3


def test_a_full_disk_acknowledges_nothing_and_a_retained_declaration_is_refused(
    mosquitto, desk, declaring, tmp_path
):
    broken = tmp_path / "bureau" / "var" / "activity.db"
    broken.mkdir(parents=True)
    acts = TopicActs(declaring, desk.rejects, desk.metrics)
    say(mosquitto, GUESTS | {"value": 1}, retain=True)
    with listening(mosquitto, desk, acts) as reader:
        until(lambda: desk.rejects.counts() == {"retained": 1})
        say(mosquitto, GUESTS)
        until(lambda: "unable to open" in (reader.status().last_error or ""))
        broken.rmdir()
        until(lambda: values(declaring) == [900])
