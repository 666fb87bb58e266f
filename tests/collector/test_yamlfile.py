from pathlib import Path

import pytest
from pydantic import ValidationError

from collector.settings import CollectorSettings, MqttSettings
from collector.site import ModbusSource, Site
from collector.yamlfile import faults_of, load_yaml


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "one.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(tmp_path: Path, text: str, model: type = Site) -> list[str]:
    """Load and validate; the faults as shown, without the folder."""
    path = write(tmp_path, text)
    loaded = load_yaml(path, environ={})
    found = list(loaded.faults)
    try:
        model.model_validate(loaded.data)
    except ValidationError as error:
        found += faults_of(error, path, loaded.lines, model=model)
    return [str(one).removeprefix(f"{tmp_path}/") for one in found]


SITE = """\
id: works
name: {zh: 厂, en: Works}
kind: factory
district: North
meters:
  - id: m1
    source:
      via: modbus
      bus: b1
      profile: sim
"""
KINDS = "'factory', 'retail', 'lodging', 'catering' or 'office'"
MODBUS = ", ".join(sorted(ModbusSource.model_fields))


def test_each_key_path_knows_its_line(tmp_path: Path):
    loaded = load_yaml(write(tmp_path, SITE))
    assert loaded.faults == ()
    assert loaded.lines["meters", 0, "source", "bus"] == 9
    assert loaded.lines["name", "en"] == 2
    assert loaded.lines["meters", 0] == 6


def test_a_fault_names_file_line_key_and_what_is_allowed(tmp_path: Path):
    text = SITE.replace("factory", "castle").replace("bus: b1", "bus: b1\n      unit: 999")
    assert faults(tmp_path, text) == [
        f"one.yaml:3: kind: cannot be 'castle'; allowed: {KINDS}",
        "one.yaml:10: meters.0.source.unit: cannot be 999; allowed: less than or equal to 255",
    ]


def test_an_unknown_key_is_told_the_known_ones_also_inside_a_union(tmp_path: Path):
    found = faults(tmp_path, SITE.replace("bus: b1", "buss: b1"))
    assert found == [
        "one.yaml:7: meters.0.source.bus: is required but absent",
        f"one.yaml:9: meters.0.source.buss: unknown key; allowed: {MODBUS}",
    ]


def test_a_key_given_twice_is_one_fault_also_if_it_is_a_whole_mapping(tmp_path: Path):
    assert faults(tmp_path, SITE + "name:\n  zh: 店\n  en: Shop\n") == [
        "one.yaml:11: name: given twice; first on line 2"
    ]


def test_what_is_not_yaml_or_not_there_is_a_fault_and_no_crash(tmp_path: Path):
    assert "one.yaml:2: not YAML" in str(load_yaml(write(tmp_path, "a: [1,\n")).faults[0])
    assert "not YAML" in str(load_yaml(write(tmp_path, "a: 'x\n")).faults[0])
    assert "not YAML" in str(load_yaml(write(tmp_path, "a: !!python/object:os.system x")).faults[0])
    assert "cannot be read" in str(load_yaml(tmp_path / "absent.yaml").faults[0])
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff\xfe\xfa")
    assert "cannot be read" in str(load_yaml(tmp_path / "latin.yaml").faults[0])
    assert load_yaml(write(tmp_path, "")).data is None


def test_plain_words_stay_words(tmp_path: Path):
    text = "on: no\nat: 12:30\nbig: 1e3\nodd: 010\nhex: 0x1F\nday: 2024-02-29\nyes: [~, true, .5]\n"
    data = load_yaml(write(tmp_path, text)).data
    assert isinstance(data, dict)
    assert data["on"] == "no"
    assert (data["at"], data["big"], data["hex"], data["odd"]) == ("12:30", 1000.0, 31, 10.0)
    assert str(data["day"]) == "2024-02-29"
    assert data["yes"] == [None, True, 0.5]


def test_secrets_come_from_the_environment_and_are_never_shown(tmp_path: Path):
    path = write(tmp_path, 'username: u\npassword: "${BROKER_PASSWORD}"\n')
    settings = MqttSettings.model_validate(load_yaml(path, {"BROKER_PASSWORD": "s3cret"}).data)
    assert settings.secret() == "s3cret"
    assert "s3cret" not in repr(settings)
    assert faults(tmp_path, path.read_text(), MqttSettings) == [
        "one.yaml:2: password: environment variable BROKER_PASSWORD is not set"
    ]
    hidden = faults(tmp_path, "password: [s3cret]\n", MqttSettings)
    assert len(hidden) == 1
    assert "s3cret" not in hidden[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mqtt: {topics: ['a/#/b']}", "topic filter"),
        ("mqtt: {password: a, password_file: b}", "not both"),
        ("mqtt: {tls: {cert: a.pem}}", "together or not at all"),
        ("mqtt: {protocol: '3.1'}", "'5' or '3.1.1'"),
        ("buses: [{id: b}]", "`host` is required for kind tcp"),
        ("buses: [{id: b, kind: rtu}]", "`device` is required"),
        ("buses: [{id: b, host: h}, {id: b, host: i}]", "an id of its own"),
        ("journal: {keep_hours: 0}", "greater than or equal to 1"),
    ],
)
def test_settings_of_the_collector_that_make_no_sense_are_refused(
    tmp_path: Path, text: str, told: str
):
    found = faults(tmp_path, text, CollectorSettings)
    assert len(found) == 1
    assert told in found[0]


def test_the_password_file_is_read_when_needed(tmp_path: Path):
    (tmp_path / "secret").write_text("s3cret\n")
    assert MqttSettings(password_file=tmp_path / "secret").secret() == "s3cret"
    with pytest.raises(OSError, match="absent"):
        MqttSettings(password_file=tmp_path / "absent").secret()
