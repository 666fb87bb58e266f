"""Sums of groups: figures, signs, coverage; whole, by delta and by the slow reference alike."""

import os
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from fakes.reference_sums import reference_sums
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from sum_rows import START, frame, row, site

from processors.group_days import by_day
from processors.group_state import GroupState, Plan, update
from processors.groups import GROUP, group_sums
from processors.places import KINDS, Places, division

FUZZ = settings(max_examples=int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "25")), deadline=None)

RATED = {"a1": 100.0, "a2": 50.0, "b1": 10.0, "c1": 30.0}
CITY = [
    site(
        "a",
        *({"id": one, "rated_power_kw": RATED[one]} for one in ("a1", "a2")),
        "a3:sub",
        park="p1",
        industry="C3911",
        labels={"feeder": "f1"},
    ),
    site("b", {"id": "b1", "rated_power_kw": 10.0}, "b2:generation", "b3:export", park="p1"),
    site("c", {"id": "c1", "rated_power_kw": 30.0}, "c2:charge", "c3:discharge", no_export=True),
    site("d", "d1", "d2:generation", "d3:weather", district="south", industry="H61"),
]
METERS = [one.id for each in CITY for one in each.meters] + ["nobody"]
BY = (*KINDS, "label:feeder")
PLACES = Places.of(CITY)
FIGURES = (
    *("energy_kwh", "generation_kwh", "net_import_kwh", "consumption_kwh", "coverage_count"),
    *("coverage_kw", "estimated_share", "meters"),
)


def one(rows, by="city", group=None, sites=CITY):
    found = group_sums(frame(rows), Places.of(sites), by)
    chosen = found if group is None else found.filter(pl.col("group_id") == group)
    assert chosen.height == 1
    return chosen.row(0, named=True)


def test_a_sum_has_coverage_by_count_and_by_registered_power():
    sums = one([row("a1", 10.0), row("a3", 4.0)], "site", "a")
    assert (sums["energy_kwh"], sums["demand_kw"]) == (10.0, 40.0)
    assert (sums["meters"], sums["meters_expected"]) == (1, 2)
    assert sums["coverage_count"] == 0.5
    assert sums["coverage_kw"] == pytest.approx(100 / 150)


def test_nothing_known_is_null_with_its_reason_and_no_zero():
    sums = one([row("a1", 10.0)], "district", "south")
    assert (sums["energy_kwh"], sums["consumption_kwh"]) == (None, None)
    assert (sums["reason"], sums["coverage_count"], sums["meters"]) == ("nothing_known", 0.0, 0)
    assert sums["coverage_kw"] is None  # d1 tells no rated power


def test_generation_and_storage_have_their_sign():
    sunny = one([row("b1", 5.0), row("b2", 20.0), row("b3", 8.0)], "site", "b")
    assert (sunny["net_import_kwh"], sunny["generation_kwh"]) == (-3.0, 20.0)
    assert sunny["consumption_kwh"] == 17.0
    stored = one([row("c1", 30.0), row("c2", 10.0), row("c3", 4.0)], "site", "c")
    assert (stored["net_import_kwh"], stored["consumption_kwh"]) == (30.0, 24.0)


def test_consumption_is_not_told_when_a_flow_or_the_export_is_not():
    assert one([row("b1", 5.0), row("b3", 8.0)], "site", "b")["reason"] == "flow_missing"
    open_site = one([row("d1", 5.0), row("d2", 9.0)], "site", "d")
    assert (open_site["reason"], open_site["consumption_kwh"]) == ("export_unmetered", None)
    assert (open_site["energy_kwh"], open_site["generation_kwh"]) == (5.0, 9.0)


def test_groups_are_told_by_kind():
    rows = frame([row(m, 1.0) for m in METERS])
    kinds = {by: set(group_sums(rows, PLACES, by)["group_id"]) for by in BY}
    assert kinds["industry"] == {"C39", "H61", ""}
    assert kinds["park"] == {"p1", ""}
    assert kinds["label:feeder"] == {"f1", ""}
    assert division("c39") == "C39"
    with pytest.raises(ValueError, match=r"allowed: site, park, .*label:feeder"):
        group_sums(rows, PLACES, "label:street")


