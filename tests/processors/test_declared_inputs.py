"""Inputs of corrections are declared, dated and with a name; settings are the fallback."""

import math
from datetime import UTC, date, datetime

from policy_rows import REPO, day_rows, meter, site

from collector.site import Site
from processors.activity import Declaration, refused, standing, with_activity
from processors.claims import Period
from processors.history.activitybook import ActivityBook
from processors.judge import judge
from processors.policy.correction import FORMULAS, INPUTS, POSITIVE, Given, MissingInputError
from processors.policy.load import load_packs
from processors.settings import VerdictSettings

PACKS, _ = load_packs(REPO / "config/policy")
OCT, NOW = Period(date(2025, 10, 1), date(2025, 11, 1)), datetime(2026, 1, 10, tzinfo=UTC)


def says(since, value, name="altitude_m", unit="m"):
    told = {"activity": name, "from": since, "value": value, "unit": unit, "declared_by": "Li"}
    return Declaration.model_validate(told)


def corrected(book, as_of=None):
    made = {"product": "clinker_el", "output": 500, "unit": "t", "declared_by": "Li",
            "from": "2025-10-01", "until": "2025-11-01"}  # fmt: skip
    fallback = {"altitude_m": [{"from": "2020-01-01", "value": 100, "declared_by": "file"}]}
    here = site(kind="factory", use="", floor_area_m2=[], meters=[meter("m")], production=[made],
                declared=fallback)  # fmt: skip
    (known,) = with_activity([here], standing(book.acts(), as_of))
    days = day_rows("m", OCT.start, OCT.end, 1000.0)
    told = judge(days, [known], PACKS, OCT, VerdictSettings(), NOW).filter(row_id="clinker_el")
    return told.row(0, named=True)


def test_what_is_declared_stands_before_the_settings_and_is_named_in_the_verdict(tmp_path):
    book = ActivityBook(tmp_path / "activity.db", lambda: NOW)
    assert corrected(book)["correction"].startswith("altitude(altitude_m=100 by file)")
    book.declare("s", says("2025-10-20", 2000))
    book.declare("s", says("2025-11-05", 9))  # after the period
    book.declare("s", says("2025-01-01", 80_000, "site_pressure_pa", "Pa"))
    told = corrected(book)
    assert "altitude_m=2000 by Li" in told["correction"]
    assert "site_pressure_pa=80000 by Li" in told["correction"]
    assert told["threshold"] == round(61 * (1.179 - 0.211 * 80_000 / 101_325), 6)
    assert corrected(book, datetime(2026, 1, 9, tzinfo=UTC))["threshold"] == 61.0
    book.close()


def test_an_input_of_0_is_declared_where_the_formula_takes_it_and_refused_where_not(tmp_path):
    taken = {"altitude_m", "clinker_ratio_pct", "guest_room_share_pct", "laterite_ore_pct",
             "rare_earth_ore_pct", "vanadium_titanium_ore_pct"}  # fmt: skip
    for name, unit in INPUTS.items():
        problem = refused(says("2025-01-01", 0, name, unit), site(), PACKS, NOW.date())
        assert (problem is None) == (name in taken), name
    for name, ok in (("power_addition_gce_per_kwh", True), ("thickness_factor", False)):
        problem = refused(says("2025-01-01", 0, name, "1"), site(), PACKS, NOW.date())
        assert (problem is None) == ok, name
    book = ActivityBook(tmp_path / "activity.db", lambda: NOW)
    book.declare("s", says("2025-10-20", 0))
    assert corrected(book)["correction"].startswith("altitude(altitude_m=0 by Li)")
    (known,) = with_activity([site()], standing(book.acts()))
    assert Site.model_validate(known.model_dump(by_alias=True)).declared == known.declared
    book.close()


def test_every_formula_takes_or_refuses_a_0_and_never_fails():
    refused_by = set()
    for formula in FORMULAS.values():
        known = dict.fromkeys((*INPUTS, "x"), 0.0)
        given = Given(known, dict.fromkeys((*formula.params, "limit"), 1.0), "limit", "x")
        try:
            assert math.isfinite(formula.apply(1.0, given))
        except MissingInputError as missing:
            refused_by.add(missing.args[0])
    assert refused_by == POSITIVE - {"site_pressure_pa"} | {"x"}  # at sea level none asks for it


def test_every_input_a_formula_asks_for_can_be_declared():
    for formula in FORMULAS.values():
        known, params = {"altitude_m": 2000.0}, dict.fromkeys(formula.params, 1.0)
        while True:
            try:
                formula.apply(1.0, Given(known, params, "limit", "x" if formula.named else ""))
                break
            except MissingInputError as missing:
                name = str(missing.args[0])
                if name in {"x", "correction_by_hand"}:
                    break
                assert refused(says("2025-01-01", 1, name, INPUTS[name]), site(), PACKS,
                               NOW.date()) is None  # fmt: skip
                known[name] = 50.0
