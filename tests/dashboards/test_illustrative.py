"""Whoever reads a figure of an invented guide reads beside it that it is invented."""

from dataclasses import replace
from datetime import date

import console_world as world
import pytest
from evidence_world import NOW as THEN
from evidence_world import RULE
from policy_rows import day_rows, site

from alerting.evidence import words
from alerting.notices import Place, marked
from dashboards import api
from dashboards.console import parts_alerts, parts_site
from dashboards.console.words import Words
from dashboards.desk import Desk
from dashboards.settings import ConsoleSettings
from dashboards.view_alerts import AlertDetail, AlertRow
from dashboards.view_verdict import intensity_of
from processors.intensity import Period
from processors.judge import judge
from processors.policy.load import load_packs
from processors.settings import VerdictSettings
from processors.whatif import Change, whatif

PACKS, _ = load_packs(world.ROOT / "config" / "policy")
YEAR = Period.year(2017)
HERE = site(guide="demo-tertiary")
DAYS = day_rows("m", YEAR.start, YEAR.end, 400.0)
ROW = judge(DAYS, [HERE], PACKS, YEAR, VerdictSettings(), THEN).row(0, named=True)
ZH, EN = Words("zh"), Words("en")


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return Desk(world.sources(tmp_path_factory.mktemp("marks")), ConsoleSettings())


def test_the_row_itself_carries_it():
    assert (ROW["outcome"], ROW["provenance"], ROW["standing"]) == (
        "overrun", "illustrative", "clue",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("t", "mark", "grade"), [(ZH, "示例", "五级"), (EN, "illustrative", "grade 5")]
)
def test_the_site_page_marks_the_guide_and_names_grade_and_declarer(t, mark, grade):
    html = parts_site.verdict(intensity_of(ROW, PACKS), t)
    assert f'<span class="tag doubt">{mark}</span>' in html
    assert grade in html
    assert "owner" in html


def test_the_site_page_says_what_is_estimated():
    told = {"allocation": "remainder declared_share", "annualised": "shape of 2016"}
    html = parts_site.verdict(intensity_of(ROW | told, PACKS), EN)
    assert "main meters less sub-meters + by declared share" in html
    assert "shape of 2016" in html


def test_the_site_page_marks_the_surcharge(desk):
    page = desk.site("huaqiang", date(2026, 11, 23))
    quota = replace(page.quota, surcharge_yuan=100.0)
    assert quota.surcharge_provenance == "illustrative"
    assert "示例" in parts_site.quota(replace(page, quota=quota), ZH)


PLACE = Place("某店", "A shop", "Asia/Shanghai")


@pytest.mark.parametrize(
    ("template", "row", "zh", "en"),
    [
        ("{actual:.0f}", {"provenance": "illustrative"}, "9（示例）", "9 (illustrative)"),
        ("{actual:.0f} {provenance}", {"provenance": "illustrative"}, "9 示例", "9 illustrative"),
        ("{actual:.0f}", {"provenance": "unverified"}, "9（未核实）", "9 (unverified)"),
        ("{actual:.0f}", {"provenance": "published"}, "9", "9"),
        ("{actual:.0f}", {"surcharge_provenance": "illustrative"}, "9", "9"),
        ("{surcharge_yuan}", {"surcharge_provenance": "illustrative, published"},
         "5（示例）", "5 (illustrative)"),
    ],
)  # fmt: skip
def test_an_alert_says_it_whatever_its_rule_forgot(template, row, zh, en):
    told = {"actual": 9.0, "surcharge_yuan": 5} | row
    assert marked(template, told, PLACE, zh=True) == zh
    assert marked(template, told, PLACE, zh=False) == en


def test_the_alerts_page_marks_the_figures_an_alert_fired_on(desk):
    row: AlertRow = desk.alerts()[0]
    view = AlertDetail(row, (), (("threshold", 130.0), ("provenance", "illustrative")))
    assert '<span class="tag doubt">示例</span>' in parts_alerts.history(view, "Asia/Shanghai", ZH)


def test_tables_packages_and_what_if_carry_it(desk):
    assert "illustrative, no law" in words.PROVENANCES["illustrative"]
    changed = whatif(DAYS, [HERE], PACKS, YEAR, VerdictSettings(), THEN, Change(tighten=0.1))
    assert changed["provenance"].to_list() == ["illustrative"]
    answers = {route.path: route.endpoint for route in api._present(desk).routes}
    assert b'"provenance":"illustrative"' in answers["/verdicts"]().body
    assert b'"surcharge_provenance":"illustrative"' in answers["/quotas"]().body
    assert RULE["on"] == "site_interval"  # contract demand: no figure of a pack
