"""The pages in a real browser: they show what is known, follow what changes, and throw nothing."""

import re
import time
from dataclasses import replace
from datetime import timedelta

import console_world as world
import pytest
from browser import browser

from dashboards.console.server import Console
from dashboards.settings import ConsoleSettings

pytestmark = pytest.mark.chromium
SETTINGS = ConsoleSettings(port=0, refresh_s=0.3)
_FIGURES = "[...document.querySelectorAll('.kpi .figure')].map(f => f.firstChild.data)"


class Moving:
    """Site time and live picture that a test can move."""

    def __init__(self) -> None:
        self.now = world.NOW

    def live(self):
        return world.live(self.now)


@pytest.fixture(scope="module")
def page():
    with browser() as page:
        yield page


@pytest.fixture
def city(tmp_path, page):
    moving = Moving()
    sources = replace(world.sources(tmp_path), now=lambda: moving.now, live=moving.live)
    console = Console(sources, SETTINGS, "test")
    console.start()
    page.errors.clear()
    yield console, moving
    page.leave()
    console.stop()


def test_the_city_page_shows_load_alerts_coverage_and_stays_on_one_screen(page, city):
    console, _ = city
    page.size(1366, 768)
    page.open(console.url + "/?lang=zh", charts=1)
    page.shot("city-zh")
    text = page.text()
    for told in (
        "当前负荷",
        "覆盖率 95.3 %",
        "区间需量 2,169 kW 超过合同需量 2,000 kW",
        "14",
        "静默 1",
    ):
        assert told in text
    assert page.js("document.documentElement.scrollHeight <= innerHeight")
    assert page.js("document.documentElement.scrollWidth <= innerWidth")
    assert page.errors == []


def test_english_is_one_click_away_and_remembered(page, city):
    console, _ = city
    page.open(console.url + "/?lang=en", charts=1)
    page.shot("city-en")
    assert "Load now" in page.text()
    page.open(console.url + "/alerts?state=all")
    assert "Timeline".lower() in page.text().lower()
    page.open(console.url + "/?lang=zh", charts=1)
    assert page.errors == []


def test_the_site_page_shows_the_allowed_power_the_crossing_and_the_gap(page, city):
    console, _ = city
    page.size(1366, 1100)
    page.open(console.url + "/site/zhongxing?lang=zh", charts=3)
    page.shot("site-zh")
    text = page.text()
    for told in (
        *("本区间余下时间可用", "2,036", "合同需量 2,000 kW", "预计超定额 11-26", "87.0 %"),
        *("负荷限额 1,500 kW", "年度定额进度", "无上年数据"),
    ):
        assert told in text
    page.open(console.url + "/site/seaview-hotel?lang=en", charts=2)
    page.shot("site-hotel-en")
    assert "illustrative" in page.text()
    assert "clue" in page.text()
    assert page.errors == []


def test_a_silent_site_shows_dashes_and_never_a_zero(page, city):
    console, _ = city
    page.open(console.url + "/site/yantian-cold?lang=zh", charts=2)
    page.shot("site-silent")
    assert page.js("document.querySelector('.hero .figure').textContent") == "—"
    assert "静默 4 h 20 min" in page.text()


def test_figures_follow_without_a_reload(page, city):
    console, moving = city
    page.open(console.url + "/site/zhongxing?lang=zh", charts=2)
    assert "剩余 05:36" in page.text()
    moving.now += timedelta(minutes=2)
    page.wait("document.body.innerText.includes('剩余 03:36')")
    page.wait("document.querySelector('.clock').textContent.endsWith('10:26:30')")
    assert page.errors == []


def test_an_alert_is_acknowledged_by_name_on_the_page(page, city):
    console, _ = city
    page.size(1366, 768)
    page.open(console.url + "/alerts?id=A-0001&lang=zh")
    page.shot("alerts-zh")
    press = "[...document.querySelectorAll('.ack button')][0].click()"
    page.js(press)
    page.wait("document.body.innerText.includes('请填写姓名')")
    page.js("document.querySelector('.ack input').focus()")
    page.call("Input.insertText", text="李工")
    page.wait("document.querySelector('.ack input').value === '李工'")
    page.js(press)
    page.wait("document.body.innerText.includes('已确认 · 李工')")
    page.wait("getComputedStyle(document.querySelector('.ack')).display === 'none'")
    assert console.desk.sources.ledger.alert("A-0001").facts["handled_by"] == "李工"


@pytest.mark.parametrize("path", ["/?wall=1", "/site/zhongxing?wall=1"])
def test_a_4k_wall_shows_type_that_is_legible_at_three_metres(page, city, path):
    console, _ = city
    page.size(3840, 2160)
    page.open(console.url + path, charts=1)
    page.shot("wall" + path.split("?", maxsplit=1)[0].replace("/", "-").rstrip("-"))
    # 55" 4K: 0.317 mm a pixel; 3 m asks for a cap height of 9 mm, type of about 40 px for text.
    size = "parseFloat(getComputedStyle(document.querySelector('{}')).fontSize)"
    assert page.js(size.format(".kpi .figure")) > 90
    assert page.js(size.format(".kpi .beside")) > 30
    assert page.errors == []


def test_nothing_is_fetched_from_anywhere_else(page, city):
    console, _ = city
    page.open(console.url + "/?lang=zh", charts=1)
    names = page.js("performance.getEntriesByType('resource').map(one => one.name)")
    assert len(names) > 5
    assert [one for one in names if not one.startswith((console.url, "data:", "blob:"))] == []


def test_before_any_meter_spoke_everything_is_a_dash(page, tmp_path):
    console = Console(world.sources(tmp_path, filled=False), SETTINGS)
    console.start()
    try:
        page.size(1366, 768)
        page.open(console.url + "/?lang=zh", charts=1)
        page.shot("city-empty")
        figures = page.js(_FIGURES)
        assert figures[:3] == ["—", "—", "—"]
        page.open(console.url + "/site/zhongxing?lang=zh", charts=1)
        page.shot("site-empty")
        assert re.search(r"(?<![\d,.])0(\.0)? kW", page.text()) is None
        assert page.errors == []
    finally:
        page.leave()
        console.stop()


def test_the_console_stops_within_two_seconds_while_pages_are_open(page, tmp_path):
    console = Console(world.sources(tmp_path), SETTINGS)
    console.start()
    page.open(console.url + "/?lang=zh", charts=1)
    begun = time.monotonic()
    console.stop()
    assert time.monotonic() - begun < 2.0
    page.leave()
