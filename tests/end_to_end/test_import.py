"""`demandwatch import` as its user meets it: dry run, report, list, undo, a running system."""

import io
import json

import polars as pl
import pytest
import yaml
from program import Program
from typer.testing import CliRunner
from waiting import until

from collector.clock import Clock
from demandwatch.cli import app

SITE = {
    "id": "works",
    "name": {"zh": "厂", "en": "works"},
    "kind": "factory",
    "district": "nanshan",
    "timezone": "UTC",
    "meters": [{"id": "m", "source": {"via": "file"}}],
}
MAPPING = {
    "title": {"zh": "试", "en": "test"},
    "layout": "one_meter",
    "meter": "m",
    "time": {
        "column": "t", "format": "%Y-%m-%d %H:%M", "zone": "UTC", "stamp": "start",
        "every_minutes": 15,
    },
    "values": [{"column": "kwh", "quantity": "energy_import_kwh", "gives": "interval"}],
}  # fmt: skip
DAY = [f"2025-01-01 {k // 4:02}:{k % 4 * 15:02},{k}" for k in range(40)]


@pytest.fixture
def program(tmp_path):
    made = Program.make(tmp_path / "bureau", [SITE])
    (made.folder / "m.yaml").write_text(yaml.safe_dump(MAPPING), encoding="utf-8")
    return made


def file(program, name, lines):
    path = program.folder / name
    path.write_text("\n".join(["t,kwh", *lines]) + "\n", encoding="utf-8")
    return path


def call(program, *words, ok=True):
    """Run the command in this process: a new one takes a second each time."""
    done = CliRunner().invoke(app, ["import", "-c", str(program.config), *map(str, words)])
    if not ok:
        return done
    assert done.exit_code == 0, (words, done.output, done.exception)
    return done.stdout


def load(program, path, *words, ok=True):
    return call(program, path, "--mapping", program.folder / "m.yaml", *words, ok=ok)


def intervals(program, *words):
    asked = ["query", "intervals", "-c", str(program.config), "--format", "parquet", *words]
    rows = pl.read_parquet(io.BytesIO(CliRunner().invoke(app, asked).stdout_bytes))
    known = rows.filter(pl.col("energy_kwh").is_not_null()).sort("start")
    return dict(zip(known["start"].dt.strftime("%H:%M"), known["energy_kwh"], strict=True))


def listed(program):
    return json.loads(call(program, "--list", "--format", "json"))


def test_dry_run_import_correction_and_undo(program):
    bad = [*DAY[:4], "2025-01-01 01:00,-1", "yesterday,2", *DAY[6:]]
    first = file(program, "a.csv", bad)
    refused = json.loads(load(program, first, "--dry-run", "--format", "json"))
    assert [(one["line"], one["column"], one["value"], one["reason"]) for one in refused] == [
        (6, "kwh", "-1", "out_of_range"),
        (7, "t", "", "bad_time"),
    ]
    assert all(one["advice"] for one in refused)
    assert listed(program) == []
    assert intervals(program) == {}

    report = program.folder / "report.csv"
    told = load(program, first, "--report", report)
    assert "2 refused" in told
    assert pl.read_csv(report)["line"].to_list() == [6, 7]
    (one,) = listed(program)
    assert f"import {one['id']}; to withdraw it" in told
    assert (one["file"], one["meters"], one["refused"]) == ("a.csv", 1, 2)
    before = intervals(program)
    assert set(before) == {line[11:16] for line in DAY} - {"01:00", "01:15"}
    again = load(program, first)
    assert f"imported before, as {one['id']}" in again
    assert len(listed(program)) == 1

    right = file(program, "b.csv", DAY)
    said = load(program, right)
    assert len(intervals(program)) == 40
    between = Clock.real().now().isoformat()
    second = listed(program)[0]["id"]
    assert second in said
    undone = call(program, "--undo", second)
    assert f"import {second} (b.csv) is withdrawn: 42 readings" in undone
    assert "0 intervals issued, 2 revised" in undone
    assert intervals(program) == before
    assert len(intervals(program, "--as-of", between)) == 40
    assert "nothing to do" in call(program, "--undo", second)
    load(program, right)
    assert len(intervals(program)) == 40
    assert len({one["id"] for one in listed(program)}) == 3


def test_a_running_system_works_imports_and_undos_up(program):
    process = program.start()
    try:
        said = load(program, file(program, "a.csv", DAY))
        assert "the running system is working it up" in said
        until(lambda: program.metric("demandwatch_readings_processed_total") == 41, 30, "readings")
        call(program, "--undo", listed(program)[0]["id"])
        until(lambda: program.metric("demandwatch_readings_processed_total") == 82, 30, "its undo")
    finally:
        program.stop(process)
    assert intervals(program) == {}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--undo", "1234567"], "no import '1234567'"),
        ([], "name a FILE and its --mapping"),
        (["absent.csv", "--mapping", "m.yaml"], "there is no file"),
        (["m.yaml", "--mapping", "m.yaml"], "no column t, kwh"),
        (["m.yaml", "--mapping", "m.yaml", "--meter", "x"], "no site has a meter 'x'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(program, words, told, monkeypatch):
    monkeypatch.chdir(program.folder)
    done = call(program, *words, ok=False)
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    error = done.stderr
    assert told in error
    assert error.count("\n") == 1


def test_help_reads_like_a_manual(program):
    told = call(program, "--help")
    assert "--dry-run" in told
    assert "withdraws an import" in told
