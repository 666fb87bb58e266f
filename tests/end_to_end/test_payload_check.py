"""Faults of meters with payload mappings, and of the mappings: each with its key and a remedy."""

from pathlib import Path

import pytest
import yaml
from payload_world import SHIPPED, site

from collector.payloads.mapping import load_payload_mappings
from collector.settings import CollectorSettings, MqttSettings
from demandwatch.payloadcheck import payload_faults

PLACE = (Path("sites.yaml"), 7)


def faults(*sources: dict[str, object], group: str | None = None) -> list[str]:
    meters = [{"id": f"m{n}", "source": {"via": "mqtt"} | one} for n, one in enumerate(sources)]
    collector = CollectorSettings(mqtt=MqttSettings(shared_group=group))
    return [str(one) for one in payload_faults(collector, [site(*meters)], [PLACE], SHIPPED)]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"device": "x"}, "device: belongs to a payload mapping"),
        (
            {"mapping": "shelly-4em"},
            "mapping: no payload mapping 'shelly-4em'; allowed: canonical,",
        ),
        ({"mapping": "shelly-3em"}, "device: is required but absent"),
        ({"mapping": "tasmota-energy", "device": "p"}, "zone: is required but absent"),
        ({"mapping": "tasmota-energy", "device": "p", "zone": "Mars"}, "'Mars' is not a time zone"),
        ({"mapping": "neuron", "device": "n", "zone": "UTC"}, "zone: neuron tells its times"),
        ({"mapping": "acrel-adw300", "device": "1"}, "side: is required but absent"),
        ({"mapping": "sparkplug", "device": "only"}, "allowed: group/node/device, or group/node"),
        ({"mapping": "sparkplug", "device": "a//c"}, "device: cannot be 'a//c'"),
        ({"mapping": "shelly-3em", "device": "d", "topic": "x"}, "topic: shelly-3em has fixed"),
        ({"mapping": "neuron", "device": "n", "topic": "a#"}, "topic: topic filter 'a#'"),
        (
            {"mapping": "tasmota-energy", "device": "p", "zone": "UTC", "topic": "tele/+/SENSOR"},
            "topic: 'tele/+/SENSOR' would take other devices' values for this meter's",
        ),
    ],
)
def test_a_fault_of_a_source_is_told(source: dict[str, object], told: str):
    (fault,) = faults(source)
    assert fault.startswith("sites.yaml:7: meters.m0.source.")
    assert told in fault


def test_sound_sources_have_no_faults():
    assert not faults(
        {},
        {"mapping": "shelly-3em", "device": "a"},
        {"mapping": "shelly-3em", "device": "b"},
        {"mapping": "tasmota-energy", "device": "a", "zone": "UTC"},
        {"mapping": "acrel-adw300", "device": "1", "side": "primary", "topic": "hall/1"},
        {"mapping": "sparkplug", "device": "g/n/d"},
        {"mapping": "sparkplug", "device": "g/n"},
    )


def test_two_meters_cannot_be_one_device():
    (fault,) = faults(*[{"mapping": "neuron", "device": "n"}] * 2)
    assert "meters.m1.source.device: 'n' is meter m0 already" in fault


@pytest.mark.parametrize("mapping", ["sparkplug", "shelly-3em"])
def test_what_must_reach_one_collector_whole_cannot_be_shared(mapping: str):
    source = {"mapping": mapping, "device": "g/n/d"}
    (fault,) = faults(source, group="city")
    assert "shared" in fault
    assert "collector.mqtt without `shared_group`" in fault
    assert not faults(source)
    assert not faults({"mapping": "neuron", "device": "n"}, group="city")


VALUE = {"path": "e", "quantity": "energy_import_kwh"}
SOUND = {
    "id": "own", "title": "T", "reference": "R", "time": {"path": "t", "format": "epoch_s"},
    "topics": [{"topic": "x/{device}", "values": [VALUE]}],
}  # fmt: skip


def changed(**more: object) -> dict[str, object]:
    return {key: value for key, value in (SOUND | more).items() if value is not None}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (changed(id="canonical"), "`canonical` is built in"),
        (changed(id="other"), "cannot be 'other'; allowed: 'own'"),
        (changed(time=None), "`topics` and `time` are required"),
        (changed(topics=[]), "`topics` and `time` are required"),
        (changed(topics=[{"topic": "x/y", "values": [VALUE]}]), "must be named by each topic"),
        (changed(topics=[{"topic": "x/{device}#", "values": [VALUE]}]), "`#` only the last"),
        (changed(topics=[{"topic": "x/{device}", "values": [VALUE, VALUE]}]), "once in a message"),
        (changed(topics=[{"topic": "x/{device}", "values": [VALUE | {"quantity": "kwh"}]}]),
         "one of energy_import_kwh"),
        (changed(topics=[{"topic": "x/{device}", "values": [VALUE | {"scale": 0}]}]), "than 0"),
        (changed(topics=[{"topic": "x/{device}", "values": [VALUE | {"of": 2}]}]),
         "sums over messages are for `time: arrival`"),
        (changed(time="arrival", topics=[{"topic": "x/{device}", "values": [
            {"path": "p", "quantity": "power_kw", "of": 3}]}]), "only counters may be added up"),
        (changed(format="number"), "a bare number has neither a time"),
        (changed(format="sparkplug"), "sparkplug knows its topics"),
        (changed(format="sparkplug", topics=None, time=None), "`values` names the metrics"),
        (changed(typo=1), "unknown key; allowed: device_path"),
    ],
)  # fmt: skip
def test_a_fault_of_a_mapping_names_file_and_key(tmp_path: Path, content, told: str):
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(content))
    loaded = load_payload_mappings(tmp_path)
    text = "\n".join(str(one) for one in loaded.faults)
    assert str(tmp_path / "own.yaml") in text
    assert told in text


def test_no_folder_is_no_mapping(tmp_path: Path):
    assert load_payload_mappings(tmp_path / "none").by_id == {}
