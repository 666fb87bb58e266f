"""Verdicts: outcome, reason, standing and the exact policy row."""

from datetime import date, timedelta

import polars as pl
import pytest
from policy_rows import REPO, at, day_rows, meter, site

from processors.intensity import Period
from processors.judge import judge
from processors.policy.load import PACK, Packs, load_packs
from processors.settings import VerdictSettings
from processors.verdict import VERDICT

Y = Period.year(2017)
START, END = Y.start, Y.end
NOW = at(date(2018, 1, 2))
SETTINGS = VerdictSettings(guides={"lodging": "g"})


def guide(limit=50.0, advanced=30.0, **over):
    row = {
        "id": "hotel",
        "name": {"zh": "旅馆", "en": "Hotel"},
        "unit": "kWh/(m2.a)",
        "levels": {"advanced": advanced, "limit": limit},
        "provenance": "published",
        "table": "表1",
        "page": 3,
    } | over.pop("row", {})
    return pack({"kind": "guide", "id": "g", "rows": [row]} | over)


def quota(**over):
    row = {
        "id": "p_el",
        "name": {"zh": "品", "en": "Product"},
        "product": "p",
        "unit": "kWh/t",
        "levels": {"advanced": 40, "access": 45, "limit": 50},
        "provenance": "published",
        "table": "表1",
        "page": 3,
    } | over
    return pack({"kind": "product_quota", "id": "q", "rows": [row]})


def pack(data):
    roles = ("advanced", "access", "limit")
    levels = [{"id": one, "role": one, "name": {"zh": one, "en": one}} for one in roles]
    if data["kind"] == "guide":
        levels = [levels[0], levels[2]]
    coal = {"value": 0.1229, "basis": "calorific", "provenance": "published"}
    return PACK.validate_python(
        {
            "edition": "2015",
            "title": {"zh": "t", "en": "t"},
            "region": "r",
            "legal": {"document": "D 1-2015"},
            "validity": {"from": date(2015, 6, 1), "provenance": "published"},
            "levels": levels,
            "coal": coal,
        }
        | data
    )


def verdict(kwh, *, of=None, packs=None, period=Y, settings=SETTINGS, now=NOW, days=None):
    days = day_rows("m", period.start, period.end, kwh) if days is None else days
    packs = Packs(tables=(packs or guide(),))
    frame = judge(days, [of or site()], packs, period, settings, now)
    assert frame.schema == pl.Schema(VERDICT)
    return frame.row(0, named=True)


@pytest.mark.parametrize(
    ("kwh", "outcome"),
    [(50.0, "advanced"), (100.0, "within"), (50_000 / 365, "within"), (140.0, "overrun")],
)
def test_outcomes_and_inclusive_bounds(kwh, outcome):
    got = verdict(kwh)
    assert got["outcome"] == outcome
    assert got["actual"] == pytest.approx(kwh * 365 / 1000)
    assert got["ratio"] == pytest.approx(got["actual"] / 50.0)
    assert got["reason"] is None


def test_a_verdict_names_the_very_row():
    got = verdict(140.0)
    assert (got["pack_id"], got["edition"], got["row_id"]) == ("g", "2015", "hotel")
    assert (got["document"], got["clause"], got["provenance"]) == (
        "D 1-2015",
        "表1, p. 3",
        "published",
    )
    assert (got["threshold"], got["level"], got["unit"]) == (50.0, "limit", "kWh/(m2.a)")
    assert (got["denominator"], got["denominator_unit"], got["declared_by"]) == (
        1000,
        "m2",
        "owner",
    )
    assert got["verdict_id"] == "s:g:hotel:2017-01-01:2018-01-01"
    assert (got["standing"], got["standing_reasons"]) == ("evidence", [])


def test_standing_is_said_of_overruns_only():
    assert verdict(50.0)["standing"] is None


OPTIONAL = {"corrections": [{"formula": "hotel_occupancy", "when_missing": "none"}]}
UNVERIFIED = [{"id": "m"}]
EXPIRED = [{"id": "m", "verification": {"certificate": "c", "valid_until": "2017-12-31"}}]


