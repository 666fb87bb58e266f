"""The view models: gaps stay gaps, sums carry coverage, unknown is None."""

from datetime import UTC, date, datetime, timedelta

import console_world as world
import polars as pl
import pytest

from collector.reading import UTC_US
from collector.site import Site
from dashboards import curve, fleet, view_city
from dashboards.desk import Desk, UnknownSiteError
from dashboards.settings import ConsoleSettings
from dashboards.view_alerts import Filter, chosen
from processors.book import Book
from processors.interval import BLOCK, INTERVAL
from processors.live import LIVE

ZONE = "Asia/Shanghai"
DAY = date(2026, 11, 23)
MIDNIGHT = datetime(2026, 11, 22, 16, tzinfo=UTC)


def book(*rated, sub=None):
    meters = [{"id": f"m{n}", "rated_power_kw": kw} for n, kw in enumerate(rated)]
    if sub:
        meters.append({"id": "sub", "role": "sub", "rated_power_kw": sub})
    name = {"zh": "甲", "en": "A"}
    site = {"id": "a", "name": name, "kind": "factory", "district": "d", "meters": meters}
    return Book.of([Site.model_validate(site)])


def rows(*blocks):
    """INTERVAL rows of (meter, block of the day, energy, coverage, quality)."""
    told = [
        {"meter_id": meter, "start": MIDNIGHT + n * BLOCK, "end": MIDNIGHT + (n + 1) * BLOCK,
         "energy_kwh": energy, "coverage": coverage, "quality": quality}
        for meter, n, energy, coverage, quality in blocks
    ]  # fmt: skip
    return pl.DataFrame(told, schema=INTERVAL)


@pytest.mark.parametrize(
    ("zone", "day", "count"),
    [
        ("Asia/Shanghai", date(2026, 11, 23), 96),
        ("Europe/Berlin", date(2026, 3, 29), 92),
        ("Europe/Berlin", date(2026, 10, 25), 100),
    ],
)
def test_a_day_has_as_many_blocks_as_its_clock_says(zone, day, count):
    slots = curve.slots(day, zone)
    assert slots.height == count
    assert slots["label"][0] == "00:00"
    assert slots["end"][-1] == curve.bounds(day + timedelta(days=1), zone)[0]


def test_main_meters_add_up_and_sub_meters_do_not():
    told = rows(("m0", 0, 10.0, 1.0, "measured"), ("m1", 0, 5.0, 1.0, "interpolated"),
                ("sub", 0, 99.0, 1.0, "measured"))  # fmt: skip
    first = curve.curve(told, book(300, 100, sub=50), DAY, ZONE).row(0, named=True)
    assert first["energy_kwh"] == 15.0
    assert first["demand_kw"] == 60.0
    assert first["quality"] == "interpolated"
    assert first["coverage"] == 1.0


def test_a_silent_main_meter_lowers_coverage_by_its_rated_power():
    one = curve.curve(rows(("m0", 0, 10.0, 1.0, "measured")), book(300, 100), DAY, ZONE)
    assert one["energy_kwh"][0] == 10.0
    assert one["coverage"][0] == pytest.approx(0.75)
    assert one["quality"][0] == "missing"


def test_a_block_nobody_measured_is_null_and_not_in_the_total():
    told = rows(("m0", 0, 10.0, 1.0, "measured"), ("m0", 1, None, 0.0, "missing"),
                ("m0", 3, 30.0, 0.5, "estimated"))  # fmt: skip
    day = curve.curve(told, book(100), DAY, ZONE)
    assert day["energy_kwh"][:4].to_list() == [10.0, None, None, 30.0]
    total = curve.total(day, MIDNIGHT + 4 * BLOCK)
    assert total.energy_kwh == 40.0
    assert total.coverage == pytest.approx(1.5 / 4)
    assert total.estimated_share == pytest.approx(0.75)
    assert (total.max_demand_kw, total.max_demand_label) == (120.0, "00:45")


