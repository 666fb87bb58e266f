"""Baselines against a plain reference, block by block, also on days of 23 and 25 hours."""

import os
import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from baseline_rows import event, held, rows, state
from fakes import reference_baseline as plain
from fakes.reference_indices import starts_of
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from processors.events import BaselineSettings

BERLIN = "Europe/Berlin"
EXAMPLES = int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "25"))
RULES = st.builds(
    lambda keep, more, **told: BaselineSettings(keep=keep, of=keep + more, **told),
    keep=st.integers(1, 3),
    more=st.integers(0, 2),
    lookback_days=st.sampled_from([6, 12]),
    min_coverage=st.sampled_from([0.5, 0.95]),
    beside_days=st.integers(0, 1),
    adjust=st.sampled_from(["additive", "ratio", "none"]),
    adjust_hours=st.sampled_from([0.5, 2.0]),
    adjust_gap_hours=st.sampled_from([0.0, 1.0]),
    adjust_before=st.sampled_from(["notice", "event"]),
    adjust_cap=st.sampled_from([0.0, 0.2, 1.0]),
)
CASES = st.tuples(
    st.sampled_from([date(2026, 3, 27), date(2026, 3, 30), date(2026, 10, 26), date(2026, 10, 25)]),
    st.sampled_from([1, 2, 3, 10, 14, 22.75]),
    st.sampled_from([0.25, 1.5, 4.0]),
    st.sampled_from([None, -0.1, 0.5, 3.0, 30.0, 80.0]),
    st.integers(0, 1 << 30),
    st.sampled_from([0.0, 0.002, 0.05]),
)
"""Event day, hour it begins, hours, hours of notice (None: no proof), seed, share of holes."""

fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


def load(day, chance, gap):
    """Sixteen days of blocks, with holes and estimates, multiples of 2^-6 kWh."""
    out = {}
    for n in range(-14, 2):
        level = chance.choice([0, 64, 640])
        for start in starts_of(day + timedelta(days=n), BERLIN):
            if chance.random() >= gap:
                guessed = chance.random() < gap
                known = chance.random() >= gap
                kwh = (level + chance.randrange(64)) / 64 if known else None
                out[start] = (kwh, 0.0 if guessed or not known else 1.0, guessed and known)
    return out or {starts_of(day, BERLIN)[0]: (1.0, 1.0, False)}


def as_dict(one):
    (told,) = one.sites
    return {
        "start": one.start.astimezone(UTC),
        "end": one.end.astimezone(UTC),
        "notified_at": told.notice and told.notice.at.astimezone(UTC),
        "cut_kw": told.cut_kw,
        "cap_kw": told.cap_kw,
    }


def made(day, hour, hours, ahead, site, chance, name="e"):
    start = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(BERLIN)).astimezone(UTC)
    start += timedelta(hours=hour)
    notified = None if ahead is None else start - timedelta(hours=ahead)
    target = chance.choice([{"cut_kw": 4.0}, {"cut_kw": 100.0}, {"cap_kw": 6.0}])
    return event(start, start + timedelta(hours=hours), notified, site, name, **target)


def kind_of(day):
    return "rest" if day.isoweekday() > 5 else "working"


def same(mine, theirs):
    if theirs is None or isinstance(theirs, str):
        return mine == theirs
    return mine is not None and mine == pytest.approx(theirs, rel=1e-9, abs=1e-9)


@fuzz
@given(CASES, RULES)
def test_baselines_are_those_of_the_plain_reference(case, rule):
    day, hour, hours, ahead, seed, gap = case
    chance = random.Random(seed)
    sites = [held(name, BERLIN) for name in ("a", "b")]
    loads = {one.id: load(day, chance, gap) for one in sites}
    events = [made(day, hour, hours, ahead, one.id, chance, f"e-{one.id}") for one in sites]
    past = made(day - timedelta(days=6), 9, 3.0, 1.0, "a", chance, "past")
    now = events[0].start + timedelta(hours=chance.choice([1, 40]))
    frame = pl.concat(rows(blocks, site) for site, blocks in loads.items())
    told = state(frame, [*events, past], sites, rule, now, ["e-a", "e-b"])
    for one in events:
        site = one.sites[0].site
        beside = [as_dict(one), as_dict(past)] if site == "a" else [as_dict(one)]
        asked = (loads[site], as_dict(one), beside, BERLIN, kind_of, rule)
        days = plain.like_days(*asked)
        mine = told.like_days.filter(site_id=site)
        got = {row["day"]: (row["reason"], row["used"]) for row in mine.iter_rows(named=True)}
        assert got == {at: (reason, used) for at, (reason, _, used) in days.items()}
        theirs = plain.judge(*asked, now)
        columns = (
            "start", "unadjusted_kwh", "baseline_kwh", "actual_kwh", "verdict", "reason",
        )  # fmt: skip
        blocks = told.blocks.filter(site_id=site).select(columns).rows()
        assert len(blocks) == len(theirs)
        for left, right in zip(blocks, theirs, strict=True):
            assert left[0] == right[0]
            assert all(map(same, left[1:], right[1:])), (left, right)
