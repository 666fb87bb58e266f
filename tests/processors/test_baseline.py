"""Baselines of events: who complies, on which days that rests, and what proof of notice decides."""

from datetime import date, timedelta

import polars as pl
import pytest
from baseline_rows import event, held, instant, rows, state, steady
from pydantic import ValidationError

from processors.baseline_rows import BLOCKS, EVENTS
from processors.eligible import LIKE_DAY
from processors.events import BaselineSettings, Event
from processors.interval import BLOCK

TUESDAY = date(2026, 11, 17)
START, END = instant("2026-11-17 14:00"), instant("2026-11-17 16:00")
TOLD = instant("2026-11-17 12:30")
RULE = BaselineSettings(keep=2, of=3, beside_days=0)
SITE = held()


def with_event(kw_then=80.0, kw_before=100.0, **days):
    """Three weeks at 100 kW, the event's hours at `kw_then`, the hours before at `kw_before`."""
    blocks = steady(TUESDAY - timedelta(days=21), 22, 100.0)
    for start in blocks:
        if START <= start < END:
            blocks[start] = (kw_then / 4, 1.0, False)
        elif START - timedelta(hours=6) <= start < START:
            blocks[start] = (kw_before / 4, 1.0, False)
    return blocks


def one(told):
    return told.events.row(0, named=True)


def test_a_site_that_cuts_what_was_ordered_complies():
    told = state(rows(with_event()), [event(START, END, TOLD)], [SITE], RULE)
    got = one(told)
    assert (got["verdict"], got["complied"], got["failed"], got["undecided"]) == (
        "complies",
        8,
        0,
        0,
    )
    assert got["reduction_kwh"] == pytest.approx(40.0)  # 20 kW x 2 h
    assert got["achieved_ratio"] == pytest.approx(2.0)
    assert (got["like_days"], got["adjust_kw"], got["coverage"]) == (2, 0.0, 1.0)
    assert told.events.schema == pl.Schema(EVENTS)
    assert told.blocks.schema == pl.Schema(BLOCKS)
    assert told.like_days.schema == pl.Schema(LIKE_DAY)


def test_a_site_that_cuts_too_little_fails_and_one_under_its_cap_needs_no_baseline():
    short = state(rows(with_event(95.0)), [event(START, END, TOLD)], [SITE], RULE)
    assert (one(short)["verdict"], one(short)["failed"]) == ("fails", 8)
    capped = event(START, END, TOLD, cap_kw=90)
    alone = {at: kwh for at, kwh in with_event().items() if at >= START - timedelta(hours=2)}
    got = one(state(rows(alone), [capped], [SITE], RULE))
    assert (got["verdict"], got["baseline_kwh"], got["like_days"]) == ("complies", None, 0)


@pytest.mark.parametrize(
    ("notified", "reason"), [(None, "no_proof_of_notice"), (START + BLOCK, "notified_late")]
)
def test_nobody_fails_without_proof_that_he_was_told_in_time(notified, reason):
    told = state(rows(with_event(100.0)), [event(START, END, notified)], [SITE], RULE)
    assert (one(told)["verdict"], one(told)["reason"]) == ("undecided", reason)
    assert set(told.blocks["reason"]) == {reason}
    assert told.blocks["baseline_kwh"].null_count() == 0  # the figures are told all the same


def test_the_same_day_adjustment_follows_the_hours_before_the_notice_within_its_cap():
    blocks = with_event(kw_then=100.0, kw_before=110.0)
    got = one(state(rows(blocks), [event(START, END, TOLD)], [SITE], RULE))
    assert (got["adjust_kw"], got["adjust_ratio"]) == (pytest.approx(10.0), pytest.approx(1.1))
    assert got["reduction_kwh"] == pytest.approx(20.0)
    for at in blocks:
        if TOLD <= at < START:  # raised once he was told: not looked at
            blocks[at] = (500.0, 1.0, False)
    again = one(state(rows(blocks), [event(START, END, TOLD)], [SITE], RULE))
    assert again["reduction_kwh"] == pytest.approx(20.0)
    wild = with_event(kw_then=100.0, kw_before=300.0)
    capped = one(state(rows(wild), [event(START, END, TOLD)], [SITE], RULE))
    assert capped["baseline_kwh"] == pytest.approx(240.0)  # 100 kW + 20 %, for 2 h


def test_notice_on_an_earlier_day_leaves_no_window_and_its_day_is_no_like_day():
    early = event(START, END, TOLD - timedelta(days=1), cut_kw=10)
    told = state(rows(with_event(kw_before=300.0)), [early], [SITE], RULE)
    got = one(told)
    assert (got["adjust_reason"], got["adjust_kw"], got["verdict"]) == (
        "window_off_day", None, "complies",
    )  # fmt: skip
    days = dict(told.like_days.select("day", "reason").iter_rows())
    assert days[date(2026, 11, 16)] == "after_notice"


