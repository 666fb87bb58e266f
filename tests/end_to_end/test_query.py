"""`demandwatch query`: every table, every format, the span, the meters, as it was known then."""

import io
import json
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from program import Program

from processors.anomaly import ANOMALY, SOUGHT
from processors.balance import BALANCE
from processors.groups import GROUP
from processors.history.days import DAY, MONTH
from processors.indices import INDICES
from processors.interval import INTERVAL
from processors.verdict import VERDICT

START = datetime(2026, 3, 2, tzinfo=UTC)
"""08:00 in Shenzhen."""
TABLES = {
    "intervals": {"meter_id", "start", "energy_kwh", "coverage", "quality"} | set(INTERVAL),
    "days": set(DAY),
    "months": set(MONTH),
    "verdicts": set(VERDICT),
    "alerts": {"alert_id", "rule_id", "site_id", "fired_at", "resolved_at"},
    "fleet": {"meter_id", "site_id", "measured_at", "received_at", "power_kw", "state", "reasons"},
    "gaps": {"gap_id", "meter_id", "start", "end", "state", "cause", "energy_kwh", "method"},
    "indices": {"subject", "subject_id", "period"} | set(INDICES) - {"meter_id"},
    "quotas": {"site_id", "kind", "used_ratio", "crosses_at", "blocks_above", "kwh_above"},
    "sums": set(GROUP),
    "balance": set(BALANCE),
    "rejects": {"at", "reason", "source", "subject", "excerpt", "count"},
}
MAPPING = """\
title: {zh: 示值, en: Registers}
layout: meter_a_row
meter_column: meter
time: {column: at, format: "%Y-%m-%d %H:%M", zone: UTC}
values: [{column: kwh, quantity: energy_import_kwh}]
"""


