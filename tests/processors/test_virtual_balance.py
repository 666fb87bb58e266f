"""Formulas, virtual meters and the balance of sub-meters."""

import os
from datetime import timedelta

import pytest
from fakes.reference_sums import reference_virtual
from hypothesis import given, settings
from hypothesis import strategies as st
from sum_rows import START, frame, row, site

from collector.formula import parse
from demandwatch.sitefiles import load_sites
from processors.balance import balance, lines
from processors.virtual import terms, virtual_intervals

FUZZ = settings(max_examples=int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "25")), deadline=None)
WORKS = site(
    "w",
    *("in", "sub-1:sub", "sub-2:sub"),
    virtual=[
        {"id": "rest", "formula": "in - sub-1 - sub-2"},
        {"id": "half", "formula": "0.5 * sub-2 + sub-1"},
    ],
)
FACTORS = {
    "rest": {"in": 1.0, "sub-1": -1.0, "sub-2": -1.0},
    "half": {"sub-2": 0.5, "sub-1": 1.0},
}


def test_a_formula_is_a_signed_sum():
    assert parse(" - a + 2.5*b-1 -  c.d ") == (("a", -1.0), ("b-1", 2.5), ("c.d", -1.0))


@pytest.mark.parametrize(
    "text",
    [
        *("", "a -b", "a b", "a - ", "a * 2", "2", "(a)", "a / b", "a - a", "0 * a", "1e3 * a"),
        *("__import__('os')", "a; b", "a - - b", "a\u2212b", "3 * 4 * a"),
    ],
)
def test_what_is_no_signed_sum_is_refused(text):
    if text == "2":  # an id may be a number: whether there is such a meter is asked at load
        assert parse(text) == (("2", 1.0),)
        return
    with pytest.raises(ValueError, match=r"cannot read|twice|factor|terms"):
        parse(text)


@FUZZ
@given(st.text(alphabet="ab1.*+- ()_", max_size=25))
def test_any_text_is_read_or_refused_and_what_is_read_reads_back(text):
    try:
        found = parse(text)
    except ValueError:
        return
    again = " ".join(f"{'-' if f < 0 else '+'} {abs(f):.20f} * {m}" for m, f in found)
    assert parse(again) == found


@FUZZ
@given(
    st.lists(
        st.builds(
            row,
            st.sampled_from(["in", "sub-1", "sub-2", "other"]),
            st.one_of(st.none(), st.floats(0, 1e4)),
            st.integers(0, 2),
            known=st.integers(0, 2),
            coverage=st.floats(0, 1),
        ),
        max_size=14,
        unique_by=lambda r: (r["meter_id"], r["start"], r["computed_at"]),
    )
)
def test_virtual_meters_against_the_reference(rows):
    found = virtual_intervals(frame(rows), terms([WORKS]))
    wanted = reference_virtual(rows, FACTORS)
    assert set(found.select("meter_id", "start").rows()) == set(wanted)
    for got in found.iter_rows(named=True):
        energy, coverage = wanted[got["meter_id"], got["start"]]
        assert got["energy_kwh"] == (None if energy is None else pytest.approx(energy, abs=1e-9))
        assert got["coverage"] == coverage


def test_a_virtual_meter_has_the_worst_of_its_parts():
    rows = [
        row("in", 10.0, quality="interpolated", flags=["rollover"]),
        row("sub-1", 8.0, quality="estimated", coverage=0.25, flags=["partial", "rollover"]),
        row("sub-2", 4.0),
        row("in", 10.0, 1),
        row("sub-1", 8.0, 1),
    ]
    rest = virtual_intervals(frame(rows), terms([WORKS])).filter(meter_id="rest")
    whole, short = rest.iter_rows(named=True)
    assert (whole["energy_kwh"], whole["demand_kw"], whole["coverage"]) == (-2.0, -8.0, 0.25)
    assert whole["quality"] == "estimated"
    assert whole["flags"] == ["partial", "rollover", "negative"]
    assert (short["energy_kwh"], short["quality"], short["coverage"]) == (None, "missing", 0.0)


def test_the_balance_tells_losses_and_what_cannot_be():
    blocks = {0: (100, 60, 37), 1: (100, 60, 30), 2: (100, 60, 50), 3: (100, 60, None)}
    rows = [
        row(m, None if e is None else float(e), n)
        for n, kwh in blocks.items()
        for m, e in zip(("in", "sub-1", "sub-2"), kwh, strict=True)
    ]
    found = balance(frame(rows), lines([WORKS]))
    assert found["outcome"].to_list() == ["ok", "loss_high", "negative", "unknown"]
    assert found["loss_kwh"].to_list() == [3.0, 10.0, -10.0, None]
    assert found["loss_share"].to_list() == pytest.approx([0.03, 0.1, -0.1, None])
    day = balance(frame(rows), lines([WORKS]), zone="Europe/Berlin").row(0, named=True)
    assert (day["above_kwh"], day["loss_kwh"], day["outcome"]) == (300.0, 3.0, "ok")
    assert day["coverage"] == pytest.approx(3 / 96)
    assert day["end"] - day["start"] == timedelta(days=1)
    assert day["start"] == START.replace(hour=23) - timedelta(days=1)


def test_balances_follow_the_tree_of_meters():
    tree = site(
        "t",
        *("m", "n", "pv:generation"),
        {"id": "s1", "role": "sub", "behind": "m"},
        {"id": "s2", "role": "sub", "behind": "s1"},
    )
    assert set(lines([tree]).select("above", "meter_id", "sign").rows()) == {
        ("m", "m", 1),
        ("m", "s1", -1),
        ("s1", "s1", 1),
        ("s1", "s2", -1),
    }
    single = site("t", "m", "pv:generation", {"id": "s1", "role": "sub", "behind": "m"})
    assert set(lines([single]).select("above", "meter_id", "sign").rows()) == {
        ("(mains)", "m", 1),
        ("(mains)", "pv", 1),
        ("(mains)", "s1", -1),
    }


SITES = """\
sites:
  - id: w
    name: {zh: 厂, en: Works}
    kind: factory
    district: North
    virtual:
      - id: v
        formula: m - typo
    meters:
      - id: m
      - id: s
        role: sub
        behind: s
"""


def test_unknown_meters_of_a_formula_are_faults_with_their_line(tmp_path):
    (tmp_path / "one.yaml").write_text(SITES, encoding="utf-8")
    faults = []
    load_sites(tmp_path, faults)
    told = [str(one).removeprefix(f"{tmp_path}/") for one in faults]
    allowed = "allowed: meters of w: m, s"
    assert told == [
        f"one.yaml:8: sites.0.virtual.0.formula: no meter 'typo'; {allowed}",
        f"one.yaml:13: sites.0.meters.1.behind: no main or sub-meter 's'; {allowed}",
    ]
    (tmp_path / "one.yaml").write_text(SITES.replace("m - typo", "m/2"), encoding="utf-8")
    faults = []
    load_sites(tmp_path, faults)
    assert "one.yaml:8: sites.0.virtual.0.formula" in str(faults[0])
    assert "cannot read" in str(faults[0])