WATT_HOURS = st.integers(0, 10**8).map(lambda n: n / 1024)
energies = st.one_of(st.none(), WATT_HOURS, st.just(0.0))
rows_of = st.lists(
    st.builds(
        row,
        st.sampled_from(METERS),
        energies,
        st.integers(0, 2),
        known=st.integers(0, 3),
        revision=st.integers(0, 3),
        coverage=st.floats(0, 1),
        quality=st.sampled_from(["measured", "estimated"]),
    ),
    max_size=40,
    unique_by=lambda r: (r["meter_id"], r["start"], r["computed_at"], r["revision"]),
)


def alike(left, right):
    """Energies are equal to the last bit; a division may differ in it by the length of a frame."""
    assert_frame_equal(left, right, rel_tol=1e-14, abs_tol=0.0)
    exact = ["energy_kwh", "generation_kwh", "net_import_kwh", "consumption_kwh", "meters"]
    assert_frame_equal(left.select(exact), right.select(exact), check_exact=True)


@FUZZ
@given(rows_of, st.randoms(), st.integers(1, 6))
def test_delta_in_any_order_and_parts_is_exactly_the_sum_of_all(rows, random, parts):
    whole = [group_sums(frame(rows), PLACES, by) for by in BY]
    state = GroupState(Plan.of(PLACES, BY))
    issued = []
    random.shuffle(rows)
    for part in range(parts):
        state, changed = update(state, frame(rows[part::parts]))
        issued.append(changed)
    keys = ["group_kind", "group_id", "start"]
    alike(state.sums(), pl.concat(whole).sort(keys))
    last = pl.concat(issued).unique(keys, keep="last").sort(keys)  # what a follower has
    alike(last, state.sums())


@FUZZ
@given(rows_of)
def test_against_the_slow_obvious_reference(rows):
    for by in BY:
        found = group_sums(frame(rows), PLACES, by)
        wanted = reference_sums(rows, CITY, by)
        assert set(found.select("group_id", "start").rows()) == set(wanted)
        for got in found.iter_rows(named=True):
            want = wanted[got["group_id"], got["start"]]
            assert {n: got[n] for n in FIGURES} == {
                n: pytest.approx(want[n], rel=1e-9, abs=5e-8) if want[n] is not None else None
                for n in FIGURES
            }


def test_what_is_older_than_what_is_known_changes_nothing_and_forgotten_blocks_go():
    state = GroupState(Plan.of(PLACES))
    state, _ = update(state, frame([row("a1", 9.0, known=5, revision=1)]))
    same, changed = update(state, frame([row("a1", 1.0)]))
    assert changed.schema == GROUP
    assert changed.is_empty()
    assert_frame_equal(same.sums(), state.sums())
    assert state.forget(START + timedelta(minutes=1)).sums().is_empty()


@pytest.mark.parametrize(("day", "blocks"), [("2026-03-29", 92), ("2026-10-25", 100)])
def test_days_of_23_and_25_hours(day, blocks):
    midnight = datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=UTC)
    first = round((midnight - timedelta(hours=3) - START) / timedelta(minutes=15))
    rows = [row("a1", 1.0 + (n == first + 40), n) for n in range(first, first + 140)]
    rows += [row("a2", 1.0, n) for n in range(first, first + 140)]
    found = by_day(group_sums(frame(rows), PLACES, "park"), "Europe/Berlin")
    mine = found.filter(pl.col("day").cast(pl.String) == day, group_id="p1").row(0, named=True)
    assert (mine["blocks"], mine["blocks_expected"]) == (blocks, blocks)
    assert mine["energy_kwh"] == 2.0 * blocks + 1.0
    assert mine["max_demand_kw"] == 12.0
    assert mine["max_demand_at"] == START + timedelta(minutes=15 * (first + 40))
    assert mine["end"] - mine["start"] == timedelta(minutes=15 * blocks)
    assert mine["coverage_count"] == pytest.approx(2 / 3)  # b1 is silent
    assert mine["consumption_kwh"] is None
