"""Anomalies of closing registers, balances and levels against the plain reference."""

import os
from datetime import date, timedelta

import polars as pl
import pytest
from anomaly_world import START, a_site, look, normal, of, readings
from fakes import reference_anomaly_levels as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_rows import at, day_rows
from sum_rows import frame, row

FUZZ = settings(max_examples=int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "20")), deadline=None)
RATED = 66.0
STEPS = st.sampled_from([60, 300, 900, 900, 900, 1800, 7200])


def close_to(rows):
    return [(*one[:4], pytest.approx(one[4])) for one in sorted(rows, key=lambda one: one[1])]


@FUZZ
@given(st.lists(st.tuples(STEPS, st.sampled_from([-500.0, 0.0, 5.0, 22.0, 40.0, 300.0])),
                min_size=2, max_size=20))  # fmt: skip
def test_registers_that_run_away_against_the_reference(pairs):
    now, kwh, rows = START, 1000.0, []
    for step, gain in pairs:
        now, kwh = now + timedelta(seconds=step), max(kwh + gain, 0.0)
        rows.append({"at": now, "energy_import_kwh": kwh})
    found, _ = look(readings(rows), only=["register_fly", "energy_deviation"])
    for kind, share in (("energy_deviation", 1.2), ("register_fly", 2.0)):
        assert of(found, kind) == close_to(reference.beyond(rows, START, RATED, share)), kind


KWH = st.sampled_from([None, 10.0, 10.0, 40.0, 41.0, 45.0, 60.0])


@FUZZ
@given(st.lists(st.tuples(KWH, KWH, KWH), min_size=1, max_size=6), st.booleans())
def test_parents_and_children_against_the_reference(days, wholly):
    meters = {"id": "m"}, {"id": "s1", "role": "sub"}, {"id": "s2", "role": "sub"}
    place = a_site(*meters, wholly_sub_metered=wholly)
    blocks, told = [], []
    for n, (main, one, two) in enumerate(days):
        first = START + timedelta(days=n)
        for name, kwh in (("m", main), ("s1", one), ("s2", two)):
            blocks += [row(name, kwh, q, first) for q in range(96)]
        below = None if one is None or two is None else 96 * (one + two)
        above = None if main is None else 96 * main
        told.append({"at": first, "end": first + timedelta(days=1), "above": above, "below": below})
    found, _ = look(
        readings([normal(0)]), [place], intervals=frame(blocks), only=["parent_child_gap"]
    )
    assert of(found, "parent_child_gap") == close_to(reference.gaps(told, wholly=wholly))


@FUZZ
@given(
    st.lists(
        st.tuples(
            st.integers(4, 22), st.sampled_from([0.0, 10.0, 20.0, 30.0, 31.0, 55.0, 8.0, None])
        ),
        min_size=2,
        max_size=5,
    ),
    st.lists(st.sampled_from([1.0, 1.0, 1.02, 0.97, 1.3]), min_size=7, max_size=7),
)
def test_rises_and_jumps_against_the_reference(pieces, week):
    energy = [10.0 * week[n % 7] for n in range(30)]
    for length, level in pieces:
        for _ in range(length):
            energy.append(None if level is None else level * week[len(energy) % 7])
    first = date(2026, 3, 2)
    by_day = {first + timedelta(days=n): kwh for n, kwh in enumerate(energy)}
    days = day_rows("m", first, max(by_day) + timedelta(days=1), lambda day: by_day[day])
    covered = pl.when(pl.col("energy_kwh").is_not_null()).then(1.0).otherwise(0.0)
    found, _ = look(
        readings([{"at": 0}]),
        days=days.with_columns(coverage=covered),
        only=["sudden_rise", "ct_ratio_jump"],
    )
    risen = {day for day in by_day if reference.sudden_rise(by_day, day, 2.5)}
    assert _open(found, "sudden_rise", by_day) == risen
    assert _open(found, "ct_ratio_jump", by_day) == reference.jumps(by_day)


def _open(found, kind, by_day):
    """The judged days on which an episode is open."""
    spans = found.filter(kind=kind).select("since", "until").rows()
    return {
        day
        for since, until in spans
        for day in by_day
        if since <= at(day) and (until is None or at(day) < until)
        if reference.week(by_day, day) is not None
    }
