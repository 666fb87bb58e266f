"""Alerts fire once, resolve once, and missing data do neither."""

import itertools
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting import lifecycle
from alerting.lifecycle import Change, Phase, advance
from alerting.rules import Compiled, Rule
from collector.reading import UTC_US

T0 = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
BLOCK = timedelta(minutes=15)
TEXT = {"zh": "需量 {demand_kw}", "en": "demand {demand_kw}"}


def rule(when="demand_kw > contract_demand_kw", on="site_interval", **more):
    return Compiled.of(
        Rule.model_validate({"id": "r", "on": on, "when": when, "text": TEXT} | more)
    )


def blocks(*demands, site="a", first=0):
    rows = [
        (site, T0 + n * BLOCK, T0 + (n + 1) * BLOCK, kw, 100.0)
        for n, kw in enumerate(demands, start=first)
    ]
    names = ["site_id", "start", "end", "demand_kw", "contract_demand_kw"]
    kinds = [pl.String(), UTC_US, UTC_US, pl.Float64(), pl.Float64()]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def told(result):
    return [(one.change, (one.at - T0) // BLOCK) for one in result.transitions]


def test_a_breach_fires_at_the_end_of_its_block_and_resolves_when_it_is_over():
    result = advance(lifecycle.empty(), rule(), blocks(90.0, 120.0, 130.0, 80.0))
    assert told(result) == [(Change.FIRED, 2), (Change.RESOLVED, 4)]
    fired = result.transitions[0]
    assert fired.since == T0 + BLOCK
    assert fired.row["demand_kw"] == 120.0


def test_rows_need_not_come_in_order_or_in_one_frame():
    frame = blocks(90.0, 120.0, 130.0, 80.0)
    shuffled = advance(lifecycle.empty(), rule(), frame.sample(fraction=1.0, shuffle=True, seed=1))
    state, found = lifecycle.empty(), []
    for n in range(frame.height):
        step = advance(state, rule(), frame[n : n + 1])
        state, found = step.state, found + list(step.transitions)
    assert list(shuffled.transitions) == found


def test_for_counts_whole_blocks_and_a_break_begins_anew():
    held = rule(**{"for": "30m"})
    assert told(advance(lifecycle.empty(), held, blocks(120.0, 130.0))) == [(Change.FIRED, 2)]
    assert told(advance(lifecycle.empty(), held, blocks(120.0, 90.0, 130.0))) == []


def test_an_unobserved_stretch_proves_no_duration():
    held = rule(**{"for": "30m"})
    frame = pl.concat([blocks(120.0), blocks(120.0, first=8)])
    assert told(advance(lifecycle.empty(), held, frame)) == []


def test_null_neither_fires_nor_resolves():
    result = advance(lifecycle.empty(), rule(), blocks(120.0, None, None))
    assert told(result) == [(Change.FIRED, 1)]
    later = advance(result.state, rule(), blocks(None, 90.0, first=3))
    assert told(later) == [(Change.RESOLVED, 5)]
    assert told(advance(lifecycle.empty(), rule(), blocks(None, None))) == []


def test_hysteresis_holds_the_alert_until_clear():
    eased = rule(clear="demand_kw < 0.9 * contract_demand_kw")
    result = advance(lifecycle.empty(), eased, blocks(120.0, 95.0, 105.0, 89.0))
    assert told(result) == [(Change.FIRED, 1), (Change.RESOLVED, 4)]


def test_a_revision_of_the_last_block_is_judged_again_an_older_one_is_not():
    state = advance(lifecycle.empty(), rule(), blocks(80.0, 90.0)).state
    assert told(advance(state, rule(), blocks(150.0))) == []
    assert told(advance(state, rule(), blocks(150.0, first=1))) == [(Change.FIRED, 2)]


def test_subjects_do_not_touch_one_another_and_only_changes_are_stored():
    frame = pl.concat([blocks(80.0, 90.0, site="a"), blocks(120.0, 130.0, site="b")])
    result = advance(lifecycle.empty(), rule(), frame)
    assert [one.subject_id for one in result.transitions] == ["b"]
    assert result.changed["subject_id"].to_list() == ["b"]
    assert result.state["phase"].to_list() == [Phase.OK, Phase.FIRING]


def test_no_data_is_a_rule_of_its_own():
    silent = Compiled.of(
        Rule.model_validate({
            "id": "silent", "on": "fleet", "when": "silent_s > 3600", "for": "10m",
            "text": {"zh": "{meter_id}", "en": "{meter_id}"},
        })
    )  # fmt: skip
    at = [T0 + timedelta(minutes=n) for n in range(0, 25, 5)]
    frame = pl.DataFrame(
        {"meter_id": "m", "site_id": "a", "at": at, "silent_s": [3500.0, 3800, 4100, 4400, 2.0]},
        schema_overrides={"at": UTC_US},
    )
    result = advance(lifecycle.empty(), silent, frame)
    assert [(one.change, one.at) for one in result.transitions] == [
        (Change.FIRED, at[3]),
        (Change.RESOLVED, at[4]),
    ]


def test_a_months_account_begins_to_breach_when_it_is_seen_to_not_when_the_month_began():
    ahead = rule(on="quota", when="projected_kwh > quota_kwh", text={"zh": "", "en": ""},
                 **{"for": "1h"})  # fmt: skip
    at = [T0 + timedelta(minutes=n) for n in (0, 30, 60)]
    frame = pl.DataFrame(
        {"site_id": "a", "at": at, "start": T0 - timedelta(days=20), "quota_kwh": 1.0},
        schema_overrides={"at": UTC_US, "start": UTC_US},
    ).with_columns(projected_kwh=2.0)
    (fired,) = advance(lifecycle.empty(), ahead, frame).transitions
    assert (fired.since, fired.at) == (at[0], at[2])


def test_a_verdict_whose_period_moves_on_by_a_day_is_the_same_alert():
    over = rule(on="verdict", when="outcome = 'overrun'", text={"zh": "", "en": ""})
    days = [T0, T0 + timedelta(days=1)]
    rows = {"site_id": "a", "pack_id": "p", "row_id": "hotel", "verdict_id": ["one", "two"]}
    frame = pl.DataFrame(rows | {"computed_at": days}, schema_overrides={"computed_at": UTC_US})
    result = advance(lifecycle.empty(), over, frame.with_columns(outcome=pl.lit("overrun")))
    assert [(one.subject_id, one.at) for one in result.transitions] == [("a:p:hotel", T0)]


demands = st.lists(st.one_of(st.none(), st.sampled_from([80.0, 95.0, 120.0])), max_size=20)


@pytest.mark.parametrize("hold", ["0s", "30m"])
@settings(max_examples=40, deadline=None)
@given(values=demands, cuts=st.lists(st.integers(1, 6), min_size=20, max_size=20))
def test_however_the_rows_are_cut_and_replayed_the_alerts_are_the_same(hold, values, cuts):
    judge = rule(clear="demand_kw < 90", **{"for": hold})
    frame = blocks(*values)
    whole = advance(lifecycle.empty(), judge, frame)
    state, found, at = lifecycle.empty(), [], 0
    for size in cuts:
        step = advance(state, judge, frame[max(0, at - 1) : at + size])  # repeats the row before
        state, found, at = step.state, found + list(step.transitions), at + size
    assert found == list(whole.transitions)
    assert advance(whole.state, judge, frame).transitions == ()
    changes = [one.change for one in found]
    assert all(a is not b for a, b in itertools.pairwise(changes))
