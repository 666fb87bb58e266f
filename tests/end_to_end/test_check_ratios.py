"""`demandwatch check` tells ratios that are not used, and those that are missing."""

import pytest
from program import ROOT, Program
from typer.testing import CliRunner

from demandwatch.cli import app

TWO = [{"from": "2020-01-01", "value": 40}, {"from": "2024-01-01", "value": 60}]
ONE = [{"from": "2020-01-01", "value": 1}]
CHANGE = [{"at": "2024-05-01T08:00:00+08:00", "kind": "ratio", "ct_ratio": 80}]
UNUSED = "by acrel-adl400 the meter itself gives primary values; allowed: no {0}; set the ratio"


def warned(config):
    done = CliRunner().invoke(app, ["check", "--config", str(config)])
    assert done.exit_code == 0, done.output
    return [line for line in done.stderr.splitlines() if line.startswith("warning: ")]


@pytest.mark.parametrize(
    ("profile", "stated", "told"),
    [
        ("acrel-adl400", {"ct_ratio": TWO}, ["ct_ratio: is not used: " + UNUSED]),
        (
            "acrel-adl400",
            {"ct_ratio": TWO, "pt_ratio": TWO},
            ["ct_ratio: is not used: " + UNUSED, "pt_ratio: is not used: " + UNUSED],
        ),
        ("acrel-adl400", {"changes": CHANGE}, ["ct_ratio: is not used: " + UNUSED]),
        ("acrel-adl400", {"ct_ratio": ONE}, []),
        ("acrel-adl400", {}, []),
        ("acrel-dtsd1352", {"ct_ratio": TWO}, []),
        ("acrel-dtsd1352", {"ct_ratio": ONE}, []),
        ("acrel-dtsd1352", {"changes": CHANGE}, []),
        ("acrel-dtsd1352", {}, ["ct_ratio: is absent, so it counts as 1: by acrel-dtsd1352"]),
        ("acrel-dtsd1352", {"pt_ratio": TWO}, ["ct_ratio: is absent, so it counts as 1: by"]),
    ],
)
def test_a_ratio_that_does_not_fit_its_register_map_is_told(tmp_path, profile, stated, told):
    source = {"via": "modbus", "bus": "b", "profile": profile}
    meter = {"id": "m-1", "source": source, **stated}
    name = {"zh": "厂", "en": "Works"}
    site = {"id": "s", "name": name, "kind": "factory", "district": "d", "meters": [meter]}
    bus = {"id": "b", "host": "127.0.0.1"}
    program = Program.make(tmp_path, [site], collector={"buses": [bus]})
    found = warned(program.config)
    assert len(found) == len(told)
    for line, words in zip(found, told, strict=True):
        assert "sites/" in line
        key = words.split(":")[0]
        assert f"meters.m-1.{words.format(key)}" in line


@pytest.mark.parametrize("name", ["demo", "example", "edge"])
def test_the_shipped_settings_are_without_warnings(name, monkeypatch):
    monkeypatch.setenv("INFLUX_TOKEN", "x")
    assert warned(ROOT / "config" / name / "demandwatch.yaml") == []
