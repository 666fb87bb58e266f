"""The console's words, figures and HTML: both languages whole, nothing from outside unescaped."""

import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import console_world as world
import pytest

import dashboards.console
from collector.site import Text
from dashboards.console import (
    parts,
    parts_alerts,
    parts_city,
    parts_indices,
    parts_meters,
    parts_site,
    text,
)
from dashboards.console.chart_load import load_curve
from dashboards.console.chart_quota import burn_down
from dashboards.console.words import LANGUAGES, WORDS, words
from dashboards.console.words_fleet import FLEET_WORDS
from dashboards.desk import Desk
from dashboards.settings import ConsoleSettings
from dashboards.view_alerts import Filter
from processors.verdict import Outcome, Reason, Standing

CONSOLE = Path(dashboards.console.__file__).parent


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return Desk(world.sources(tmp_path_factory.mktemp("pieces")), ConsoleSettings())


def test_every_word_the_pages_ask_for_exists():
    source = "\n".join(path.read_text(encoding="utf-8") for path in CONSOLE.glob("*.py"))
    asked = set(re.findall(r"\bt\(['\"](\w+)['\"]\)", source))
    assert asked - set(WORDS) - set(FLEET_WORDS) == set()
    assert all(zh and en for zh, en in WORDS.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_outcome_standing_and_reason_has_words(language):
    t = words(language)
    keys = [f"outcome_{one}" for one in Outcome] + [f"standing_{one}" for one in Standing]
    for key in [*keys, *Reason]:
        assert t(str(key)) != str(key)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_shows_a_raw_key_or_none(desk, language):
    t = words(language)
    city, site = desk.city(), desk.site("zhongxing")
    shown = [
        parts_city.kpis(city, t), parts_city.sites(city, t), parts_city.alerts(city, t),
        parts_city.districts(city, t), parts_meters.head(site, t), parts_meters.kpis(site, t),
        parts_indices.indices(site, t), parts_indices.indices(desk.site("luohu-hotel"), t),
        parts_meters.meters(site, t), parts_site.running(site, t), parts_site.quota(site, t),
        parts_site.year(site, t),
        parts_site.intensity(desk.site("luohu-hotel"), t),
        parts_alerts.detail(desk.alert("A-0002"), desk.timezone, t, download=True),
        parts_alerts.history(desk.alert("A-0002"), desk.timezone, t),
    ]  # fmt: skip
    told = re.sub(r"<[^>]+>", " ", " ".join(shown))
    assert re.search(r"\b(None|nan|null|[a-z]+_[a-z_]+)\b", told) is None


def test_names_and_texts_from_outside_are_escaped(desk):
    bad = "<script>alert(1)</script>"
    t = words("en")
    row = replace(desk.alerts()[0], site_name=Text(zh=bad, en=bad), text=Text(zh=bad, en=bad),
                  handling="acknowledged", handled_by=bad)  # fmt: skip
    detail = replace(desk.alert("A-0001"), alert=row, figures=((bad, bad),))
    shown = [
        parts.alert(row, t, "Asia/Shanghai"),
        parts_alerts.listing([row], "", Filter(site_id=bad), "Asia/Shanghai", t),
        parts_alerts.filters(Filter(site_id=bad), bad, t),
        parts_alerts.detail(detail, "Asia/Shanghai", t, download=False),
        parts_alerts.history(detail, "Asia/Shanghai", t),
        parts_city.find(bad, t),
    ]
    assert "<script" not in "".join(shown)


def test_a_ratio_just_below_the_limit_is_not_rounded_up_to_it():
    assert text.percent(0.9999) == "99.9 %"
    assert text.percent(1.0) == "100.0 %"
    assert text.percent(1.0004) == "100.0 %"
    assert text.percent(None) == "—"


def test_figures_and_spans_read_well():
    assert text.figure(None) == "—"
    assert text.scaled(123_456.0, "kWh") == ("123.5", "MWh")
    assert text.scaled(99.94, "kW") == ("99.9", "kW")
    assert text.span(4 * 3600 + 20 * 60) == "4 h 20 min"
    assert text.span(59.9) == "59 s"
    assert text.countdown(timedelta(minutes=5, seconds=6)) == "05:06"


def test_an_alert_does_not_repeat_the_name_that_stands_beside_it(desk):
    name = Text(zh="明辉", en="Minghui")
    row = replace(desk.alerts()[0], site_name=name, text=Text(zh="明辉：超过", en="Minghui: above"))
    assert (parts.says(row, words("zh")), parts.says(row, words("en"))) == ("超过", "above")


def test_thresholds_that_are_not_published_are_marked():
    t = words("zh")
    assert parts.provenance("published", t) == ""
    assert "示例" in parts.provenance("illustrative, published", t)
    assert "未核实" in parts.provenance("unverified", t)


def test_the_curve_leaves_gaps_marks_doubt_and_fills_overrun(desk):
    site = desk.site("zhongxing")
    chart = load_curve(site.today, site.yesterday, site.at, words("en"), 2000.0, site.running)
    gaps, over, yesterday, today, doubts, projected = (one["data"] for one in chart["series"])
    assert [n for n, one in enumerate(gaps) if one] == [10, 11, 12, 13]
    assert today[10:14] == [None] * 4
    assert today[41:] == [None] * 55
    assert all(one is None or one > 2000 for one in over)
    assert [label for label, _ in doubts] == ["05:00", "05:15", "05:30"]
    assert projected == [["10:15", 1993.5]]
    assert len(yesterday) == len(today) == 96


def test_the_burn_down_ends_where_the_month_stands_and_goes_on_as_projected(desk):
    quota = desk.site("zhongxing").quota
    assert quota is not None
    chart = burn_down(quota, "Asia/Shanghai", words("en"))
    pace, _, _, ahead, stated = (one["data"] for one in chart["series"])
    assert pace[-1] == [30, quota.quota_kwh]
    assert stated[-1] == ahead[0] == [22.434, round(quota.energy_kwh, 1)]
    assert ahead[-1][0] == 30


def test_the_year_burns_down_beside_the_month_and_the_load_cap_stands_above(desk):
    t, site = words("en"), desk.site("zhongxing")
    assert "Load cap 1,500 kW" in parts_site.quota(site, t)
    assert "above for" in parts_site.quota(site, t)
    assert "no year before: no season expected" in parts_site.year(site, t)
    chart = burn_down(site.year, "Asia/Shanghai", t)
    assert (chart["xAxis"]["max"], chart["series"][0]["data"][-1][0]) == (365, 365)
    kept = replace(site, cap=replace(site.cap, blocks_above=0, hours_above=0.0, kwh_above=0.0))
    assert "not exceeded this month" in parts_site.cap(kept, t)
    free = replace(site, cap=replace(site.cap, cap_kw=None))
    assert "none binds this month" in parts_site.cap(free, t)


def test_a_day_without_data_leads_to_the_last_day_that_has_some(desk):
    page = desk.site("zhongxing", date(2026, 9, 1))
    assert page.total.energy_kwh is None
    assert "/site/zhongxing?day=2026-11-23" in parts_meters.head(page, words("zh"))
