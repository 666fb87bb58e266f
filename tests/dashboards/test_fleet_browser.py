"""The Fleet page in a real browser: who is not well and why, gaps, refused data, both languages."""

import fleet_world as fleet
import pytest
from browser import browser

from dashboards.console.server import Console
from dashboards.settings import ConsoleSettings

pytestmark = pytest.mark.chromium
SETTINGS = ConsoleSettings(port=0, refresh_s=0.3)
_FIGURES = "[...document.querySelectorAll('.kpi .figure')].map(f => f.firstChild.data)"
_STATES = (
    "[...document.querySelectorAll('table.rows tbody tr td:first-child')].map(d => d.innerText)"
)
_FITS = "document.documentElement.scroll{0} <= inner{0}"


@pytest.fixture(scope="module")
def page():
    with browser() as page:
        yield page


@pytest.fixture
def console(tmp_path, page):
    console = Console(fleet.sources(tmp_path), SETTINGS, "test")
    console.start()
    page.errors.clear()
    yield console
    page.leave()
    console.stop()


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (1920, 1080)])
def test_the_worst_come_first_each_with_its_reason_on_one_screen(page, console, width, height):
    page.size(width, height)
    page.open(console.url + "/fleet?lang=zh")
    page.shot(f"fleet-zh-{width}")
    text = page.text()
    for told in (
        "4 h 20 min 未收到抄读；抄表无应答：unit 3",
        "718 次抄读完全相同：功率应计 1,412.6 kWh，示值不动",
        "电表时钟慢 6 min 52 s",
        "近一小时成功率 71.2 %",
        "从未收到抄读",
    ):
        assert told in text
    states = [one.split()[-1] for one in page.js(_STATES)]
    assert states[:4] == ["从未上报", "静默", "数值不变", "时钟偏差"]
    assert states[-1] == "正常"
    pager = "document.querySelector('.pager').getBoundingClientRect().bottom"
    assert page.js(f"{pager} <= innerHeight")
    assert all(page.js(_FITS.format(one)) for one in ("Width", "Height"))
    assert page.errors == []


def test_english_and_the_filters_are_links(page, console):
    page.size(1366, 768)
    page.open(console.url + "/fleet?lang=en&state=stale")
    page.shot("fleet-en")
    assert page.js(_STATES) == ["● stale"]
    assert "718 identical readings: power comes to 1,412.6 kWh" in page.text()
    chips = "[...document.querySelectorAll('a.chip')]"
    page.js(f"{chips}.find(a => a.innerText.startsWith('not well')).click()")
    page.wait("location.search.includes('state=unwell')")
    page.wait("document.querySelectorAll('table.rows tbody tr').length === 6")
    page.open(console.url + "/fleet?lang=en&q=zhongxing")
    assert len(page.js(_STATES)) == 3
    page.open(console.url + "/fleet?lang=zh&state=stale")
    assert page.errors == []


def test_the_gap_ledger_tells_cause_span_and_energy_open_first(page, console):
    page.size(1366, 768)
    page.open(console.url + "/fleet?tab=gaps&lang=zh")
    page.shot("fleet-gaps-zh")
    text = page.text()
    assert page.js(_STATES)[0] == "○ 未结"
    for told in ("链路或网关中断", "1,402.7", "迟到数据补齐", "示值复位，不可知", "超出合理范围"):
        assert told in text
    page.open(console.url + "/fleet?tab=gaps&state=recovered&lang=en")
    assert page.js(_STATES) == ["● recovered"]
    page.open(console.url + "/?lang=zh", charts=1)
    page.js("document.querySelector('.kpis a[href=\"/fleet\"]').click()")
    page.wait("location.pathname === '/fleet'")


def test_anomalies_are_dated_against_their_thresholds_and_marked_as_clues(page, console):
    page.size(1366, 768)
    page.open(console.url + "/fleet?tab=anomalies&lang=zh")
    page.shot("fleet-anomalies-zh")
    text = page.text()
    for told in ("失压 B", "41.0 % Un", "78.0 % Un", "功率反向", "总分表差", "示度下降", "未核对"):
        assert told in text
    assert "均为线索，不作证据" in text
    assert "未判别的项目 1" in text
    assert page.js(_STATES) == ["○ 线索", "○ 线索", "○ 线索", "● 已结"]
    assert page.js(_FITS.format("Width"))
    page.open(console.url + "/fleet?tab=anomalies&state=open&lang=en")
    page.shot("fleet-anomalies-en")
    assert page.js(_STATES) == ["○ clue"] * 3
    assert "Anomalies 3" in page.text()
    assert page.errors == []


def test_refused_data_are_read_there_as_text_and_never_as_markup(page, console):
    page.size(1366, 768)
    page.open(console.url + "/fleet?tab=rejects&lang=zh")
    page.shot("fleet-rejects-zh")
    assert "<b>84.1</b>" in page.text()
    assert page.js("document.querySelectorAll('td b').length") == 0
    assert page.errors == []


def test_what_is_typed_in_the_search_survives_the_refresh(page, console):
    page.size(1366, 768)
    page.open(console.url + "/fleet?lang=zh")
    page.js("document.querySelector('input.find').focus()")
    page.call("Input.insertText", text="longhua")
    before = page.js("document.querySelector('.clock').textContent")
    page.wait(f"document.querySelector('.clock').textContent && {before!r}")
    page.js("document.querySelector('input.find').form.requestSubmit()")
    page.wait("location.search.includes('q=longhua')")
    page.wait("document.querySelectorAll('table.rows tbody tr').length === 1")


def test_a_wall_shows_it_large(page, console):
    page.size(3840, 2160)
    page.open(console.url + "/fleet?wall=1&lang=zh")
    page.shot("fleet-wall")
    size = "parseFloat(getComputedStyle(document.querySelector('{}')).fontSize)"
    assert page.js(size.format("table.rows td")) > 30
    assert page.errors == []


def test_before_any_meter_spoke_nothing_is_a_zero_that_is_not_known(page, tmp_path):
    console = Console(fleet.sources(tmp_path, filled=False), SETTINGS)
    console.start()
    try:
        page.size(1366, 768)
        page.open(console.url + "/fleet?lang=zh")
        page.shot("fleet-empty")
        figures = page.js(_FIGURES)
        assert figures[4] == "—"
        assert {one.split()[-1] for one in page.js(_STATES)} == {"从未上报"}
        assert page.errors == []
    finally:
        page.leave()
        console.stop()
