"""`demandwatch declare`: one figure, a file with refused lines, what a verdict rests on."""

import json
import shutil
from datetime import date

import pytest
from policy_rows import day_rows
from program import ROOT, Program
from typer.testing import CliRunner

from collector.clock import Clock
from demandwatch.cli import app
from demandwatch.declaring import Declaring
from demandwatch.settings import load
from processors.activity import Declaration
from processors.history.store import History

WORKS = {
    "id": "works", "name": {"zh": "厂", "en": "Works"}, "kind": "factory", "district": "d",
    "industry": "C30", "guide": "demo-industry",
    "meters": [{"id": "m", "source": {"via": "file"}}],
}  # fmt: skip
FILE = """site_id,activity,from,until,value,unit,declared_by,other_energy_kgce,note
works,guests,2025-01-01,2026-01-01,700,guest,李,0,年报
works,output_value,2025-01-01,2026-01-01,120,万元,,,
nobody,guests,2025-01-01,2026-01-01,9,guest,,,
works,value_added,2025-01-01,2026-01-01,many,万元,,,
works,guests,2025-06-01,2025-07-01,50,guest,,,
works,guests,2025-06-01
"""


@pytest.fixture
def bureau(tmp_path):
    policy = tmp_path / "policy"
    policy.mkdir()
    shutil.copy(ROOT / "config/policy/industry-demo.yaml", policy)
    settings = {"processors": {"policy_folder": str(policy)}}
    return Program.make(tmp_path / "bureau", [WORKS], **settings)


def call(bureau, *words):
    words = [*map(str, words), "-c", str(bureau.config)]
    return CliRunner().invoke(app, words, env={"COLUMNS": "240"})


def listed(bureau, *words):
    return json.loads(call(bureau, "declare", "list", "--format", "json", *words).stdout)


def test_one_figure_is_declared_revised_listed_and_withdrawn(bureau):
    told = ("declare", "set", "--site", "works", "--activity", "guests", "--unit", "guest",
            "--from", "2025-01-01", "--to", "2026-01-01", "--by", "Li")  # fmt: skip
    assert "declaration 1 of works is kept" in call(bureau, *told, "--value", 900).stdout
    assert "says the same already" in call(bureau, *told, "--value", 900).stdout
    assert call(bureau, *told, "--value", 950).exit_code == 0
    assert [(row["value"], row["stands"]) for row in listed(bureau)] == [(900, False), (950, True)]
    assert listed(bureau, "--as-of", "2020-01-01T00:00:00Z") == []
    gone = call(bureau, "declare", "withdraw", 2, "--by", "Li", "--why", "of another house")
    assert gone.exit_code == 0
    assert not any(row["stands"] for row in listed(bureau))
    for wrong in (("--value", 0), ("--value", 9, "--meter", "m")):
        refused = call(bureau, *told, *wrong)
        assert refused.exit_code == 1
        assert "demandwatch: " in refused.stderr


def test_a_file_keeps_its_good_lines_and_says_what_is_wrong_with_the_others(bureau):
    file = bureau.folder / "year.csv"
    file.write_bytes(FILE.encode("gb18030"))
    trial = call(bureau, "declare", "import", file, "--dry-run", "--by", "Wang")
    assert trial.exit_code == 1
    assert "2 declared, 0 unchanged, 4 refused (dry run: nothing kept)" in trial.stderr
    assert listed(bureau) == []
    done = call(bureau, "declare", "import", file, "--by", "Wang", "--format", "json")
    refused = json.loads(done.stdout)
    assert [row["line"] for row in refused] == [4, 5, 6, 7]
    for row, says in zip(
        refused, ("no site", "value: ", "revise that period", "cells"), strict=True
    ):
        assert says in row["reason"]
    assert [(row["activity"], row["declared_by"]) for row in listed(bureau)] == [
        ("guests", "李"), ("output_value", "Wang"),
    ]  # fmt: skip
    file.write_bytes(FILE.encode("utf-8-sig"))
    again = call(bureau, "declare", "import", file, "--by", "Wang")
    assert "0 declared, 2 unchanged, 4 refused" in again.stderr


def test_a_file_of_other_columns_is_refused_whole(bureau):
    file = bureau.folder / "year.csv"
    file.write_text("site,value\nworks,1\n", encoding="utf-8")
    done = call(bureau, "declare", "import", file)
    assert done.exit_code == 1
    assert "the file lacks site_id, activity, from, unit; columns are" in done.stderr


def test_judge_names_who_declared_and_asks_for_what_nobody_did(bureau):
    config = load(bureau.config)
    declaring = Declaring(config, Clock.real())
    year = {"from": date(2025, 1, 1), "until": date(2026, 1, 1), "declared_by": "Li"}
    one = {"activity": "output_value", "value": 40.0, "unit": "万元"}
    declaring.declare("works", Declaration.model_validate(year | one))
    history = History(config.data / "history", Clock.real().now, config.book)
    days = day_rows("m", date(2025, 1, 1), date(2026, 1, 1), 100.0)
    history._tables.days.append(days)
    done = call(bureau, "policy", "judge", "--period", "year", "--on", "2026-03-01",
                "--format", "json")  # fmt: skip
    told = {row["row_id"]: row for row in json.loads(done.stdout)}
    mine = told["C30-electricity"]
    assert (mine["outcome"], mine["actual"], mine["declared_by"]) == ("overrun", 912.5, "Li")
    assert (mine["standing"], mine["provenance"]) == ("clue", "illustrative")
    assert told["C30-energy"]["reason"] == "no_denominator"
    table = call(bureau, "policy", "judge", "--from", "2025-01-01", "--to", "2026-01-01")
    assert "illustrative" in table.stdout
    before = call(bureau, "policy", "judge", "--from", "2025-01-01", "--to", "2026-01-01",
                  "--as-of", "2020-01-01T00:00:00+0000", "--format", "json")  # fmt: skip
    assert {row["reason"] for row in json.loads(before.stdout)} == {"no_denominator"}
    assert call(bureau, "policy", "judge", "--from", "2025-01-01").exit_code == 1
