"""Kept register words in a package: decoded anew by whoever verifies it."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from evidence_world import T0, Past, World, readings, resealed, site

from alerting.evidence.container import opened
from alerting.evidence.verify import verify
from collector.polls import Poll, micros, readings_of, targets_of
from collector.profiles import Profile
from collector.registers import encode
from collector.settings import BusSettings
from processors.book import Book

CT = 40.0
BEHIND_CT = Profile.model_validate({
    "id": "behind-ct", "title": "A meter behind transformers", "reference": "this test",
    "registers": [
        {"quantity": "energy_import_kwh", "address": 0, "type": "u64", "scale": 0.001,
         "secondary": True},
        {"quantity": "power_kw", "address": 300, "type": "s32", "sentinels": [0x7FFFFFFF]},
    ],
})  # fmt: skip


def behind_ct():
    check = {"certificate": "JJG-1", "valid_until": "2030-01-01"}
    source = {"via": "modbus", "bus": "b", "profile": "behind-ct", "keep_raw": True}
    ratio = [{"from": "2020-01-01", "value": CT}]
    meters = [
        {"id": meter, "verification": check, "source": source, "ct_ratio": ratio}
        for meter in ("w-1", "w-2")
    ]
    return site(meters=meters)


def polled(of):
    """Return the world's usual registers as polls of meters behind transformers tell them."""
    bus = BusSettings(id="b", host="127.0.0.1")
    targets = {one.meter_id: one for one in targets_of(bus, [of], {"behind-ct": BEHIND_CT})}
    polls = []
    for row in readings().to_dicts():
        target = targets[row["meter_id"]]
        image = encode(BEHIND_CT, {"energy_import_kwh": row["energy_import_kwh"] / CT})
        blocks = target.layout.blocks
        words = [image[b.function, b.start + n] for b in blocks for n in range(b.count)]
        data = np.array(words, dtype=">u2").tobytes()
        polls.append(Poll(target, micros(row["measured_at"]), data, 5.0))
    frame, doubted = readings_of(polls, T0 + timedelta(hours=12))
    assert not doubted
    return frame


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, behind_ct())
    made.past = Past(polled(made.site), Book.of([made.site]))
    made.sources = replace(
        made.sources, history=made.past, profiles={"behind-ct": BEHIND_CT, "other": BEHIND_CT}
    )
    yield made
    made.ledger.close()


def test_a_package_holds_the_words_the_meter_sent_and_the_map_they_are_read_by(world):
    path = world.export(world.fire())
    files = opened(path).files
    assert b",3:0=0000000000006" in files["readings.csv"]
    assert [one["id"] for one in json.loads(files["profiles.json"])] == ["behind-ct"]
    report = verify(path)
    assert report.ok, report.findings
    assert report.verdict.standing == "evidence"
    assert len(report.notes) == 1  # only that the key was not compared


def forged(column, change):
    """Return a change of the files: one value of one reading, at 10:30 site time."""

    def forge(files):
        head, *rows = files["readings.csv"].splitlines(keepends=True)
        place = head.strip().split(b",").index(column)
        row = next(n for n, one in enumerate(rows) if b"T02:30:" in one and b"w-1" in one)
        cells = rows[row].rstrip(b"\n").split(b",")
        cells[place] = change(cells[place])
        rows[row] = b",".join(cells) + b"\n"
        files["readings.csv"] = head + b"".join(rows)

    return forge


@pytest.mark.parametrize(
    "change",
    [
        forged(b"register_words", lambda cell: cell[:20] + b"F" + cell[21:]),
        forged(b"register_words", lambda cell: cell.replace(b"3:0=", b"3:1=")),
        forged(b"energy_import_kwh", lambda cell: b"%r" % (float(cell) - 0.04)),
        lambda files: files.update({"profiles.json": b"[]"}),
        lambda files: files.update(
            {"profiles.json": files["profiles.json"].replace(b"0.001", b"0.002")}
        ),
    ],
)
def test_words_that_say_otherwise_make_a_forged_package_contradict_itself(world, change):
    path = world.export(world.fire())
    resealed(path, change, world.folder / "forger.pem")
    report = verify(path)
    assert not report.ok
    assert any("register_words_disagree" in one for one in report.findings), report.findings
    assert any("w-1" in one for one in report.notes), report.notes


def test_a_map_corrected_after_the_reading_makes_the_overrun_a_clue(world):
    other = BEHIND_CT.model_copy(
        update={"registers": (BEHIND_CT.registers[0].model_copy(update={"scale": 0.0005}),)}
    )
    world.sources = replace(world.sources, profiles={"behind-ct": other})
    report = verify(world.export(world.fire()))
    assert report.ok
    assert report.verdict.reasons == ("register_words_disagree",)
    assert report.verdict.standing == "clue"
    assert "its register words say" in report.notes[1]
    assert len(report.notes) == 22  # the key, twenty of them, and how many more


def test_a_reading_scaled_by_recompute_stands_in_a_package_that_verifies(world):
    right = polled(world.site).with_columns(register_words=pl.lit(None, pl.String))
    wrong = right.with_columns(pl.col("energy_import_kwh") / 1.5)
    mended = right.with_columns(
        pl.col("received_at") + timedelta(days=30), source=pl.lit("recompute:0123456789")
    )
    past = Past(pl.concat([wrong, mended]), Book.of([world.site]))
    world.sources = replace(world.sources, history=past)
    path = world.export(world.fire())
    files = opened(path).files
    assert b"recompute:0123456789" in files["readings.csv"]
    assert b",modbus:b," in files["readings.csv"], "what was received is there too"
    report = verify(path)
    assert report.ok, report.findings
