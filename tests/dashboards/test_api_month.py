"""Bills, tariff-period shares and power quality over real HTTP."""

import month_world as world
import pytest
from test_api import get, rows

from dashboards.console.server import Console
from dashboards.settings import ConsoleSettings
from processors.intensity import mains


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return world.sources(tmp_path_factory.mktemp("month"))


@pytest.fixture(scope="module")
def console(sources):
    made = Console(sources, ConsoleSettings(port=0), "1")
    made.start()
    yield made
    made.stop()


def test_a_bill_says_that_it_is_simulated_and_explains_every_line(console):
    told = rows(console, "/api/v1/sites/zhongxing/bill?month=2026-11")
    assert told["simulated"] is True
    lines = {(one["item"], one["period"]): one for one in told["lines"]}
    peak = lines["energy", "peak"]
    assert peak["formula"].endswith(f"= {peak['amount_yuan']:,.2f} yuan")
    assert any("published" in one for one in peak["factors"])  # the ratio is the notice's ...
    assert peak["provenance"] == "illustrative"  # ... and the price is not
    assert lines["power_factor", None]["reason"] == "no_reactive"
    assert "month_not_over" in lines["total", None]["notes"]
    assert rows(console, "/api/v1/sites/huaqiang/bill?month=2026-11")["lines"][0]["reason"] == (
        "no_supply"
    )


def test_shares_of_a_site_and_a_meter_and_none_without_a_contract(console):
    span = "from=2026-11-22&to=2026-11-23&period=day"
    told = rows(console, f"/api/v1/tariff-shares?{span}&site=zhongxing&meter=zhongxing-s1")
    assert {(one["subject"], one["subject_id"]) for one in told} == {
        ("site", "zhongxing"),
        ("meter", "zhongxing-s1"),
    }
    assert sum(one["share"] for one in told) == pytest.approx(2.0)
    every = rows(console, f"/api/v1/tariff-shares?{span}")
    assert {one["reason"] for one in every if one["subject_id"] == "huaqiang"} == {"no_supply"}


def test_the_qualification_rate_names_its_standard(console):
    told = rows(console, "/api/v1/power-quality?from=2026-11-02&to=2026-11-03&period=day"
                "&site=zhongxing")  # fmt: skip
    (row,) = [one for one in told if one["quantity"] == "voltage_deviation_a"]
    assert (row["meter_id"], row["qualified_share"], row["readings"]) == ("zhongxing-m1", 0.75, 96)
    assert row["standard"] == "GB/T 12325"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("sites/nowhere/bill?month=2026-11", 404, "no site 'nowhere'"),
        ("sites/zhongxing/bill?month=2026-13", 422, "month"),
        ("sites/zhongxing/bill?month=9999-12", 422, "month"),
        ("sites/zhongxing/bill", 422, "month"),
        ("tariff-shares?from=2026-11-02&to=2026-11-02", 422, "later than"),
        ("tariff-shares?from=0001-01-01&to=9999-12-31", 422, "days must lie"),
        ("tariff-shares?from=2026-11-01&to=2026-11-02&meter=x", 404, "no meter 'x'"),
        ("power-quality?from=2026-11-01&to=2026-11-02", 422, "name meters or sites"),
        ("power-quality?from=1990-01-01&to=2026-11-02&site=zhongxing", 422, "meter days"),
        ("power-quality?from=2026-11-01&to=2026-11-02&site=x", 404, "no site 'x'"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_reason(console, path, status, said):
    code, _, body = get(console, f"/api/v1/{path}")
    assert code == status
    assert said in body.decode()


def test_months_long_past_and_to_come_are_answers_too(console, sources):
    past = rows(console, "/api/v1/sites/zhongxing/bill?month=1999-01")
    assert {one["reason"] for one in past["lines"]} == {"no_supply", "amounts_missing"}
    later = rows(console, "/api/v1/sites/zhongxing/bill?month=2027-02")
    assert later["lines"][-1]["amount_yuan"] is None
    assert len(mains(sources.sites[0])) == 2
