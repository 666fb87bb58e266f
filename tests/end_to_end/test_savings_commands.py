"""`demandwatch baseline` on a history of three weeks, and what `check` says of a wrong event."""

import json
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from baseline_rows import DIGEST, instant
from history_rows import intervals, readings
from program import Program
from typer.testing import CliRunner

from demandwatch.cli import app
from demandwatch.faults import ConfigurationError
from demandwatch.settings import load
from processors.history.store import History
from processors.target_bases import bases_of

FIRST, START = instant("2026-10-26 00:00"), instant("2026-11-17 14:00")
NOW = datetime(2026, 11, 18, tzinfo=UTC)
SITES = [
    {
        "id": name,
        "name": {"zh": "厂", "en": "Works"},
        "kind": "factory",
        "district": "d",
        "meters": [{"id": f"m-{name}", "source": {"via": "file"}}],
    }
    for name in ("a", "b")
]
NOTICE = {
    "at": "2026-11-17T12:30:00+08:00",
    "told": "duty desk",
    "how": "SMS, receipt 91",
    "sha256": DIGEST,
}
EVENT = {
    "id": "heat-1",
    "kind": "orderly_use",
    "start": "2026-11-17T14:00:00+08:00",
    "end": "2026-11-17T16:00:00+08:00",
    "sites": [{"site": "a", "cut_kw": 10, "notice": NOTICE}, {"site": "b", "cut_kw": 10}],
}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Two works at a steady 100 kW that go down to 80 kW in the event."""
    made = Program.make(tmp_path_factory.mktemp("savings") / "bureau", SITES)
    made.settings["processors"]["events"] = [EVENT]
    made.write()
    config = load(made.config)
    rows = intervals(["m-a", "m-b"], FIRST, 23 * 96, NOW, energy_kwh=25.0)
    during = pl.col("start").is_between(START, START + timedelta(hours=2), closed="left")
    kwh = pl.when(during).then(20.0).otherwise("energy_kwh")
    rows = rows.with_columns(energy_kwh=kwh, demand_kw=kwh * 4)
    history = History(config.data / "history", lambda: NOW, config.book)
    history.add(1, readings(["m-a"], FIRST, 1), rows)
    history.flush()
    return made


def called(program, *words):
    told = [words[0], "-c", str(program.config), "--format", "json", *words[1:]]
    done = CliRunner().invoke(app, told, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout_bytes)


def test_the_verdicts_of_an_event_and_what_they_rest_on(program):
    told, untold = called(program, "baseline", "--event", "heat-1")
    assert (told["site_id"], told["verdict"], told["complied"]) == ("a", "complies", 8)
    assert (told["baseline_kwh"], told["notice_sha256"]) == (200.0, DIGEST)
    assert (untold["verdict"], untold["reason"]) == ("undecided", "no_proof_of_notice")
    blocks = called(program, "baseline", "--event", "heat-1", "--site", "b", "--show", "blocks")
    assert {(row["site_id"], row["reduction_kwh"]) for row in blocks} == {("b", 5.0)}
    days = called(program, "baseline", "--event", "heat-1", "--site", "a", "--show", "days")
    assert [day["day"][-5:] for day in days if day["used"]] == ["11-13", "11-12", "11-11", "11-10"]


def test_what_was_known_before_the_event_decides_nothing(program):
    then = ("--as-of", "2026-11-17T12:00:00")
    assert {row["reason"] for row in called(program, "baseline", "--event", "heat-1", *then)} == {
        "no_proof_of_notice", "not_over",
    }  # fmt: skip


def test_an_unknown_event_and_an_unknown_site_are_one_sentence_each(program):
    done = CliRunner().invoke(app, ["baseline", "-c", str(program.config), "--event", "x"])
    assert (done.exit_code, "no event x" in done.stderr) == (1, True)
    site = ["--event", "heat-1", "--site", "x"]
    done = CliRunner().invoke(app, ["baseline", "-c", str(program.config), *site])
    assert (done.exit_code, "not a site of event" in done.stderr) == (1, True)


def test_check_names_an_event_of_a_site_that_does_not_exist(tmp_path):
    made = Program.make(tmp_path / "bureau", SITES)
    wrong = EVENT | {"sites": [{"site": "nobody", "cut_kw": 1}]}
    made.settings["processors"]["events"] = [wrong]
    made.write()
    with pytest.raises(ConfigurationError) as raised:
        load(made.config)
    assert "heat-1: no site 'nobody'" in str(raised.value.faults[0])


@pytest.fixture(scope="module")
def bureau(tmp_path_factory):
    """A works of 100 kW and 1000 t in 2024, of 90 kW and 900 t in 2025, whole years."""
    owner = {"product": "cement", "unit": "t", "declared_by": "owner"}
    made_in = [
        owner | {"from": f"{year}-01-01", "until": f"{year + 1}-01-01", "output": tonnes}
        for year, tonnes in ((2024, 1000), (2025, 900))
    ]
    works = SITES[0] | {"production": made_in}
    made = Program.make(tmp_path_factory.mktemp("years") / "bureau", [works])
    made.settings["processors"]["targets"] = {"pack": "savings-shenzhen", "base_year": 2024}
    choice = {"from": "2025-01-01", "scope": "national", "year": 2023}
    made.settings["processors"]["carbon"] = {"factors": [choice]}
    made.write()
    config = load(made.config)
    begin, turn = instant("2024-01-01 00:00"), instant("2025-01-01 00:00")
    rows = pl.concat(
        [
            intervals(["m-a"], begin, 366 * 96, NOW, energy_kwh=25.0),
            intervals(["m-a"], turn, 365 * 96, NOW, energy_kwh=22.5),
        ]
    )
    history = History(config.data / "history", lambda: NOW, config.book)
    history.add(1, readings(["m-a"], begin, 1), rows)
    history.flush()
    return made


def test_targets_are_told_by_sector_district_and_site(bureau):
    rows = called(bureau, "query", "targets")
    told = {(one["level"], one["year"]): one for one in rows}
    for level in ("sector", "district", "site"):
        one = told[level, 2025]
        assert (one["state"], one["provenance"]) == ("on", "illustrative")
        assert one["change"] == pytest.approx(-0.1)
        assert one["intensity"] == pytest.approx(90 * 8760 / 900)
        assert one["base_intensity"] == pytest.approx(100 * 8784 / 1000)
    assert {told["site", year]["reason"] for year in (2026, 2027)} == {"no_data"}
    assert {one["year"] for one in called(bureau, "query", "targets", "--from", "2026-01-01")} == {
        2026, 2027,
    }  # fmt: skip
    works = Program.make(bureau.folder.parent / "none", SITES)
    done = CliRunner().invoke(app, ["query", "targets", "-c", str(works.config)])
    assert (done.exit_code, "processors.targets.pack" in done.stderr) == (1, True)


def test_carbon_by_month_and_by_product(bureau):
    rows = {row["month"]: row for row in called(bureau, "query", "carbon")}
    january = rows["2025-01-01"]
    assert january["kg_co2"] == pytest.approx(31 * 24 * 90 * 0.5306)
    assert (january["carried"], january["factor_year"]) == (True, 2023)
    assert rows["2024-12-01"]["reason"] == "no_factor_chosen"
    span = ("--from", "2025-01-01", "--to", "2026-01-01")
    (label,) = called(bureau, "query", "carbon-labels", *span)
    assert (label["product"], label["unit"], label["reason"]) == ("cement", "t", None)
    assert label["kg_co2_per_unit"] == pytest.approx(90 * 8760 * 0.5306 / 900)
    (whole,) = called(bureau, "query", "carbon-labels")
    assert (whole["kg_co2"], whole["reason"]) == (None, "no_factor_chosen")  # 2024 has none


def test_labels_and_targets_rest_on_what_a_counter_counts(tmp_path):
    """A works of 100 kW in 2025 whose line counts 10 a block, 0.02 t each."""
    told = {"from": "2025-01-01", "product": "cement", "per_count": 0.02, "unit": "t",
            "declared_by": "owner"}  # fmt: skip
    line = {"id": "line", "role": "count", "counts": {"of": [told]}, "source": {"via": "file"}}
    meters = [*SITES[0]["meters"], line]
    made = Program.make(tmp_path / "bureau", [SITES[0] | {"meters": meters}])
    made.settings["processors"]["targets"] = {"pack": "savings-shenzhen", "base_year": 2024}
    choice = {"from": "2025-01-01", "scope": "national", "year": 2023}
    made.settings["processors"]["carbon"] = {"factors": [choice]}
    made.write()
    config = load(made.config)
    begin = instant("2025-01-01 00:00")
    energy = intervals(["m-a"], begin, 365 * 96, NOW, energy_kwh=25.0)
    counts = intervals(["line"], begin, 365 * 96, NOW, energy_kwh=None).with_columns(
        output_count=pl.lit(10.0), coverage=pl.lit(1.0), quality=pl.lit("measured")
    )
    history = History(config.data / "history", lambda: NOW, config.book)
    history.add(1, readings(["m-a"], begin, 1), pl.concat([energy, counts], how="vertical_relaxed"))
    history.flush()
    span = ("--from", "2025-01-01", "--to", "2026-01-01")
    (label,) = called(made, "query", "carbon-labels", *span)
    assert (label["reason"], label["count_coverage"]) == (None, 1.0)
    assert label["declared_by"] == "owner (counter line)"
    assert label["kg_co2_per_unit"] == pytest.approx(100 * 0.5306 / 0.8)
    rows = called(made, "query", "targets")
    site = next(one for one in rows if (one["level"], one["year"]) == ("site", 2025))
    assert site["reason"] == "no_base_year"
    history = History.open_readonly(config.data / "history", config.book, lambda: NOW)
    days = history.days(date(2025, 1, 1), date(2026, 1, 1), ["line"])
    bases = bases_of(config.sites, [2025], days)
    assert bases["denominator"].to_list() == [pytest.approx(0.8 * 8760)]


def test_check_names_a_factor_and_a_target_nothing_knows(tmp_path):
    made = Program.make(tmp_path / "bureau", SITES)
    made.settings["processors"]["carbon"] = {"factors": [{"from": "2025-01-01", "scope": "x"}]}
    made.settings["processors"]["targets"] = {"pack": "y"}
    made.write()
    with pytest.raises(ConfigurationError) as raised:
        load(made.config)
    told = " ".join(map(str, raised.value.faults))
    assert "no electricity factor of 'x'" in told
    assert "no target pack 'y'" in told
