"""Evidence of verdicts that rest on declarations: what was declared when the alert fired."""

from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest
from evidence_world import CONFIG, NOW, RULE, Past, World, month, site

from alerting.evidence.verify import verify
from alerting.office import Alerting
from alerting.rules import Compiled, Rule
from processors.activity import Declaration, standing, with_activity
from processors.book import Book
from processors.history.activitybook import ActivityBook
from processors.history.days import day_rows
from processors.intensity import Period
from processors.judge import judge
from processors.policy.load import load_packs
from processors.settings import VerdictSettings

MADE = {"from": "2026-11-01", "until": "2026-11-23", "unit": "t", "declared_by": "Li"}


def test_the_package_holds_what_was_declared_by_then_and_parts_energy_anew(tmp_path):
    packs, _ = load_packs(CONFIG / "policy")
    world = World(tmp_path, site())
    world.past = Past(month(), Book.of([world.site]))
    clock = [NOW]
    book = ActivityBook(tmp_path / "activity.db", lambda: clock[0])
    for product, output in (("clinker_el", 10.0), ("cement_preparation", 10.0)):
        told = MADE | {"activity": product, "value": output}
        book.declare("works", Declaration.model_validate(told))

    def declared(one, at):
        return with_activity([one], standing(book.acts(), at))[0]

    world.sources = replace(world.sources, packs=packs, history=world.past, declared=declared)
    days = day_rows(world.past.blocks, Book.of([world.site]).meters, NOW)
    period = Period(date(2026, 11, 1), date(2026, 11, 23))
    known = [declared(world.site, NOW)]
    verdicts = judge(days, known, packs, period, VerdictSettings(), NOW)
    mine = verdicts.filter((pl.col("outcome") == "overrun") & (pl.col("row_id") == "clinker_el"))
    assert mine["allocation"].to_list() == ["output_by_quota"]
    rule = Compiled.of(Rule.model_validate(RULE | {
        "id": "guide", "on": "verdict", "when": "outcome = 'overrun'", "for": "0s",
        "text": {"zh": "{row_name_zh}", "en": "{actual:.1f} {unit}"},
    }))  # fmt: skip
    (alert_id,) = Alerting([rule], world.ledger, [world.site]).observe("verdict", mine)
    clock[0] = NOW + timedelta(hours=1)
    late = MADE | {"activity": "clinker_el", "value": 9e6}
    book.declare("works", Declaration.model_validate(late))
    report = verify(world.export(alert_id))
    world.ledger.close()
    book.close()
    assert report.findings == ()
    assert (report.verdict.outcome, report.verdict.standing) == ("overrun", "clue")
    assert "allocated" in report.verdict.reasons
    assert report.verdict.row["actual"] == pytest.approx(mine["actual"][0])