def test_like_days_are_the_greatest_of_the_last_eligible_and_others_say_why_not():
    blocks = with_event()
    for day, kw in ((date(2026, 11, 13), 60.0), (date(2026, 11, 12), 120.0)):
        blocks |= steady(day, 1, kw)
    del blocks[instant("2026-11-11 03:00")]  # 1 of 96: still 98.9 %
    for hour in range(3):
        blocks[instant(f"2026-11-10 0{hour}:00")] = (25.0, 0.0, True)
        blocks[instant(f"2026-11-10 0{hour}:15")] = (25.0, 0.0, True)
    del blocks[instant("2026-11-09 15:00")]
    past = event(instant("2026-11-05 09:00"), instant("2026-11-05 10:00"), None, name="past")
    rule = RULE.model_copy(update={"of": 4, "keep": 3, "beside_days": 1})
    told = state(rows(blocks), [event(START, END, TOLD), past], [SITE], rule, asked=["e"])
    days = {r["day"].day: r for r in told.like_days.iter_rows(named=True) if r["day"].month == 11}
    assert {day: row["reason"] for day, row in days.items() if row["reason"]} == {
        16: "beside_event", 15: "other_day_type", 14: "other_day_type", 10: "low_coverage",
        9: "hours_missing", 8: "other_day_type", 7: "other_day_type", 6: "beside_event",
        5: "event_day", 4: "beside_event", 2: "not_needed", 1: "other_day_type",
    }  # fmt: skip
    assert [day for day, row in days.items() if row["used"]] == [12, 11, 3]
    assert told.blocks["unadjusted_kwh"].sum() == pytest.approx((120 + 100 + 100) / 3 * 2)


def test_too_few_like_days_a_hole_and_an_estimate_decide_nothing():
    few = {at: kwh for at, kwh in with_event().items() if at >= instant("2026-11-16 00:00")}
    got = one(state(rows(few), [event(START, END, TOLD)], [SITE], RULE))
    assert (got["reason"], got["baseline_kwh"], got["blocks_stated"]) == (
        "too_few_like_days", None, 0,
    )  # fmt: skip
    holed = with_event() | {START: (None, 0.0, False), START + BLOCK: (10.0, 0.0, True)}
    told = state(rows(holed), [event(START, END, TOLD)], [SITE], RULE)
    assert told.blocks["reason"].to_list()[:3] == ["not_measured", "estimated", None]
    assert (one(told)["verdict"], one(told)["blocks_stated"]) == ("undecided", 7)
    del holed[instant("2026-11-17 11:00")]
    blind = state(rows(holed), [event(START, END, TOLD)], [SITE], RULE)
    assert blind.blocks["reason"].to_list()[2] == "window_not_measured"


def test_an_event_that_still_runs_is_decided_as_far_as_it_has_come():
    now = START + timedelta(minutes=40)
    told = state(rows(with_event()), [event(START, END, TOLD)], [SITE], RULE, now)
    assert told.blocks["verdict"].to_list() == ["complies"] * 2 + ["undecided"] * 6
    assert one(told)["reason"] == "not_over"


def test_a_later_revision_changes_the_verdict():
    late = with_event() | {START: (25.0, 1.0, False)}
    first, then = (
        one(state(rows(one_), [event(START, END, TOLD)], [SITE], RULE))
        for one_ in (with_event(), late)
    )
    assert (first["verdict"], then["verdict"]) == ("complies", "fails")


def ordered(**over):
    base = {"id": "e", "kind": "response", "start": START, "end": END}
    return Event.model_validate(base | {"sites": [{"site": "s", "cut_kw": 1}]} | over)


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"start": START + timedelta(minutes=1)}, "quarter"),
        ({"end": START}, "later"),
        ({"end": START + timedelta(hours=25)}, "24 h"),
        ({"sites": [{"site": "s"}]}, "either"),
        ({"sites": [{"site": "s", "cut_kw": 1, "cap_kw": 1}]}, "either"),
        ({"sites": [{"site": "s", "cut_kw": 1}] * 2}, "once"),
        ({"start": START.replace(tzinfo=None)}, "timezone"),
        ({"sites": [{"site": "s", "cut_kw": 1, "notice": {"at": TOLD, "told": "x"}}]}, "how"),
    ],
)
def test_an_event_that_cannot_be_is_refused(over, words):
    with pytest.raises(ValidationError, match=words):
        ordered(**over)
