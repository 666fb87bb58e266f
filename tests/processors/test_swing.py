"""How sure the running block's projection is: a plain reference, bounds, how often they held."""

import math
import os
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from fakes.stream_driver import book_of, readings_of
from history_rows import intervals
from hypothesis import given, settings
from hypothesis import strategies as st

from processors import running
from processors.blocks import intervals_of
from processors.step import State, step
from processors.swing import LEAST, half_width, swings

EXAMPLES = int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "30"))
T0 = datetime(2026, 3, 1, 8, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
BLOCK = st.tuples(
    st.integers(0, 60),
    st.floats(0, 1000, allow_nan=False),
    st.sampled_from(["measured", "interpolated", "estimated", "missing"]),
)


def plain(told):
    """Swing of one meter: {start: (kW or None, quality)}, block by block."""
    squares = []
    for start, (kw, quality) in told.items():
        before, sure = told.get(start - QUARTER, (None, ""))
        if None not in (kw, before) and "estimated" not in (quality, sure):
            squares.append((kw - before) ** 2)
    return math.sqrt(sum(squares) / len(squares)) if len(squares) >= LEAST else None


@given(st.lists(BLOCK, max_size=80, unique_by=lambda one: one[0]))
@settings(max_examples=EXAMPLES, deadline=None)
def test_the_swing_is_that_of_successive_blocks_not_estimated(blocks):
    told = {
        T0 + n * QUARTER: (None if quality == "missing" else kw, quality)
        for n, kw, quality in blocks
    }
    rows = [intervals(["m"], at, 1, T0, kw and kw / 4).with_columns(
        demand_kw=pl.lit(kw, pl.Float64), quality=pl.lit(quality)
    ) for at, (kw, quality) in told.items()]  # fmt: skip
    found = swings(pl.concat(rows, how="vertical_relaxed")) if rows else pl.DataFrame()
    expected = plain(told)
    assert found.height == (expected is not None)
    if expected is not None:
        assert found["swing_kw"].item() == pytest.approx(expected, abs=1e-9)


def test_the_range_closes_as_the_block_does_and_never_undoes_what_was_counted():
    book = book_of(["m"])
    live = []
    for minutes in (1, 5, 10, 14):
        register = [("m", T0 + timedelta(minutes=n), float(n)) for n in range(30 + minutes + 1)]
        state, _ = step(State.empty(), readings_of(register), book, T0)
        swing = pl.DataFrame({"meter_id": ["m"], "swing_kw": [40.0]})
        live += running.running(state, book, book.meters["meter_id"], swing).to_dicts()
    widths = [one["projected_high_kw"] - one["projected_demand_kw"] for one in live]
    assert widths == sorted(widths, reverse=True)
    for one, minutes, width in zip(live, (1, 5, 10, 14), widths, strict=True):
        left, block, over = (15 - minutes) / 60, 0.25, 1 / 60
        expected = 1.2816 * left / block * math.sqrt(40.0**2 * (left + over) / (2 * block))
        assert width == pytest.approx(expected)
        assert one["projected_low_kw"] >= one["energy_so_far_kwh"] / 0.25 - 1e-9


def test_without_a_day_of_blocks_no_range_is_told():
    book = book_of(["m"])
    state, _ = step(State.empty(), readings_of([("m", T0, 1.0), ("m", T0 + QUARTER / 3, 2.0)]),
                    book, T0)  # fmt: skip
    row = running.running(state, book, book.meters["meter_id"]).row(0, named=True)
    assert row["projected_demand_kw"] is not None
    assert (row["projected_low_kw"], row["projected_high_kw"]) == (None, None)


def test_a_site_adds_the_bounds_of_its_mains_and_states_none_if_one_lacks():
    book = book_of(["a", "b"])
    told = [(one, T0 + timedelta(minutes=n), float(n)) for one in "ab" for n in range(36)]
    state, _ = step(State.empty(), readings_of(told), book, T0)
    contract = pl.DataFrame({"site_id": ["s1"], "contract_demand_kw": [80.0]})
    both = pl.DataFrame({"meter_id": ["a", "b"], "swing_kw": [10.0, 30.0]})
    for swing, stated in ((both, True), (both.head(1), False)):
        live = running.running(state, book, book.meters["meter_id"], swing)
        site = running.site_running(live, contract, book).row(0, named=True)
        assert site["projected_demand_kw"] is not None
        assert (site["projected_high_kw"] is not None) == stated
        if stated:
            assert site["projected_high_kw"] == pytest.approx(live["projected_high_kw"].sum())


@pytest.mark.realdata
def test_at_a_steel_works_four_blocks_in_five_are_held(real_data):
    """Its hours stand for blocks and its quarters for readings: nothing finer was recorded."""
    file = real_data / "steel_industry_data.csv"
    kwh = pl.read_csv(file, columns=["Usage_kWh"])["Usage_kWh"].to_numpy()
    total = np.concatenate([[0.0], np.cumsum(kwh)])
    at = [T0 + timedelta(minutes=3.75 * n) for n in range(len(total))]
    stated = intervals_of(readings_of([("m", t, v) for t, v in zip(at, total, strict=True)]),
                          book_of(["m"]))  # fmt: skip
    demand = stated["demand_kw"].to_numpy()
    squared = np.diff(demand) ** 2
    swing = np.array([np.sqrt(squared[n - 25 : n - 1].mean()) for n in range(25, len(demand))])
    power = kwh[: 4 * len(demand)].reshape(-1, 4) * 16.0
    shares = []
    for read in (1, 2, 3):
        left = (4 - read) / 16
        so_far = power[25:, :read].sum(axis=1) / 16
        projected = (so_far + power[25:, read - 1] * left) / 0.25
        wide = half_width(swing, np.full(len(swing), left), np.full(len(swing), 1 / 16))
        low = np.maximum(projected - wide, so_far / 0.25) - 1e-9
        held = (demand[25:] >= low) & (demand[25:] <= projected + wide + 1e-9)
        shares.append(float(held.mean()))
    assert all(0.7 < share < 0.9 for share in shares), shares