def site(name, *meters):
    return {
        "id": name,
        "name": {"zh": name, "en": name},
        "kind": "retail",
        "use": "retail_supermarket",
        "district": "d",
        "floor_area_m2": [{"from": "2020-01-01", "value": 1000}],
        "meters": [{"id": one, "source": {"via": "file"}} for one in meters],
    }


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Two shops, two days; one line of the file is no number."""
    folder = tmp_path_factory.mktemp("query")
    limits = {
        "quota_month_kwh": [{"from": "2026-01-01", "value": 2000}],
        "quota_year_kwh": [{"from": "2026-01-01", "value": 50_000}],
        "cap_kw": [{"from": "2026-03-03", "until": "2026-03-04", "value": 50}],
    }
    north = site("north", "n-1", "n-2") | limits
    south = site("south", "s-1")
    south["wholly_sub_metered"] = True
    south["meters"].append({"id": "s-sub", "role": "sub", "source": {"via": "file"}})
    made = Program.make(folder / "bureau", [north, south])
    made.settings["processors"]["verdicts"] = {"guides": {"retail": "demo-tertiary"}}
    made.write()
    (folder / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    lines = [
        f"{START + timedelta(minutes=15 * n):%Y-%m-%d %H:%M},{meter},{1000 + n * kw / 4}"
        for meter, kw in (("n-1", 40), ("n-2", 20), ("s-1", 8), ("s-sub", 6))
        for n in range(193)
        if not (meter == "s-1" and n in HOLE)
    ]
    bring(made, [*lines, "2026-03-03 00:00,n-1,lots"])
    judge = ["policy", "judge", "-c", made.config, "--from", "2026-03-03", "--to", "2026-03-04"]
    made.call(*judge, "--save")
    return made


HOLE = range(40, 48)
"""Readings of s-1 that come later, two hours."""


def bring(program, lines):
    file = program.folder / "readings.csv"
    file.write_text("\n".join(["at,meter,kwh", *lines]) + "\n", encoding="utf-8")
    mapping = program.folder.parent / "mapping.yaml"
    program.call("import", file, "-c", program.config, "--mapping", mapping)


def ask(program, table, *words):
    call = ["query", table, "-c", program.config, "--format", "parquet", *words]
    return pl.read_parquet(io.BytesIO(program.call(*call)))


@pytest.mark.parametrize("table", TABLES)
def test_every_table_in_every_format(program, table):
    out = program.folder / f"{table}.parquet"
    query = ["query", table, "-c", program.config, "--format"]
    assert program.call(*query, "parquet", "--out", out) == b""
    frame = pl.read_parquet(out)
    assert set(frame.columns) >= TABLES[table]
    assert frame.height or table == "alerts"
    written = program.call(*query, "csv").decode()
    assert written.splitlines()[0].split(",") == frame.columns
    assert pl.read_csv(io.StringIO(written), infer_schema=False).height == frame.height
    rows = json.loads(program.call(*query, "json"))
    assert len(rows) == frame.height
    assert all(list(one) == frame.columns for one in rows)
    table_text = program.call(*query, "table").decode()
    assert len(table_text.splitlines()) > frame.height or table_text.count("rows") == 1


def test_instants_carry_utc_and_unknown_is_never_zero(program):
    rows = json.loads(program.call("query", "intervals", "-c", program.config, "--format", "json"))
    assert all(one["start"].endswith("Z") for one in rows)
    hole = [one for one in rows if one["quality"] != "measured"]
    assert {(one["meter_id"], one["coverage"]) for one in hole} == {("s-1", 0.0)}
    assert len(hole) == len(HOLE) + 1
    assert {one["power_factor"] for one in rows} == {None}
    table = program.call("query", "intervals", "-c", program.config, "--meter", "s-1").decode()
    assert "—" in table
    assert "write all with --format csv" not in table


def test_the_span_is_local_to_the_first_site_unless_it_says_otherwise(program):
    def starts(*words):
        return ask(program, "intervals", "--meter", "n-1", *words)["start"].sort()

    whole = starts("--from", "2026-03-03", "--to", "2026-03-04")
    assert len(whole) == 96
    assert whole[0] == datetime(2026, 3, 2, 16, tzinfo=UTC)
    assert starts("--from", "2026-03-02T16:00:00Z", "--to", "2026-03-03T16:00:00Z").equals(whole)
    few = starts("--from", "2026-03-03T08:00", "--to", "2026-03-03T09:00")
    assert few.to_list() == [START + timedelta(hours=24, minutes=15 * n) for n in range(4)]
    days = ask(program, "days", "--from", "2026-03-03", "--to", "2026-03-04")
    assert days["day"].unique().to_list() == [date(2026, 3, 3)]
    months = ask(program, "months", "--from", "2026-03-01", "--to", "2026-04-01", "--meter", "n-2")
    assert months["energy_kwh"].to_list() == [pytest.approx(48 * 20)]


def test_meters_and_sites_are_chosen(program):
    def meters(table, *words):
        return set(ask(program, table, *words)["meter_id"])

    assert meters("days") == {"n-1", "n-2", "s-1", "s-sub"}
    assert meters("intervals", "--site", "north") == {"n-1", "n-2"}
    assert meters("months", "--meter", "n-1", "--meter", "s-1") == {"n-1", "s-1"}
    assert meters("fleet", "--meter", "n-1", "--site", "south") == {"n-1", "s-1", "s-sub"}
    verdicts = ask(program, "verdicts", "--site", "south")
    assert set(verdicts["site_id"]) == {"south"}
    rejected = ask(program, "rejects", "--meter", "n-1")
    assert rejected["reason"].to_list() == ["not_a_number"]
    assert ask(program, "rejects", "--site", "south").is_empty()


def test_anomalies_are_clues_and_what_was_not_looked_for_is_told(program):
    """Of what s-1 draws a quarter does not come by its sub-meter."""
    span = ["--from", "2026-03-03", "--to", "2026-03-04"]
    rows = ask(program, "anomalies", *span)
    assert rows.columns == list(ANOMALY)
    gap = rows.row(0, named=True)
    assert (rows.height, gap["meter_id"], gap["kind"]) == (1, "s-1", "parent_child_gap")
    assert gap["value"] == pytest.approx(0.25)
    assert (gap["threshold"], gap["standing"]) == (0.05, "clue")
    sought = ask(program, "anomalies-sought", "--site", "south", *span)
    assert sought.columns == list(SOUGHT)
    reasons = {(meter, kind): why for meter, _, kind, _, _, _, why in sought.rows()}
    assert reasons["s-1", "parent_child_gap"] is None
    assert reasons["s-sub", "parent_child_gap"] == "no_sub_meters"
    assert reasons["s-1", "reverse_power"] == "no_basic_power"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["intervals", "--meter", "n-9"], "no meter n-9 in "),
        (["alerts", "--site", "east", "--site", "west"], "no site east, west in "),
        (["days", "--from", "yesterday"], "'yesterday' is not a time: write 2026-11-22 or "),
        (["intervals", "--as-of", "2026-13-01"], "'2026-13-01' is not a time"),
    ],
)
def test_a_question_that_cannot_be_answered_gets_one_sentence(program, words, told):
    done = program.call("query", *words, "-c", program.config, ok=False)
    assert done.returncode == 1
    assert done.stdout == b""
    said = done.stderr.decode()
    assert said.startswith(f"demandwatch: {told}")
    assert said.count("\n") == 1


def test_a_late_correction_is_seen_after_and_not_before(program):
    """The last test of the file: it adds readings."""
    words = ["--meter", "s-1", "--from", "2026-03-02", "--to", "2026-03-03"]
    before = ask(program, "intervals", *words)
    moment = before["computed_at"].max()
    days = {"before": ask(program, "days", *words)}
    late = [
        f"{START + timedelta(minutes=15 * n):%Y-%m-%d %H:%M},s-1,{1000 + n * 2 + 1}" for n in HOLE
    ]
    bring(program, late)
    after = ask(program, "intervals", *words)
    assert after["coverage"].min() == 1.0
    assert before["coverage"].min() == 0.0
    assert (before["revision"].max(), after["revision"].max()) == (0, 1)
    first = START + timedelta(minutes=15 * (HOLE[0] - 1))
    assert (energy_at(before, first), energy_at(after, first)) == (2.0, 3.0)
    then = ask(program, "intervals", *words, "--as-of", moment.isoformat())
    assert then.sort("start").equals(before.sort("start"))
    days["after"] = ask(program, "days", *words)
    days["as of"] = ask(program, "days", *words, "--as-of", moment.isoformat())
    assert days["as of"].equals(days["before"])
    coverage = days["before"]["coverage"][0], days["after"]["coverage"][0]
    assert coverage == (pytest.approx(55 / 96), pytest.approx(64 / 96))  # the day from 08:00 on


def energy_at(rows, start):
    return rows.row(by_predicate=pl.col("start") == start, named=True)["energy_kwh"]


def test_quotas_of_the_month_the_year_and_the_cap(program):
    rows = ask(program, "quotas", "--from", "2026-03-01").rows_by_key("kind", named=True)
    assert {key: len(found) for key, found in rows.items()} == {"cap": 1, "month": 1, "year": 1}
    (month,), (year,), (cap,) = rows["month"], rows["year"], rows["cap"]
    assert month["energy_kwh"] == pytest.approx(48 * 60)
    assert (month["crossed"], year["crossed"]) == (True, False)
    assert year["energy_kwh"] == month["energy_kwh"]
    # 60 kW from 00:00 to 24:00 local, 10 above the cap
    assert (cap["blocks_above"], cap["blocks_due"]) == (96, 96)
    assert (cap["kwh_above"], cap["worst_kw"]) == (pytest.approx(240), pytest.approx(60))


def test_who_changes_verdict_under_a_tighter_limit(program):
    span = ["-c", program.config, "--from", "2026-03-03", "--to", "2026-03-04"]
    whatif = ["policy", "whatif", *span, "--tighten", "10%", "--format"]
    assert json.loads(program.call(*whatif, "json", "--sites", "north,south")) == []
    rows = json.loads(program.call(*whatif, "json", "--all"))
    assert {one["site_id"] for one in rows} == {"north", "south"}
    assert all("测算" in one["basis"] and not one["changed"] for one in rows)
    assert "0 of 2 verdicts change" in program.call(*whatif, "table").decode()