@pytest.mark.parametrize(
    ("change", "clue"),
    [
        ({"packs": guide(row={"provenance": "illustrative"})}, "threshold_not_published"),
        ({"packs": guide(row={"provenance": "unverified"})}, "threshold_not_published"),
        ({"packs": guide(row={"page": None})}, "source_not_exact"),
        (
            {"packs": guide(validity={"not_before": date(2015, 1, 1)})},
            "validity_not_published",
        ),
        ({"of": site(meters=UNVERIFIED)}, "meter_not_verified"),
        ({"of": site(meters=EXPIRED)}, "meter_not_verified"),
        (
            {"of": site(floor_area_m2=[{"from": "2010-01-01", "value": 1000}])},
            "denominator_not_declared",
        ),
        ({"packs": guide(row=OPTIONAL)}, "not_corrected"),
        ({"days": day_rows("m", START, END, 140.0, estimated_share=0.2)}, "much_estimated"),
        ({"days": day_rows("m", START + timedelta(days=15), END, 140.0)}, "only_extrapolated"),
    ],
)
def test_one_weakness_makes_an_overrun_a_clue(change, clue):
    got = verdict(140.0, **change)
    assert got["outcome"] == "overrun"
    assert (got["standing"], got["standing_reasons"]) == ("clue", [clue])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"settings": VerdictSettings()}, "no_guide"),
        ({"of": site(guide="unknown")}, "no_guide"),
        ({"of": site(use="sauna")}, "no_row"),
        ({"packs": guide(validity={"from": date(2017, 6, 1)})}, "no_edition"),
        ({"packs": guide(limit=None)}, "no_figure"),
        ({"of": site(floor_area_m2=[])}, "no_floor_area"),
        ({"days": day_rows("x", START, END, 1.0)}, "no_data"),
        ({"of": site(meters=[meter("m"), meter("n")])}, "meter_without_data"),
        ({"days": day_rows("m", START + timedelta(days=19), END, 1.0)}, "coverage_below_minimum"),
        ({"now": at(date(2017, 12, 31))}, "period_not_over"),
        ({"period": Period(START, date(2017, 1, 20))}, "period_too_short"),
        ({"period": Period(START, date(2017, 7, 1))}, "no_seasonal_shape"),
        (
            {"packs": guide(row={"corrections": [{"formula": "hotel_occupancy"}]})},
            "correction_input_missing",
        ),
    ],
)
def test_what_cannot_be_judged_is_undecided_and_says_why(change, reason):
    got = verdict(50.0, **change)
    assert (got["outcome"], got["reason"]) == ("undecided", reason)
    assert got["standing"] is None


def test_months_of_zeros_are_undecided_never_efficient():
    got = verdict(lambda day: 0.0 if day < date(2017, 6, 1) else 60.0)
    assert (got["outcome"], got["reason"]) == ("undecided", "zero_days")
    assert got["zero_days"] == 151
    assert verdict(0.0)["outcome"] == "undecided"


def test_a_figure_too_good_to_be_the_whole_site_is_undecided():
    got = verdict(4.0)  # 1.46 kWh/m2 where 30 is advanced
    assert (got["outcome"], got["reason"]) == ("undecided", "implausibly_low")
    assert got["actual"] == pytest.approx(1.46)
    trusting = VerdictSettings(guides={"lodging": "g"}, min_plausible_share=0)
    assert verdict(4.0, settings=trusting)["outcome"] == "advanced"


def test_a_month_may_be_judged_in_a_trial_but_only_as_a_clue():
    may = Period(date(2017, 5, 1), date(2017, 6, 1))
    trial = VerdictSettings(guides={"lodging": "g"}, min_period_days=28)
    got = verdict(140.0, period=may, settings=trial)
    assert (got["outcome"], got["standing_reasons"]) == ("overrun", ["annualised"])


def test_a_correction_is_applied_then_compared_and_recorded():
    # 51.1 kWh/m2 at full occupancy: x (0.4 + 0.6 x 50/100) = 35.77
    fix = guide(row=OPTIONAL)
    busy = site(declared={"occupancy_pct": [{"from": "2016-01-01", "value": 100}]})
    got = verdict(140.0, of=busy, packs=fix)
    assert got["actual"] == pytest.approx(51.1 * 0.7)
    assert got["outcome"] == "within"
    assert "occupancy_pct=100" in got["correction"]


def test_the_grade_is_the_tightest_level_met():
    packs, _ = load_packs(REPO / "config" / "policy")
    demo = packs.guide("demo-tertiary", START, END)
    here = site(guide="demo-tertiary")
    grades = [verdict(kwh, of=here, packs=demo)["grade"] for kwh in (100, 240, 300, 350, 400)]
    assert grades == ["grade_1", "grade_2", "grade_3", "grade_4", None]


