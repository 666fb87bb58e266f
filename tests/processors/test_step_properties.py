"""Batch = stream: however the same readings arrive, the same intervals come out."""

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from fakes.reference_blocks import reference_blocks
from fakes.stream_driver import Stream, book_of, readings_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from processors.blocks import intervals_of
from processors.interval import INTERVAL

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
FIGURES = [name for name in INTERVAL if name not in {"revision", "computed_at"}]


@st.composite
def histories(draw):
    """A few meters with jittered sampling, gaps, dips, spikes, resets, rollovers, corrections."""
    rows = []
    for meter in range(draw(st.integers(1, 3))):
        rng = np.random.default_rng(draw(st.integers(0, 10_000)))
        period = draw(st.sampled_from([15, 60, 300, 900, 1800]))
        count = draw(st.integers(1, min(90, 4 * 3600 // period + 12)))
        gaps = rng.choice([1, 1, 1, 1, 1, 1, 3, 40], count) * period
        jitter = rng.integers(0, max(period // 2, 1), count) if draw(st.booleans()) else 0
        at = np.cumsum(gaps) + jitter
        at = np.unique(at)
        energy = np.round(np.cumsum(rng.uniform(0, 80, len(at)) * period / 3600), 3) + 900
        energy = _faults(draw, rng, energy)
        reactive = np.where(rng.random(len(at)) < 0.8, energy * 0.4, np.nan)
        volts = 215.0 + rng.integers(0, 9, len(at))
        name = [f"m{meter}"] * len(at)
        rows += list(zip(name, at.tolist(), energy, reactive, volts, strict=True))
    return rows


def _faults(draw, rng, energy):
    kind = draw(st.sampled_from(["none", "dip", "spike", "reset", "rollover", "several"]))
    out = energy.copy()
    n = len(out)
    for one in ["dip", "spike", "reset"] if kind == "several" else [kind]:
        if n < 4:
            break
        k = int(rng.integers(1, n - 1))
        if one == "dip":
            out[k : k + int(rng.integers(1, 4))] = 0.0
        elif one == "spike":
            out[k] += 1e6
        elif one == "reset":
            out[k:] -= out[k]
        elif one == "rollover":
            out = np.mod(out - 900 + 995, 1000.0)
    return out


def frame(rows, received=None):
    return readings_of(
        [
            (m, START + timedelta(seconds=t), e, None if np.isnan(q) else q, v)
            for m, t, e, q, v in rows
        ],
        received,
    )


def compare(left, right):
    order = ["meter_id", "start"]
    assert_frame_equal(
        left.select(FIGURES).sort(order), right.select(FIGURES).sort(order), check_exact=True
    )


BOOK = book_of(["m0", "m1", "m2"], rated_power_kw=400.0, register_modulus_kwh=1000.0)
RELAXED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@RELAXED
@given(histories(), st.randoms(use_true_random=False), st.integers(1, 12))
def test_micro_batches_any_order_and_duplicates_give_the_batch_result(rows, random, parts):
    readings = frame(rows)
    whole = intervals_of(readings, BOOK)
    order = list(range(len(readings)))
    if random.random() < 0.6:
        random.shuffle(order)
    order += [random.choice(order) for _ in range(random.randrange(5))]
    stream = Stream(BOOK)
    size = max(1, len(order) // parts)
    for k in range(0, len(order), size):
        stream.take(readings[order[k : k + size]])
        if random.random() < 0.3:
            stream.restart()
    compare(whole, stream.latest())


@RELAXED
@given(histories(), st.randoms(use_true_random=False))
def test_corrections_in_any_order_of_arrival(rows, random):
    first = frame(rows)
    chosen = [r for r in rows if random.random() < 0.2]
    fixed = frame(
        [(m, t, max(e - 0.5, 0.0), q, v) for m, t, e, q, v in chosen], START + timedelta(days=9)
    )
    everything = pl.concat([first, fixed])
    whole = intervals_of(everything, BOOK)
    order = list(range(len(everything)))
    random.shuffle(order)
    stream = Stream(BOOK)
    for k in range(0, len(order), 7):
        stream.take(everything[order[k : k + 7]])
    compare(whole, stream.latest())


@RELAXED
@given(histories())
def test_against_the_slow_obvious_reference(rows):
    readings = frame(rows)
    ours = intervals_of(readings, BOOK).sort("meter_id", "start")
    slow = reference_blocks(readings, BOOK)
    assert ours.select("meter_id", "start").rows() == [(r["meter_id"], r["start"]) for r in slow]
    for mine, theirs in zip(ours.iter_rows(named=True), slow, strict=True):
        for name in ("energy_kwh", "demand_kw", "max_demand_kw", "coverage"):
            assert _near(mine[name], theirs[name]), (name, mine, theirs)
        assert mine["quality"] == theirs["quality"], (mine, theirs)


def _near(a, b):
    return (a is None and b is None) or (
        a is not None and b is not None and abs(a - b) <= 1e-6 * max(1.0, abs(b))
    )


@RELAXED
@given(histories())
def test_sum_of_blocks_is_the_register_difference(rows):
    clean = [r for r in rows if r[0] == "m0"]
    energy = np.maximum.accumulate([e for _, _, e, _, _ in clean])
    calm = [(m, t, float(e), q, v) for (m, t, _, q, v), e in zip(clean, energy, strict=True)]
    book = book_of(["m0"], rated_power_kw=1e9)
    out = intervals_of(frame(calm), book)
    if out.is_empty():
        return
    end = out["end"].max()
    at = [(START + timedelta(seconds=t), e) for _, t, e, _, _ in calm]
    last = _value_at(at, end)
    assert abs(out["energy_kwh"].sum() - (last - at[0][1])) < 1e-6


def _value_at(points, when):
    for (t0, e0), (t1, e1) in itertools.pairwise(points):
        if t0 <= when <= t1:
            return e0 + (e1 - e0) * ((when - t0) / (t1 - t0))
    return points[-1][1]
