"""The evidence package of a metering anomaly: it verifies, and says that it is a clue."""

import json
import zipfile

import polars as pl
import pytest
from anomaly_world import look
from evidence_world import NOW, T0, World, resealed
from typer.testing import CliRunner

from alerting.evidence.verify import verify
from alerting.office import Alerting
from alerting.rules import Compiled, Rule
from demandwatch.cli import app
from processors.anomaly import ANOMALY
from processors.anomaly_told import active, told
from processors.blocks import intervals_of
from processors.book import Book

RULE = {
    "id": "register-fell", "on": "anomaly", "when": "kind = 'register_decrease'",
    "text": {"zh": "线索：{meter_id} {observed:.0f} kWh", "en": "Clue: {meter_id} {observed:.0f}"},
}  # fmt: skip
NONE = pl.DataFrame(schema=ANOMALY)


@pytest.fixture
def world(tmp_path):
    """A site whose register fell by 1000 kWh at six o'clock."""
    made = World(tmp_path)
    fallen = (pl.col("meter_id") == "w-1") & (pl.col("measured_at").dt.hour() >= 22)
    kwh = pl.col("energy_import_kwh")
    made.past.raw = made.past.raw.with_columns(pl.when(fallen).then(kwh - 1000).otherwise(kwh))
    blocks = intervals_of(made.past.raw, Book.of([made.site]))
    made.past.blocks = blocks.with_columns(computed_at=pl.lit(NOW))
    yield made
    made.ledger.close()


FELL = T0.replace(hour=22, minute=1)


def fire(world):
    """Look while the fall is the last that is known, so that it is open."""
    known = world.past.raw.filter(pl.col("measured_at") < FELL)
    found = look(known, [world.site])[0]
    rows = told(NONE, active(NONE, found), found, NOW)
    office = Alerting([Compiled.of(Rule.model_validate(RULE))], world.ledger, [world.site])
    return office.observe("anomaly", rows)


def test_an_anomaly_is_exported_as_a_clue_and_verifies(world):
    (alert_id,) = fire(world)
    path = world.export(alert_id)
    report = verify(path)
    assert report.ok, report.findings
    verdict = report.verdict
    assert (verdict.outcome, verdict.standing) == ("undecided", "clue")
    assert verdict.reasons == ("metering_anomaly", "not_in_readings")
    shown = CliRunner().invoke(app, ["evidence", "verify", str(path)], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "clue" in shown.output
    with zipfile.ZipFile(path) as archive:
        assert b'"clue"' in archive.read("finding.json")
        assert "线索：w-1 998 kWh" in json.loads(archive.read("alert.json"))["text_zh"]


def test_a_package_that_makes_evidence_of_it_is_contradicted(world):
    path = world.export(fire(world)[0])

    def promoted(files):
        files["finding.json"] = files["finding.json"].replace(b'"clue"', b'"evidence"')

    resealed(path, promoted, world.folder / "forger.pem")
    report = verify(path)
    assert not report.ok
    assert any("standing" in one for one in report.findings)


def test_a_rule_need_not_ask_whether_the_anomaly_lasts(world):
    """At its end none holds, and one with a `clear` of its own resolves too."""
    ended = _ended(world)
    for more in ({}, {"clear": "value < 0"}):
        rule = Compiled.of(Rule.model_validate(RULE | more))
        assert ended.select(rule.when.alias("w"), rule.clear.alias("c")).row(0) == (False, True)
    own = Compiled.of(Rule.model_validate(RULE | {"when": "active or not active"}))
    assert ended.select(own.when.alias("w")).item() is True


def _ended(world):
    found, _ = look(world.past.raw, [world.site])
    before = found.with_columns(until=pl.lit(None, found.schema["until"]))
    return told(before, active(found, found), found, NOW)
