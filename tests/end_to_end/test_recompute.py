"""A wrong CT ratio found later: previewed, issued as revisions, still known as of then."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import yaml
from program import Program
from waiting import until

from collector.clock import Clock
from collector.journal import Journal
from collector.polls import Poll, micros, readings_of, targets_of
from collector.registers import encode
from demandwatch.commands_import import work_up
from demandwatch.settings import load
from processors.history.editbook import EditBook
from processors.history.store import History

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
    targets = targets_of(config.settings.collector.buses[0], [site], config.profiles)
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
        collector={"buses": [{"id": "b", "host": "127.0.0.1", "port": 1}]},
    )
    made.settings["processors"]["verdicts"] = {"guides": {"retail": "demo-tertiary"}}
    made.write()
    (made.folder / "var").mkdir()
    read_by(load(made.config))
    return made


def past(program, as_of=None):
    """Return the blocks of both meters as history has them, or had."""
    config = load(program.config)
    history = History.open_readonly(config.data / "history", config.book)
    return history.intervals(START, START + timedelta(days=2), as_of=as_of)


def recompute(program, *words, **how):
    call = ["recompute", "-c", program.config, *DAYS, "--format", "json", *words]
    return program.call(*call, **how)


def verdict_of(program):
    """Return the verdict last kept of the two days."""
    history = History.open_readonly(program.folder / "var/history", load(program.config).book)
    kept = history.verdicts().filter(period_start=START.date() + timedelta(days=1))
    return kept.row(-1, named=True)


def parts(program):
    """Return the preview's parts and when each was computed."""
    (folder,) = (program.folder / "var/recompute").iterdir()
    return {path: path.stat().st_mtime_ns for path in folder.glob("*.intervals.parquet")}


def test_a_corrected_ratio_is_previewed_published_and_known_as_of_then(program):
    area = ["--site", "north", "--activity", "floor_area_m2", "--value", 2000, "--unit", "m2"]
    area += ["--from", "2026-01-01", "--by", "owner"]
    program.call("declare", "set", *area, "-c", program.config)
    program.call("policy", "judge", "-c", program.config, *DAYS, "--save")
    program.sites = [shop(40)]
    program.write()
    blocks = json.loads(recompute(program))
    assert [one["meter_id"] for one in blocks] == ["n-1", "n-2"]
    for one in blocks:
        assert (one["blocks"], one["readings_corrected"]) == (192, POLLS)
        assert (one["energy_before_kwh"], one["energy_after_kwh"]) == (768.0, 7680.0)
        assert one["max_demand_after_kw"] == 160.0
    old = past(program)
    assert set(old["energy_kwh"]) == {4.0}, "a preview issues nothing"

    whole = parts(program)
    assert len(whole) in {3, 6}, "days, for each group of meters"
    max(whole).unlink()  # as if it had been interrupted
    (changed,) = json.loads(recompute(program, "--verdicts", "--jobs", 1))
    assert (changed["energy_kwh_before"], changed["energy_kwh_after"]) == (1536.0, 15360.0)
    again = parts(program)
    assert {path for path in whole if again[path] == whole[path]} == whole.keys() - {max(whole)}

    publish = ["--jobs", 1, "--publish", "--by", "王工", "--why", "CT was 200/5"]
    short = recompute(program, *publish, "--to", "2026-03-05", ok=False)
    assert b"would jump at its edge: take --from earlier, --to later" in short.stderr
    assert b"--by NAME" in recompute(program, *publish, "--by", " ", ok=False).stderr
    recompute(program, *publish)
    assert past(program)["energy_kwh"].to_list() == pytest.approx([40.0] * 2 * 192)
    assert set(past(program, old["computed_at"].max())["energy_kwh"]) == {4.0}
    with closing(EditBook(program.folder / "var/edits.db", Clock.real().now)) as book:
        acts = book.acts()
        assert (acts["meter_id"].to_list(), set(acts["by"])) == (["n-1", "n-2"], {"王工"})
        assert book.applied() == book.last()
    last = verdict_of(program)
    assert (last["energy_kwh"], last["denominator"]) == (15360.0, 2000.0)
    assert json.loads(recompute(program, "--jobs", 1)) == [], "nothing is left to change"


def test_beside_a_running_system_that_system_issues_it(program):
    area = ["--site", "north", "--activity", "floor_area_m2", "--value", 2000, "--unit", "m2"]
    area += ["--from", "2026-01-01", "--by", "owner"]
    program.call("declare", "set", *area, "-c", program.config)
    program.call("policy", "judge", "-c", program.config, *DAYS, "--save")
    program.sites = [shop(40)]
    program.write()
    running = program.start()
    try:
        before = past(program)
        (first, _) = json.loads(recompute(program))
        assert first["energy_after_kwh"] == 7680.0
        assert past(program).equals(before), "a preview issues nothing"
        recompute(program, "--publish", "--by", "王工", "--why", "CT was 200/5")
        anew = pytest.approx([40.0] * 2 * 192)
        until(lambda: past(program)["energy_kwh"].to_list() == anew, 60, "the revisions on disk")
        days = program.call("query", "days", "-c", program.config, "--format", "json")
        assert {one["energy_kwh"] for one in json.loads(days)} == {3840.0}
        until(lambda: verdict_of(program)["energy_kwh"] == 15360.0, 30, "the verdict anew")
    finally:
        program.stop(running)
