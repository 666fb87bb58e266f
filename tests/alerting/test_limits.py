"""Yearly quotas and load caps: stated, alarmed on, and computed again from the evidence."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from evidence_world import NOW, QUOTA, T0, World, site
from policy_rows import REPO, at, day_rows
from policy_rows import site as plain_site

from alerting.evidence.verify import verify
from alerting.limits import Limits
from alerting.office import Alerting
from alerting.rules import Compiled, Rule, load_rules
from processors.book import Book
from processors.cap import cap_states
from processors.history.store import History
from processors.policy.load import Packs
from processors.quota import accounts
from processors.settings import QuotaSettings
from processors.terms import Span

YEAR = [{"from": "2020-01-01", "value": 2500, "declared_by": "District"}]
CAP = [{"from": "2026-11-23", "value": 500, "declared_by": "notice 3"}]


@pytest.fixture
def world(tmp_path):
    found = World(tmp_path, site(quota_year_kwh=YEAR, cap_kw=CAP))
    yield found
    found.ledger.close()


def fire(world, kind, when, rows):
    text = {"zh": "x", "en": "x"}
    rule = Rule.model_validate(QUOTA | {"id": kind, "on": kind, "when": when, "text": text})
    office = Alerting([Compiled.of(rule)], world.ledger, [world.site])
    return office.observe(kind, rows)


def test_a_load_cap_overrun_is_computed_again_from_the_registers(world):
    rows = cap_states(world.past.blocks, [world.site], NOW)
    assert rows.select("blocks_above", "hours_above").row(0) == (4, 1.0)
    alert = fire(world, "cap", "blocks_above > 0 and kwh_above > 150", rows)
    report = verify(world.export(alert[0]))
    assert report.findings == ()
    assert (report.verdict.outcome, report.verdict.standing) == ("overrun", "evidence")
    assert report.verdict.row["kwh_above"] == pytest.approx(200.0)
    assert report.verdict.row["worst_kw"] == pytest.approx(700.0)


def test_a_yearly_overrun_is_computed_again_from_the_registers(world):
    row = {"site_id": "works", "at": T0 + timedelta(hours=11.5), "month": date(2026, 1, 1)}
    rows = pl.DataFrame([row | {"quota_kwh": 2500.0, "energy_kwh": 2800.0, "projected_ratio": 2.0}])
    sure = verify(world.export(fire(world, "quota_year", "energy_kwh > quota_kwh", rows)[0]))
    assert (sure.findings, sure.verdict.outcome, sure.verdict.standing) == (
        (), "overrun", "evidence",
    )  # fmt: skip
    assert sure.verdict.row["energy_kwh"] == pytest.approx(2800.0)


def test_what_is_only_expected_of_a_year_is_never_evidence(world):
    row = {"site_id": "works", "at": T0 + timedelta(hours=9), "month": date(2026, 1, 1)}
    rows = pl.DataFrame([row | {"quota_kwh": 2500.0, "projected_ratio": 2.0}])
    report = verify(world.export(fire(world, "quota_year", "projected_ratio > 1", rows)[0]))
    assert (report.ok, report.verdict.outcome) == (True, "undecided")


def test_a_cap_that_binds_no_more_ends_its_alert(world):
    when, free = "blocks_above > 0", datetime(2026, 12, 2, tzinfo=UTC)
    first = fire(world, "cap", when, cap_states(world.past.blocks, [world.site], NOW))
    until = [{"from": "2026-11-23", "until": "2026-11-25", "value": 500}]
    over = site(cap_kw=until)
    rows = cap_states(world.past.blocks, [over], free)
    assert rows.select("cap_kw", "blocks_due", "blocks_above").row(0) == (None, 0, 0)
    assert fire(world, "cap", when, rows) == first


def test_the_shipped_rules_speak_of_years_and_caps():
    for place in ("demo", "example"):
        rules = load_rules(REPO / "config" / place / "rules", ["operations", "bureau"]).rules
        assert {"quota_year", "cap"} <= {one.rule.on.value for one in rules}


def test_accounts_are_stated_at_their_own_pace(tmp_path):
    of = plain_site(
        quota_month_kwh=[{"from": "2020-01-01", "value": 2550}],
        quota_year_kwh=[{"from": "2020-01-01", "value": 36_000}],
        cap_kw=[{"from": "2020-01-01", "value": 1}],
    )
    now = at(date(2026, 11, 16))
    history = History(tmp_path / "history", lambda: now, Book.of([of]))
    days = day_rows("m", date(2025, 1, 1), date(2026, 11, 16), 100.0)
    history._tables.days.append(days)
    history._tables.days.refresh()
    limits = Limits(history, [of], Packs(), QuotaSettings())
    assert limits.stated("year").is_empty()
    first = limits.look(now)
    assert set(first) == {"quota", "quota_year", "cap"}
    assert set(limits.look(now + timedelta(minutes=16))) == {"quota", "cap"}
    year = limits.stated("year").row(0, named=True)
    assert (year["season"], year["projected_kwh"]) == ("year_before", pytest.approx(36_500))
    assert year["crosses_in_days"] == pytest.approx(41)
    assert limits.stated("month")["projected_kwh"].to_list() == [pytest.approx(3000)]
    assert limits.stated("cap")["blocks"].to_list() == [0]
    alone = accounts(days, [of], now, span=Span.YEAR)
    assert alone.equals(limits.stated("year"), null_equal=True)
