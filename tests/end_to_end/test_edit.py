"""`demandwatch edit`: beside no running system and beside one, and what was known before."""

import io
import json
from datetime import UTC, datetime, timedelta

import polars as pl
from program import Program
from waiting import until

START = datetime(2026, 3, 2, tzinfo=UTC)
"""08:00 in Shenzhen."""
MAPPING = """\
title: {zh: 示值, en: Registers}
layout: meter_a_row
meter_column: meter
time: {column: at, format: "%Y-%m-%d %H:%M", zone: UTC}
values: [{column: kwh, quantity: energy_import_kwh}]
"""
SHOP = {
    "id": "north", "name": {"zh": "北", "en": "North"}, "kind": "retail", "district": "d",
    "meters": [{"id": "n-1", "source": {"via": "file"}}],
}  # fmt: skip


def ask(program, *words):
    told = program.call("query", *words, "-c", program.config, "--format", "parquet")
    return pl.read_parquet(io.BytesIO(told))


def test_an_edit_from_the_command_line_to_the_query_and_back(tmp_path):
    program = Program.make(tmp_path / "bureau", [SHOP])
    (tmp_path / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    lines = [f"{START + timedelta(minutes=15 * n):%Y-%m-%d %H:%M},n-1,{100 + n}" for n in range(9)]
    (tmp_path / "r.csv").write_text("\n".join(["at,meter,kwh", *lines]) + "\n", encoding="utf-8")
    config = ["-c", program.config]
    program.call("import", tmp_path / "r.csv", *config, "--mapping", tmp_path / "mapping.yaml")

    span = ["--meter", "n-1", "--from", "2026-03-02T08:15", "--to", "2026-03-02T08:45"]
    who = ["--by", "王工", "--why", "meter test", *config]
    assert b"worked up" in program.call("edit", "set", *span, "--energy-kwh", 5, *who)
    rows = ask(program, "intervals", "--raw")
    assert rows["energy_kwh"].to_list() == [1.0, 2.5, 2.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert rows["raw_energy_kwh"].to_list() == [1.0] * 8
    day = ask(program, "validation").row(0, named=True)
    assert (day["agrees"], day["difference_kwh"], "edited" in day["flags"]) == (False, 3.0, True)
    before = rows.filter(pl.col("revision") == 0)["computed_at"].max()
    assert (
        ask(program, "intervals", "--as-of", before.isoformat())["energy_kwh"].to_list()
        == [1.0] * 8
    )

    for wrong in (["--from", "2026-03-02T08:10"], ["--energy-kwh", -1], ["--meter", "x"]):
        call = ["edit", "set", *span, "--energy-kwh", 5, *who, *wrong]
        refused = program.call(*call, ok=False)
        assert refused.returncode == 1
        assert refused.stderr.startswith(b"demandwatch: ")

    program.settings["processors"]["engine"] = {"flush_s": 0.2}
    program.write()
    process = program.start()
    try:
        assert b"the running system" in program.call("edit", "withdraw", 1, *who)
        until(lambda: ask(program, "intervals")["energy_kwh"].to_list() == [1.0] * 8, 60)
    finally:
        program.stop(process)
    listed = json.loads(program.call("edit", "list", *config, "--format", "json"))
    assert [(one["by"], one["stands"]) for one in listed] == [("王工", False), ("王工", False)]
