"""A wrong CT ratio, found later: seen before it is published, issued as revisions, known as of then."""

import io
import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import yaml
from program import Program

from collector.clock import Clock
from collector.journal import Journal
from collector.polls import Poll, micros, readings_of, targets_of
from collector.registers import encode
from demandwatch.commands_import import work_up
from demandwatch.settings import load

START = datetime(2026, 3, 2, 16, tzinfo=UTC)
"""Midnight in Shenzhen."""
POLLS = 2 * 96 + 1
PROFILE = {
    "id": "behind-ct", "title": "A meter behind transformers", "reference": "this test",
    "registers": [
        {"quantity": "energy_import_kwh", "address": 0, "type": "u64", "scale": 0.001,
         "secondary": True},
    ],
}  # fmt: skip
DAYS = ["--from", "2026-03-03", "--to", "2026-03-06"]


def shop(ratio):
    source = {"via": "modbus", "bus": "b", "profile": "behind-ct", "keep_raw": True}
    return {
        "id": "north", "name": {"zh": "北", "en": "North"}, "kind": "retail", "district": "d",
        "use": "retail_supermarket",
        "floor_area_m2": [{"from": "2020-01-01", "value": 1000, "declared_by": "owner"}],
        "meters": [
            {"id": one, "ct_ratio": [{"from": "2020-01-01", "value": ratio}],
             "source": source | {"unit": unit}}
            for unit, one in enumerate(("n-1", "n-2"), 1)
        ],
    }  # fmt: skip


def read_by(config):
    """Let the shop's meters be read for two days; each counts 1 kWh a block behind the CT."""
    site = config.sites[0]
    targets = targets_of(config.settings.collector.modbus[0], [site], config.profiles)
    polls = []
    for target in targets:
        for n in range(POLLS):
            image = encode(target.layout.profile, {"energy_import_kwh": 5.0 + n})
            blocks = target.layout.blocks
            words = [image[b.function, b.start + k] for b in blocks for k in range(b.count)]
            at = START + n * timedelta(minutes=15)
            polls.append(Poll(target, micros(at), np.array(words, dtype=">u2").tobytes(), 5.0))
    frame, doubted = readings_of(polls, START + timedelta(days=3))
    assert not doubted
    with closing(Journal(config.data / "journal.db", Clock.real().now)) as journal:
        journal.append(frame).result(20)
    work_up(config, Clock.real())


@pytest.fixture
def program(tmp_path):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/behind-ct.yaml").write_text(yaml.safe_dump(PROFILE))
    made = Program.make(
        tmp_path / "bureau",
        [shop(4)],
        meter_profiles=str(tmp_path / "profiles"),
        collector={"modbus": [{"id": "b", "host": "127.0.0.1", "port": 1}]},
    )
    made.settings["processors"]["verdicts"] = {"guides": {"retail": "demo-tertiary"}}
    made.write()
    (made.folder / "var").mkdir()
    read_by(load(made.config))
    return made


def energies(program, *words):
    told = program.call("query", "intervals", "-c", program.config, "--format", "parquet", *words)
    return pl.read_parquet(io.BytesIO(told))


def recompute(program, *words, **how):
    return program.call(
        "recompute", "-c", program.config, *DAYS, "--jobs", 1, "--format", "json", *words, **how
    )


def frames(told):
    """Return the tables, each a line of JSON."""
    return [json.loads(line) for line in told.decode().splitlines()]


def test_a_corrected_ratio_is_previewed_published_and_known_as_of_then(program):
    judge = ["policy", "judge", "-c", program.config, *DAYS, "--save"]
    program.call(*judge)
    assert set(energies(program)["energy_kwh"]) == {4.0}
    assert frames(recompute(program)) == [[]]

    program.sites = [shop(40)]
    program.write()
    blocks, verdicts = frames(recompute(program))
    assert [one["meter_id"] for one in blocks] == ["n-1", "n-2"]
    for one in blocks:
        assert (one["blocks"], one["readings_corrected"]) == (192, POLLS)
        assert (one["energy_before_kwh"], one["energy_after_kwh"]) == (768.0, 7680.0)
        assert one["max_demand_after_kw"] == 160.0
    (changed,) = verdicts
    assert changed["actual_after"] == pytest.approx(10 * changed["actual_before"])
    assert set(energies(program)["energy_kwh"]) == {4.0}, "a preview issues nothing"

    before = energies(program)["computed_at"].max()
    refused = recompute(program, "--publish", ok=False)
    assert b"--by NAME" in refused.stderr
    publish = ["--publish", "--by", "王工", "--why", "CT was 200/5"]
    short = recompute(program, *publish, "--to", "2026-03-05", ok=False)
    assert b"would jump at its edge: take --from earlier, --to later" in short.stderr
    recompute(program, *publish)
    after = energies(program)
    assert after["energy_kwh"].to_list() == pytest.approx([40.0] * 2 * 192)
    assert set(energies(program, "--as-of", before.isoformat())["energy_kwh"]) == {4.0}
    listed = json.loads(program.call("edit", "list", "-c", program.config, "--format", "json"))
    assert {(one["meter_id"], one["by"], one["stands"]) for one in listed} == {
        ("n-1", "王工", False), ("n-2", "王工", False),
    }  # fmt: skip
    kept = program.call("query", "verdicts", "-c", program.config, "--format", "json")
    assert json.loads(kept)[-1]["actual"] == pytest.approx(changed["actual_after"])
    assert frames(recompute(program)) == [[]], "nothing is left to change"


def test_an_interrupted_preview_goes_on_where_it_was(program):
    program.sites = [shop(40)]
    program.write()
    whole = frames(recompute(program))[0]
    (folder,) = (program.folder / "var/recompute").iterdir()
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.intervals.parquet")}
    assert len(kept) == 3
    last = max(kept)
    (folder / last).unlink()
    assert frames(recompute(program))[0] == whole
    now = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.intervals.parquet")}
    assert {name for name in kept if now[name] == kept[name]} == kept.keys() - {last}
