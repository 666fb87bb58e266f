"""Intensity against a plain calculation: meters, spans, gaps, zeros, short days, in any order."""

import os
from datetime import date, timedelta

import polars as pl
import pytest
from fakes.reference_intensity import intensity
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_rows import at, site

from processors.claims import Claim, Period
from processors.history.days import DAY
from processors.intensity import measure

EXAMPLES = int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "40"))
FIRST = date(2025, 10, 20)
HOURS = {FIRST + timedelta(days=6): 25}  # as where clocks are set back
SHARE = st.sampled_from([0.0, 0.25, 1.0])
TOLD = st.one_of(
    st.none(),
    st.tuples(
        st.one_of(st.none(), st.sampled_from([0.0, 1.0, 480.0]), st.floats(0, 1e5)),
        st.sampled_from([0, 1, 48, 96, 100]),
        SHARE,
        st.one_of(st.none(), SHARE),
    ),
)
SPANS = st.lists(st.tuples(st.integers(0, 11), st.integers(1, 5), st.floats(0.1, 1e3)),
                 min_size=1, max_size=3)  # fmt: skip


def laid(spans):
    """Return spans one behind the other: (first, after, denominator of a day)."""
    made, begin = [], 0
    for skip, length, per_day in spans:
        begin += skip % 3
        made.append(
            (FIRST + timedelta(days=begin), FIRST + timedelta(days=begin + length), per_day)
        )
        begin += length
    return tuple(made)


@given(st.dictionaries(st.sampled_from("abc"), st.lists(TOLD, max_size=14), min_size=1), SPANS,
       st.randoms(use_true_random=False))  # fmt: skip
@settings(max_examples=EXAMPLES, deadline=None)
def test_every_figure_of_an_intensity(told, spans, chance):
    segments, days, rows = laid(spans), {}, []
    for meter, mine in told.items():
        for n, one in enumerate(mine):
            day = FIRST + timedelta(days=n)
            if one is None:
                continue
            kwh, blocks, coverage, estimated = one
            zero = None if kwh is None else float(kwh == 0.0)
            hours = HOURS.get(day, 24)
            days[meter, day] = (kwh, blocks, hours, coverage, estimated, zero)
            known = {
                "meter_id": meter, "day": day, "start": at(day), "energy_kwh": kwh,
                "end": at(day) + timedelta(hours=hours), "blocks": blocks, "coverage": coverage,
                "estimated_share": estimated, "zero_share": zero,
            }  # fmt: skip
            rows.append({name: known.get(name) for name in DAY})
    chance.shuffle(rows)
    period = Period(FIRST, FIRST + timedelta(days=30))
    meters = tuple(sorted(told))
    claim = Claim(site(), period, "cement", 1.0, "t", "", meters, segments)
    (row,) = measure(pl.DataFrame(rows, schema=DAY, orient="row"), [claim]).to_dicts()
    expected = sum((after - first).days for first, after, _ in segments)
    told = intensity(days, meters, segments, expected)
    names = ("energy_kwh", "per_unit_kwh", "stated_per_unit_kwh", "coverage", "estimated_share")
    for name, figure in zip(names, told, strict=False):
        same = figure if figure is None else pytest.approx(figure, rel=1e-6, abs=1e-6)
        assert row[name] == same, name
    assert (row["days_counted"], row["zero_days"], row["silent_meters"]) == told[5:]