def test_no_data_is_none_and_never_zero():
    day = curve.curve(rows(), book(100), DAY, ZONE)
    total = curve.total(day, MIDNIGHT + BLOCK)
    assert total.energy_kwh is None
    assert total.max_demand_kw is None
    assert total.coverage == 0.0
    assert curve.total(day, MIDNIGHT).coverage is None


def test_a_block_that_is_still_arriving_is_not_shown_as_a_drop():
    told = rows(("m0", 0, 10.0, 1.0, "measured"), ("m1", 0, 10.0, 1.0, "measured"),
                ("m0", 1, 10.0, 1.0, "measured"))  # fmt: skip
    day = curve.curve(told, book(100, 100), DAY, ZONE)
    soon, late = MIDNIGHT + 2 * BLOCK + timedelta(minutes=2), MIDNIGHT + 4 * BLOCK
    until = curve.settled(day, soon, timedelta(minutes=15))
    assert until == MIDNIGHT + BLOCK
    assert curve.shown(day, until)["energy_kwh"][:2].to_list() == [20.0, None]
    assert curve.total(day, until).coverage == 1.0
    after = curve.settled(day, late, timedelta(minutes=15))
    assert curve.shown(day, after)["energy_kwh"][:2].to_list() == [20.0, 10.0]


def test_change_is_told_only_where_both_spans_are_covered():
    full = curve.Total(110.0, 1.0, 0.0, 1.0, "", 4)
    assert view_city.change(full, curve.Total(100.0, 0.99, 0, 1, "", 4)) == pytest.approx(0.1)
    assert view_city.change(full, curve.Total(100.0, 0.9, 0, 1, "", 4)) is None
    assert view_city.change(full, curve.Total(None, None, None, None, "", 0)) is None
    assert view_city.change(full, curve.Total(0.0, 1.0, 0, 0, "", 4)) is None


def live(*told):
    """LIVE rows of (meter, seconds ago, power, energy so far)."""
    now = MIDNIGHT + timedelta(minutes=10)
    made = [
        (meter, "a", True, now - timedelta(seconds=ago), now, kw, MIDNIGHT, so_far, kw, kw, kw)
        for meter, ago, kw, so_far in told
    ]
    return now, pl.DataFrame(made, schema=LIVE, orient="row")


def test_a_silent_meter_has_no_present_power_and_its_site_no_allowance():
    now, told = live(("m0", 5, 100.0, 15.0), ("m1", 4000, 50.0, 7.0))
    known = book(100, 100, 100)
    state = fleet.fleet(known, told, now, 900.0)
    assert state["voice"].to_list() == ["heard", "silent", "never"]
    assert state["power_kw"].to_list() == [100.0, None, None]
    assert fleet.count(state) == fleet.Count(1, 1, 1)
    row = fleet.running(state, limit(200.0), known).row(0, named=True)
    assert (row["power_kw"], row["heard_mains"], row["mains"]) == (100.0, 1, 3)
    assert row["allowed_kw"] is None


def limit(contract):
    kinds = {"site_id": pl.String, "contract_demand_kw": pl.Float64, "quota_month_kwh": pl.Float64}
    return pl.DataFrame([("a", contract, None)], schema=kinds, orient="row")


def test_the_allowance_is_what_reaches_the_contract_demand_in_the_time_left():
    now, told = live(("m0", 0, 100.0, 20.0))
    known = book(500)
    row = fleet.running(fleet.fleet(known, told, now, 900.0), limit(200.0), known)
    # 200 kW x 0.25 h = 50 kWh; 30 kWh are left for 5 minutes: 360 kW.
    assert row["allowed_kw"][0] == pytest.approx(360.0)


def test_a_site_never_heard_is_listed_with_nulls():
    _, told = live()
    known = book(500)
    row = fleet.running(fleet.fleet(known, told, MIDNIGHT, 900.0), limit(None), known)
    assert row.height == 1
    assert row["power_kw"][0] is None


