"""Whatever is added, flushed, tidied and reopened in whatever order: history is its plain list."""

import tempfile
from datetime import date, timedelta
from pathlib import Path

import polars as pl
from history_rows import T0, book, intervals, readings
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from processors.history.days import day_rows
from processors.history.delta import Tidy
from processors.history.store import History
from processors.interval import BLOCK

METERS = ["a", "b"]
BOOK = book(*METERS)
NOW = T0 + timedelta(days=9)
SPAN = (T0 - 96 * BLOCK, T0 + 960 * BLOCK)

adds = st.tuples(
    st.just("add"),
    st.sampled_from(METERS),
    st.integers(0, 600),  # first block
    st.integers(1, 120),  # blocks
    st.integers(0, 9),  # energy, kWh
)
steps = st.lists(
    st.one_of(adds, st.sampled_from([("flush",), ("flush",), ("tidy",), ("reopen",)])), max_size=14
)


def opened(folder: Path) -> History:
    short = timedelta(hours=12)
    return History(folder, lambda: NOW, BOOK, recent_span=short, recent_rows=200)


def known(rows: list[pl.DataFrame], until: int) -> pl.DataFrame:
    """Return the latest rows of the first `until` frames, worked out plainly."""
    last = {}
    for frame in rows[:until]:
        last |= {(row["meter_id"], row["start"]): row for row in frame.to_dicts()}
    return pl.DataFrame([last[key] for key in sorted(last)], schema=intervals([], T0, 0, T0).schema)


def check(history: History, rows: list[pl.DataFrame]) -> None:
    assert_frame_equal(history.intervals(*SPAN), known(rows, len(rows)))
    half = len(rows) // 2
    then = T0 + timedelta(seconds=half - 0.5)
    assert_frame_equal(history.intervals(*SPAN, as_of=then), known(rows, half))
    day = (date(2026, 3, 1), date(2026, 3, 12))
    for as_of, count in ((None, len(rows)), (then, half)):
        made = day_rows(known(rows, count), BOOK.meters, as_of or NOW).drop("revision")
        found = history.days(*day, as_of=as_of).drop("revision")
        assert_frame_equal(found, made)


@settings(max_examples=12, deadline=None)
@given(steps)
def test_history_is_the_list_of_what_was_added(todo):
    with tempfile.TemporaryDirectory() as folder:
        history, rows = opened(Path(folder)), []
        flushed = 0
        for step in todo:
            if step[0] == "add":
                _, meter, first, blocks, energy = step
                at = T0 + timedelta(seconds=len(rows))
                start = T0 + first * BLOCK
                rows.append(intervals([meter], start, blocks, at, energy, revision=len(rows)))
                history.add(len(rows), readings([], T0, 0), rows[-1])
            elif step[0] == "flush":
                history.flush()
                flushed = len(rows)
            elif step[0] == "tidy":
                history.maintain(Tidy(open_files=2, closed_files=2))
            else:  # a crash: what was not flushed comes again
                history = opened(Path(folder))
                for seq in range(flushed, len(rows)):
                    history.add(seq + 1, readings([], T0, 0), rows[seq])
        check(history, rows)
        history.flush()
        check(history, rows)
        check(History.open_readonly(Path(folder), BOOK, lambda: NOW), rows)
