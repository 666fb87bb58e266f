"""The month page: every line explained and marked, in both languages; a real browser shows it."""

from dataclasses import replace
from datetime import date

import month_world as world
import polars as pl
import pytest
from browser import browser

from dashboards.console import parts_meters, parts_month
from dashboards.console.page_month import month_of
from dashboards.console.server import Console
from dashboards.console.words import words
from dashboards.console.words_month import MONTH_WORDS
from dashboards.desk import Desk, UnknownSiteError
from dashboards.settings import ConsoleSettings
from processors.indices import Why
from processors.power_quality import BASES, NO_LIMIT, NO_NOMINAL, NO_VOLTAGE
from processors.quality_limits import MEASURES
from processors.tariff.lines import NOTES, REASONS, Item
from processors.tariff.split import PERIOD


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return world.sources(tmp_path_factory.mktemp("month"))


@pytest.fixture(scope="module")
def desk(sources):
    return Desk(sources, ConsoleSettings(port=0))


def test_the_bill_is_that_of_the_command_and_marked_as_a_simulation(desk):
    view = desk.month("zhongxing")
    assert view.month == date(2026, 11, 1)
    for language, told in (("zh", ("测算", "峰", "示例")), ("en", ("simulation", "peak"))):
        shown = parts_month.bill(view, words(language))
        for row in view.bill.drop_nulls("formula").to_dicts():
            formula = row["formula"]
            assert (formula if language == "en" else formula.replace("yuan", "元")) in shown
            assert f"{row['amount_yuan']:,.2f}" in shown
        for said in told:
            assert said in shown
        assert ("price" in shown or "yuan" in shown) == (language == "en")
    assert "made up for a trial" in shown
    assert "published" in shown  # of the ratio


def test_what_is_not_known_is_a_dash_with_its_reason(desk):
    shown = parts_month.bill(desk.month("huaqiang"), words("zh"))
    assert "未登记供用电合同" in shown
    assert "—" in shown
    assert "未登记供用电合同" in parts_month.shares(desk.month("huaqiang"), words("zh"))
    empty = desk.month("zhongxing", date(2020, 1, 1))
    assert "无数据" in parts_month.shares(empty, words("zh"))
    assert "本月无电压" in parts_month.quality(empty, words("zh"))


def test_the_qualification_rate_stands_beside_its_limit_and_standard(desk):
    shown = parts_month.quality(desk.month("zhongxing", date(2026, 11, 1)), words("zh"))
    for told in ("A 相电压偏差", "75.00 %", "-7 … 7", "GB/T 12325", "非标准规定"):
        assert told in shown


def test_periods_stand_from_the_dearest_to_the_cheapest(desk):
    shown = parts_month.shares(desk.month("zhongxing"), words("en"))
    places = [shown.index(f"<td>{one}</td>") for one in ("peak", "flat", "valley")]
    assert places == sorted(places)
    assert "22 days of unknown heat" in shown


def test_months_to_come_are_the_running_one_and_unknown_sites_are_refused(desk):
    view = desk.month("zhongxing", date(2030, 1, 1))
    assert view.month == date(2026, 11, 1)
    assert "›" not in parts_month.head(view, words("en"))
    assert "›" in parts_month.head(desk.month("zhongxing", date(2026, 9, 1)), words("en"))
    with pytest.raises(UnknownSiteError):
        desk.month("nowhere")
    assert month_of("2026-09") == date(2026, 9, 1)
    assert {month_of(one) for one in ("", "2026-13", "9999-01", "x", "2026-9")} == {None}
    assert "/site/zhongxing/month" in parts_meters.head(desk.site("zhongxing"), words("en"))


def test_hostile_names_are_escaped(desk):
    view = desk.month("zhongxing")
    bad = "<script>alert(1)</script>"
    bill = view.bill.with_columns(
        factors=pl.lit([bad]), factors_zh=pl.lit([bad]), formula=pl.lit(bad)
    )
    quality = view.quality.with_columns(meter_id=pl.lit(bad), standard=pl.lit(bad))
    site = view.site.model_copy(update={"name": {"zh": bad, "en": bad}})
    view = replace(view, bill=bill, quality=quality, site=site)
    parts = (parts_month.head, parts_month.bill, parts_month.quality)
    assert not any("<script>" in part(view, words(one)) for part in parts for one in ("en", "zh"))


def test_every_word_a_row_may_hold_has_words_in_both_languages():
    wanted = {f"bill_item_{one.value}" for one in Item} | {f"bill_note_{one}" for one in NOTES}
    wanted |= {f"bill_reason_{one}" for one in REASONS}
    wanted |= {f"tariff_{one}" for one in PERIOD.categories}
    wanted |= {f"quality_{one.name}" for one in MEASURES} | {"quality_power_factor"}
    reasons = {Why.NO_DATA, Why.LOW_COVERAGE, Why.NO_LOAD}
    wanted |= {f"bill_reason_{one.value}" for one in (*reasons, Why.NO_LABEL)}
    wanted |= {f"quality_basis_{one}" for one in BASES}
    told = {one.value for one in reasons} | {NO_LIMIT, NO_NOMINAL, NO_VOLTAGE}
    wanted |= {f"quality_reason_{one}" for one in told}
    assert wanted <= set(MONTH_WORDS)
    assert all(all(pair) for pair in MONTH_WORDS.values())


@pytest.mark.chromium
def test_a_browser_shows_the_page_and_throws_nothing(sources):
    console = Console(sources, ConsoleSettings(port=0, refresh_s=0.3), "test")
    console.start()
    try:
        with browser() as page:
            page.size(1366, 1400)
            page.open(console.url + "/site/zhongxing/month?month=2026-11&lang=zh")
            page.shot("month-zh")
            text = page.text()
            for told in ("电费测算", "电度电费 · 峰", "合计", "尖峰平谷电量", "合格率", "75.00 %"):
                assert told in text
            assert page.js("document.documentElement.scrollWidth <= innerWidth")
            page.open(console.url + "/site/zhongxing/month?month=2026-10&lang=en")
            page.shot("month-en")
            page.open(console.url + "/site/nowhere/month")
            assert page.errors == []
    finally:
        console.stop()