@pytest.fixture
def desk(tmp_path):
    return Desk(world.sources(tmp_path), ConsoleSettings())


def test_the_city_lists_sites_in_alert_first(desk):
    city = desk.city()
    assert [row.site.id for row in city.sites[:4]] == [
        "zhongxing", "huaqiang", "seaview-hotel", "yantian-cold",
    ]  # fmt: skip
    assert city.severities == {"critical": 2, "warning": 2, "info": 0}
    assert city.meters == fleet.Count(14, 1, 1)
    assert city.load_coverage is not None
    assert 0.9 < city.load_coverage < 1.0
    assert [row.site.id for row in desk.city(search="hotel").sites] == [
        "seaview-hotel", "luohu-hotel",
    ]  # fmt: skip


def test_a_site_shows_its_quota_verdict_meters_and_alerts(desk):
    page = desk.site("seaview-hotel")
    verdict = page.intensities[0]
    assert verdict.outcome == "overrun"
    assert [level.value for level in verdict.levels] == [70, 90, 110, 130]
    assert {level.provenance for level in verdict.levels} == {"illustrative"}
    assert page.quota is not None
    assert page.quota.crosses_at is not None
    assert page.quota.curve.height == 30
    assert (page.year, page.cap) == (None, None)
    assert page.alerts[0].rule_id == "guide-overrun"
    assert [row.voice for row in page.meters] == ["heard"]


def test_a_site_shows_its_year_and_its_load_cap(desk):
    page = desk.site("zhongxing")
    assert page.year is not None
    assert (page.year.span, page.year.length, page.year.curve.height) == ("year", 365, 365)
    assert page.year.season == "none"
    assert page.cap is not None
    assert page.cap.blocks_above is not None
    assert page.cap.blocks_above > 0
    assert page.cap.start == datetime(2026, 11, 15, 16, tzinfo=UTC)


def test_a_past_day_compares_with_the_day_before_and_an_unknown_site_is_an_error(desk):
    page = desk.site("zhongxing", date(2026, 11, 20))
    assert not page.is_today
    assert page.total.blocks == 96
    assert page.yesterday["label"][0] == "00:00"
    with pytest.raises(UnknownSiteError):
        desk.site("nobody")


def test_alerts_are_filtered_and_the_most_pressing_come_first(desk):
    rows = desk.alerts()
    ids = [row.alert_id for row in chosen(rows, Filter(state="all"))]
    assert ids == ["A-0001", "A-0003", "A-0004", "A-0002", "A-0005"]
    assert [row.alert_id for row in chosen(rows, Filter(severity="critical"))] == [
        "A-0001",
        "A-0002",
    ]
    assert [row.alert_id for row in chosen(rows, Filter("resolved"))] == ["A-0005"]
    assert [row.alert_id for row in chosen(rows, Filter("all", "", "longhua-pcb"))] == ["A-0005"]


def test_an_acknowledgement_is_seen_at_once_and_in_the_timeline(desk):
    assert desk.alerts()
    desk.acknowledge("A-0001", "Li", "called the plant")
    row = next(row for row in desk.alerts() if row.alert_id == "A-0001")
    assert (row.handling, row.handled_by) == ("acknowledged", "Li")
    last = desk.alert("A-0001").acts[-1]
    assert (last.act, last.actor, last.note) == ("acknowledged", "Li", "called the plant")


def test_views_are_computed_once_for_many_screens(tmp_path):
    calls = []
    sources = world.sources(tmp_path)
    original = sources.live
    counted = Desk(
        world.replace_live(sources, lambda: (calls.append(1), original())[1]),
        ConsoleSettings(refresh_s=60),
    )
    for _ in range(5):
        counted.city()
        counted.site("zhongxing")
    assert len(calls) == 1


def test_instants_are_utc_microseconds(desk):
    assert desk.curve(DAY)["start"].dtype == UTC_US
