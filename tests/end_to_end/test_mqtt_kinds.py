"""From settings files to the journal: a meter with a payload mapping beside a canonical one."""

import json
from pathlib import Path

import pytest
import yaml
from services import Mosquitto
from services_mqtt import NOW, publisher, reading_of
from waiting import until

from collector.clock import Clock
from collector.intake import Desk
from demandwatch.readers import problems, readers
from demandwatch.settings import load

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.mosquitto


def test_each_meter_is_heard_in_its_own_way(mosquitto: Mosquitto, desk: Desk, tmp_path: Path):
    plug = {"via": "mqtt", "mapping": "tasmota-energy", "device": "plug7", "zone": "UTC"}
    meters = [{"id": "m1"}, {"id": "plug", "source": plug}]
    works = {"id": "works", "name": {"zh": "厂", "en": "Works"}, "kind": "factory",
             "district": "North", "meters": meters}  # fmt: skip
    settings = {
        "name": {"zh": "局", "en": "Bureau"},
        "meter_profiles": str(ROOT / "config" / "meter-profiles"),
        "payload_mappings": str(ROOT / "config" / "payload-mappings"),
        "processors": {"policy_folder": str(ROOT / "config" / "policy")},
        "alerting": {"rules": "rules"},
        "collector": {"mqtt": {"host": "127.0.0.1", "port": mosquitto.port}},
    }
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "north.yaml").write_text(yaml.safe_dump({"sites": [works]}))
    (tmp_path / "demandwatch.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "none.yaml").write_text("rules: []\n")
    config = load(tmp_path / "demandwatch.yaml")
    (reader,) = readers(config.settings.collector, config.sites, config.profiles, desk,
                        Clock.real(), config.payloads, tmp_path)  # fmt: skip
    reader.start()
    try:
        until(lambda: not problems([reader]))
        with publisher(mosquitto.port) as client:
            client.publish("demandwatch/v1/m1/readings", json.dumps(reading_of(5)), 1)
            client.publish("demandwatch/v1/plug/readings", json.dumps(reading_of(6)), 1)
            told = {"Time": f"{NOW:%Y-%m-%dT%H:%M:%S}", "ENERGY": {"Total": 7.5}}
            client.publish("tele/plug7/SENSOR", json.dumps(told), 1)
            until(lambda: desk.journal.read(0, 10).frame.height == 2)
    finally:
        reader.stop()
    frame = desk.journal.read(0, 10).frame.sort("meter_id")
    assert frame.select("meter_id", "source", "energy_import_kwh").rows() == [
        ("m1", "mqtt", 5.0), ("plug", "mqtt:tasmota-energy", 7.5)]  # fmt: skip
    assert desk.rejects.counts() == {"unknown_meter": 1}  # the plug does not speak our JSON
    assert json.loads((tmp_path / "mqtt-subscriptions.json").read_text()) == {
        f"demandwatch-collector@127.0.0.1:{mosquitto.port}": [
            "demandwatch/v1/+/readings", "tele/plug7/SENSOR"]}  # fmt: skip
