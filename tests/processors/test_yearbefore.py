"""A year's season against a slow calculation that shares no code, and when there is none."""

import os
from datetime import date, timedelta

import numpy as np
import pytest
from fakes.reference_quota import season_weight
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from policy_rows import at, day_rows, site

from processors.outlook import ground, kinds_of
from processors.quota import accounts
from processors.terms import Span, history_of
from processors.yearbefore import season

FEW = int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "8"))
BEGIN, TODAY, END = date(2025, 7, 1), date(2026, 11, 16), date(2027, 1, 1)
AXIS = [BEGIN + timedelta(days=n) for n in range((END - BEGIN).days)]
UNTIL = (TODAY - BEGIN).days


def weights(energy):
    days = day_rows("m", BEGIN, TODAY, lambda day: energy.get(day, 0.0))
    known = days.filter(days["day"].is_in(list(energy)))
    return season(ground(known, ["m"], AXIS, kinds_of(AXIS, "UTC", None)), UNTIL, len(AXIS), 28)


@settings(max_examples=FEW, deadline=None, phases=[Phase.generate])
@given(st.integers(1, 10**6), st.floats(0.0, 0.35))
def test_weights_are_those_of_the_slow_calculation(seed, lost):
    random = np.random.default_rng(seed)
    energy = {
        day: float(100 + 40 * np.sin(n / 58) + random.uniform(0, 20))
        for n, day in enumerate(AXIS[:UNTIL])
        if random.uniform() >= lost
    }
    want = [season_weight(energy, day, TODAY) for day in AXIS[UNTIL:]]
    got = weights(energy)
    if None in want:
        assert not got.known[0]
        assert (got.weights == 1.0).all()
    else:
        assert got.known[0]
        assert got.weights[0, UNTIL:] == pytest.approx(want)
        assert (got.weights[0, :UNTIL] == 1.0).all()


def test_another_use_is_no_season():
    fourfold = {day: 400.0 if day.month == 12 else 100.0 for day in AXIS[:UNTIL]}
    double = {day: 200.0 if day.month == 12 else 100.0 for day in AXIS[:UNTIL]}
    assert not weights(fourfold).known[0]
    assert weights(double).known[0]


def test_a_site_has_a_season_if_all_its_main_meters_have():
    two = site(
        meters=[{"id": "m"}, {"id": "n"}], quota_year_kwh=[{"from": "2020-01-01", "value": 90_000}]
    )
    old = day_rows("m", date(2025, 1, 1), TODAY, 100.0)
    new = day_rows("n", date(2026, 3, 1), TODAY, 100.0)
    got = accounts(old.vstack(new), [two], at(TODAY), span=Span.YEAR).row(0, named=True)
    assert got["season"] == "none"
    alone = accounts(old, [site(quota_year_kwh=two.quota_year_kwh)], at(TODAY), span=Span.YEAR)
    assert alone["season"].to_list() == ["year_before"]


def test_the_history_a_year_asks_for_is_what_its_season_needs():
    since = history_of(Span.YEAR, date(2026, 1, 1), TODAY)
    held = site(quota_year_kwh=[{"from": "2020-01-01", "value": 90_000}])
    for first, told in ((since, "year_before"), (since + timedelta(days=20), "none")):
        days = day_rows("m", first, TODAY, 100.0)
        got = accounts(days, [held], at(TODAY), span=Span.YEAR)
        assert got["season"].to_list() == [told]
