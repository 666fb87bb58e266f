"""A wrong CT ratio found later, of meters whose words nobody kept: put right by what was noted."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import yaml
from program import Program

from collector.clock import Clock
from collector.dlt645 import items, readings
from collector.journal import Journal
from collector.multiplied import multipliers
from collector.polls import Poll, micros, readings_of, targets_of
from collector.reading import conform
from collector.registers import encode
from demandwatch.app import App
from demandwatch.commands_import import work_up
from demandwatch.settings import load
from processors.history.ratiobook import FILE, RatioBook
from processors.history.store import History

START = datetime(2026, 3, 2, 16, tzinfo=UTC)
"""Midnight in Shenzhen."""
BLOCKS = 2 * 96
DAYS = ["--from", "2026-03-03", "--to", "2026-03-06"]
PUBLISH = ["--publish", "--by", "王工", "--why", "CT was 300/5"]


def profile(name, *, secondary):
    register = {"quantity": "energy_import_kwh", "address": 0, "type": "u64", "scale": 0.001}
    return {"id": name, "title": "A meter", "reference": "this test",
            "registers": [register | {"secondary": secondary}]}  # fmt: skip


def shop(ratio):
    sources = {
        "n-1": {"via": "modbus", "bus": "b", "profile": "behind-ct"},
        "n-2": {"via": "dlt645", "line": "l", "address": "000000000001"},
        "n-3": {"via": "modbus", "bus": "b", "profile": "primary", "unit": 2},
        "n-4": {"via": "edge", "edge": "e-1"},
    }
    return {
        "id": "north", "name": {"zh": "北", "en": "North"}, "kind": "retail", "district": "d",
        "meters": [
            {"id": one, "ct_ratio": [{"from": "2020-01-01", "value": ratio}], "source": source}
            for one, source in sources.items()
        ],
    }  # fmt: skip


def polled(config, received):
    """Return what the four meters say in two days; each counts 1 kWh a block behind its CT."""
    bus, line = config.settings.collector.buses[0], config.settings.collector.lines[0]
    item = items.ITEMS["energy_import_total"]
    polls, answers = [], []
    for n in range(BLOCKS + 1):
        at, said = micros(START + n * timedelta(minutes=15)), {"energy_import_kwh": 5.0 + n}
        for target in targets_of(bus, config.sites, config.profiles):
            image = encode(target.layout.profile, said)
            blocks = target.layout.blocks
            words = [image[b.function, b.start + k] for b in blocks for k in range(b.count)]
            polls.append(Poll(target, at, np.array(words, dtype=">u2").tobytes(), 5.0))
        for target in readings.targets_of(line.id, config.sites):
            payload = items.encode(item, item.dis[0], said, target.zone)
            answer = readings.Answer(item, (payload,))
            answers.append(readings.Poll(target, at, (answer,), None, 5.0))
    frames = [readings_of(polls, received)[0], readings.readings_of(answers, received)[0]]
    edge = frames[0].filter(meter_id="n-1").with_columns(meter_id=pl.lit("n-4"))
    return conform(pl.concat([*frames, edge]))


def journal(config, frame):
    with closing(Journal(config.data / "journal.db", Clock.real().now)) as book:
        book.append(frame).result(20)


@pytest.fixture
def program(tmp_path):
    (tmp_path / "profiles").mkdir()
    for one in (profile("behind-ct", secondary=True), profile("primary", secondary=False)):
        (tmp_path / f"profiles/{one['id']}.yaml").write_text(yaml.safe_dump(one))
    made = Program.make(
        tmp_path / "bureau",
        [shop(40)],
        meter_profiles=str(tmp_path / "profiles"),
        collector={
            "buses": [{"id": "b", "host": "127.0.0.1", "port": 1}],
            "lines": [{"id": "l", "kind": "tcp", "host": "127.0.0.1", "port": 1}],
            "mqtt": {"host": "127.0.0.1", "port": 1},
        },
    )
    (made.folder / "var").mkdir()
    return made


def energies(program, as_of=None):
    config = load(program.config)
    history = History.open_readonly(config.data / "history", config.book)
    blocks = history.intervals(START, START + timedelta(days=2), as_of=as_of)
    told = blocks.group_by("meter_id").agg(pl.col("energy_kwh").sum(), pl.col("computed_at").max())
    return {row[0]: pytest.approx(row[1]) for row in told.iter_rows()}, told["computed_at"].max()


def recompute(program, *words, **how):
    call = ["recompute", "-c", program.config, *DAYS, "--format", "json", "--jobs", 1, *words]
    return program.call(*call, **how)


def test_a_wrong_ratio_is_put_right_by_what_was_noted_when_readings_came(program):
    config = load(program.config)
    with App(config, Clock.real(), console=False):
        frame = polled(config, Clock.real().now())
        assert frame["register_words"].null_count() == frame.height
        journal(config, frame)
    work_up(config, Clock.real())
    with closing(RatioBook(config.data / FILE, Clock.real().now)) as book:
        assert book.notes()["meter_id"].to_list() == ["n-1", "n-2"]
    program.sites = [shop(60)]
    program.write()
    was, then = energies(program)
    assert was == {"n-1": 7680.0, "n-2": 7680.0, "n-3": 192.0, "n-4": 7680.0}
    preview = recompute(program, ok=False)
    for one, meter in zip(json.loads(preview.stdout), ("n-1", "n-2"), strict=True):
        assert one["meter_id"] == meter
        assert one["energy_before_kwh"] == pytest.approx(7680.0)
        assert one["energy_after_kwh"] == pytest.approx(1.5 * 7680.0)
        assert (one["readings_corrected"], one["readings_left"]) == (BLOCKS + 1, 0)
    told = b"193 readings of 1 meters are left as received, right or wrong: a collector at the edge"
    assert told in preview.stderr
    assert energies(program)[0] == was, "a preview issues nothing"

    short = recompute(program, *PUBLISH, "--to", "2026-03-04", ok=False)
    assert b"would jump at its edge: take --from earlier, --to later" in short.stderr
    recompute(program, *PUBLISH)
    right = {"n-1": 11520.0, "n-2": 11520.0, "n-3": 192.0, "n-4": 7680.0}
    assert energies(program)[0] == right
    assert energies(program, then)[0] == was
    assert json.loads(recompute(program)) == [], "nothing is left to change"


def test_a_register_that_can_be_corrected_only_in_part_is_refused(program):
    config = load(program.config)
    middle = START + timedelta(days=1)
    frame = polled(config, START).with_columns(received_at="measured_at")
    journal(config, frame.filter(pl.col("meter_id") != "n-4"))
    with closing(RatioBook(config.data / FILE, lambda: middle)) as book:
        book.note(multipliers(config.sites, config.profiles))
    work_up(config, Clock.real())
    program.sites = [shop(60)]
    program.write()
    refused = recompute(program, *PUBLISH, ok=False)
    assert b"192 readings of 2 meters are left as received, right or wrong: by which ratio" in (
        refused.stderr
    )
    assert b"readings of 2 meters in or beside the span cannot be corrected" in refused.stderr
    assert b"2026-03-03 15:45Z" in refused.stderr
    program.sites = [shop(40)]
    for meter in program.sites[0]["meters"]:
        meter["ct_ratio"].append({"from": "2026-03-04", "value": 60})
    program.write()
    one, other, _primary = json.loads(recompute(program))
    assert (one["meter_id"], other["meter_id"]) == ("n-1", "n-2")
    assert (one["readings_corrected"], one["readings_left"]) == (97, 96)
    assert (one["blocks"], one["now_missing"]) == (97, 1), "the one whose end nobody read"
    assert one["energy_after_kwh"] == pytest.approx(96 * 60.0)