def works(**over):
    declared = {
        "from": START, "until": END, "product": "p", "output": 1000, "unit": "t",
        "declared_by": "works",
    } | over.pop("production", {})  # fmt: skip
    return site(kind="factory", floor_area_m2=[], production=[declared], **over)


@pytest.mark.parametrize(
    ("kwh", "existing", "outcome", "level"),
    [
        (100, True, "advanced", "limit"),
        (130, True, "within", "limit"),
        (130, False, "overrun", "access"),
        (140, True, "overrun", "limit"),
    ],
)
def test_new_plants_are_held_to_the_access_level(kwh, existing, outcome, level):
    got = verdict(kwh, of=works(existing=existing), packs=quota())
    assert (got["outcome"], got["level"]) == (outcome, level)


def test_a_level_the_standard_does_not_print_is_not_borrowed():
    hole = quota(levels={"advanced": 40, "access": None, "limit": 50})
    got = verdict(140, of=works(existing=False), packs=hole)
    assert (got["outcome"], got["reason"], got["threshold"]) == ("undecided", "no_figure", None)


@pytest.mark.parametrize(
    ("row", "production", "reason"),
    [
        ({}, {"unit": "m2"}, "unit_mismatch"),
        ({}, {"product": "unheard"}, "no_row"),
        ({"metric": "coal", "unit": "kgce/t"}, {}, "not_electricity"),
        ({"metric": "comprehensive_energy", "unit": "kgce/t"}, {}, "other_carriers"),
        ({}, {"from": "2017-01-01", "until": "2017-02-01", "meters": ["z"]}, "no_data"),
    ],
)
def test_product_quotas_that_meters_cannot_decide(row, production, reason):
    got = verdict(100, of=works(production=production), packs=quota(**row))
    assert (got["outcome"], got["reason"]) == ("undecided", reason)


def test_standard_coal_by_the_packs_own_coefficient():
    row = {"metric": "comprehensive_energy", "unit": "kgce/t", "levels": {"limit": 10}}
    whole = works(production={"other_energy_kgce": 6000})
    got = verdict(100, of=whole, packs=quota(**row))
    assert got["actual"] == pytest.approx(36_500 * 0.1229 / 1000 + 6)
    assert (got["outcome"], got["standing"]) == ("overrun", "evidence")
    assert got["kgce_per_kwh"] == 0.1229


def test_electricity_alone_above_an_all_energy_limit_is_a_clue():
    row = {"metric": "comprehensive_energy", "unit": "kgce/t", "levels": {"limit": 4}}
    got = verdict(100, of=works(), packs=quota(**row))
    assert (got["outcome"], got["standing_reasons"]) == ("overrun", ["electricity_only"])


def test_a_negative_limit_has_no_ratio():
    row = {"metric": "energy", "unit": "kgce/t", "levels": {"limit": -12, "advanced": -30}}
    recovering = works(production={"other_energy_kgce": -24_000})
    got = verdict(100, of=recovering, packs=quota(**row))
    assert got["actual"] == pytest.approx(36_500 * 0.1229 / 1000 - 24)
    assert (got["outcome"], got["ratio"]) == ("within", None)


def test_levels_out_of_order_the_overrun_line_decides_first():
    odd = quota(levels={"advanced": 49, "access": 45, "limit": 50})
    got = verdict(48_000 / 365, of=works(existing=False), packs=odd)
    assert got["outcome"] == "overrun"


def test_every_indicator_of_a_product_has_its_own_verdict():
    packs, _ = load_packs(REPO / "config" / "policy")
    period = Period.year(2024)
    made = works(production={"product": "clinker", "from": period.start, "until": period.end})
    days = day_rows("m", period.start, period.end, 160.0)
    frame = judge(days, [made], packs, period, SETTINGS, at(date(2025, 1, 2)))
    assert dict(frame.select("row_id", "outcome").iter_rows()) == {
        "clinker": "undecided",
        "clinker_el": "within",
        "clinker_coal": "undecided",
    }


def test_no_sites_no_verdicts():
    frame = judge(day_rows("m", START, END, 1.0), [], Packs(), Y, SETTINGS, NOW)
    assert frame.schema == pl.Schema(VERDICT)
    assert frame.is_empty()
