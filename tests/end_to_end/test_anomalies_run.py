"""A running system finds an anomaly by itself, shows it and tells the rules."""

import json
from datetime import timedelta

from program import Program
from waiting import until

from collector.clock import Clock

MAPPING = """\
title: {zh: 示值, en: Registers}
layout: meter_a_row
meter_column: meter
time: {column: at, format: "%Y-%m-%d %H:%M", zone: UTC}
values: [{column: kwh, quantity: energy_import_kwh}]
"""
RULES = """\
rules:
  - id: register-fell
    on: anomaly
    when: kind = 'register_decrease'
    text: {zh: "{meter_id} {observed:.1f}", en: "{meter_id} {observed:.1f} since {begun_at}"}
"""
SITE = {
    "id": "shop",
    "name": {"zh": "店", "en": "Shop"},
    "kind": "retail",
    "district": "d",
    "meters": [{"id": "m", "source": {"via": "file"}}],
}


def test_a_register_that_fell_is_found_shown_and_told(tmp_path):
    program = Program.make(tmp_path / "bureau", [SITE], RULES)
    first = Clock.real().now() - timedelta(hours=2)
    kwh = [1000.0, 1010.0, 1020.0, 400.0]
    lines = [f"{first + timedelta(minutes=15 * n):%Y-%m-%d %H:%M},m,{v}" for n, v in enumerate(kwh)]
    mapping, file = tmp_path / "mapping.yaml", tmp_path / "readings.csv"
    mapping.write_text(MAPPING, encoding="utf-8")
    file.write_text("\n".join(["at,meter,kwh", *lines]) + "\n", encoding="utf-8")
    program.call("import", file, "-c", program.config, "--mapping", mapping)
    process = program.start()
    try:
        until(lambda: json.loads(program.get("/api/v1/anomalies")), 30, "the first look")
        (found,) = json.loads(program.get("/api/v1/anomalies?state=open"))
        assert (found["kind"], found["observed"], found["standing"]) == (
            *("register_decrease", 620.0),
            "clue",
        )
        sought = json.loads(program.get("/api/v1/anomalies/sought?meter=m"))
        reasons = {one["kind"]: one["reason"] for one in sought}
        assert (reasons["register_decrease"], reasons["register_fly"]) == (None, "no_rated_power")
        (alert,) = json.loads(program.get("/api/v1/alerts"))
        assert alert["rule_id"] == "register-fell"
    finally:
        program.stop(process)
