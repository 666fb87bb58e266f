"""History keeps every row once, every revision, and shows it as it was known then."""

import threading
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from history_rows import DAY0, T0, book, intervals, readings
from polars.testing import assert_frame_equal

from processors import interval
from processors.history.delta import StoreError, Tidy
from processors.history.store import History
from processors.interval import BLOCK

METERS = ["a-1", "b-2", "c-3"]
NO_READINGS = readings([], T0, 0)
HOUR = timedelta(hours=1)


def open_history(folder: Path, now: datetime = T0 + 400 * HOUR * 24, **options) -> History:
    return History(folder, lambda: now, book(*METERS), **options)


def test_what_was_added_is_seen_before_and_after_the_flush_and_after_reopening(tmp_path):
    history = open_history(tmp_path)
    rows, heard = intervals(METERS, T0, 8, T0 + HOUR), readings(METERS, T0, 20)
    history.add(7, heard, rows)
    before = history.intervals(T0, T0 + HOUR)
    assert before.height == 12
    assert history.committed("intervals") == 0
    assert history.flush() == 7
    again = open_history(tmp_path)
    readonly = History.open_readonly(tmp_path, book(*METERS))
    for one in (history, again, readonly):
        assert one.committed("readings") == one.committed("intervals") == 7
        assert_frame_equal(one.intervals(T0, T0 + HOUR), before)
        assert_frame_equal(one.readings(T0, T0 + HOUR), heard.sort("meter_id", "measured_at"))
    assert before.schema == interval.INTERVAL


def test_a_block_is_in_the_span_that_holds_its_start(tmp_path):
    history = open_history(tmp_path)
    history.add(1, NO_READINGS, intervals(["a-1"], T0, 8, T0))
    found = history.intervals(T0 + BLOCK, T0 + 3 * BLOCK)
    assert found["start"].to_list() == [T0 + BLOCK, T0 + 2 * BLOCK]
    assert history.intervals(T0, T0).is_empty()
    assert history.intervals(T0, T0 + HOUR, []).is_empty()
    assert history.intervals(T0, T0 + HOUR, ["nobody"]).is_empty()


def test_after_a_crash_the_replayed_journal_adds_nothing_twice(tmp_path):
    first = open_history(tmp_path)
    for seq in (1, 2):
        at = T0 + seq * HOUR
        first.add(seq, readings(["a-1"], at, 5), intervals(["a-1"], at, 4, at))
    first.flush()
    first.add(3, readings(["a-1"], T0 + 3 * HOUR, 5), intervals(["a-1"], T0 + 3 * HOUR, 4, T0))
    second = open_history(tmp_path)  # the first died without a flush of 3
    for seq in (1, 2, 3):
        at = T0 + seq * HOUR
        second.add(seq, readings(["a-1"], at, 5), intervals(["a-1"], at, 4, at))
    second.flush()
    assert second.readings(T0, T0 + 5 * HOUR).height == 15
    assert second.intervals_since(T0 - HOUR, 100).height == 12


@pytest.mark.parametrize("again", ["the same process", "the next process"])
def test_a_failure_between_the_two_commits_loses_and_doubles_nothing(tmp_path, again):
    rows, heard = intervals(["a-1"], T0, 4, T0), readings(["a-1"], T0, 5)
    history = open_history(tmp_path)
    history.add(1, heard, rows)
    (tmp_path / "intervals").write_text("a file where the table's folder must be")
    with pytest.raises(StoreError, match="intervals"):
        history.flush()
    (tmp_path / "intervals").unlink()
    assert history.intervals(T0, T0 + HOUR).height == 4
    if again == "the next process":
        history = open_history(tmp_path)
        history.add(1, heard, rows)
    assert (history.committed("readings"), history.committed("intervals")) == (1, 0)
    assert history.flush() == 1
    reader = History.open_readonly(tmp_path)
    assert reader.readings(T0, T0 + HOUR).height == 5
    assert reader.intervals_since(T0 - HOUR, 100).height == 4


def test_a_correction_is_a_revision_and_the_past_is_shown_as_it_was_known(tmp_path):
    history = open_history(tmp_path)
    known, corrected = T0 + HOUR, T0 + 30 * HOUR
    history.add(1, NO_READINGS, intervals(METERS, T0, 4, known, energy_kwh=1))
    history.flush()
    history.add(2, NO_READINGS, intervals(["b-2"], T0, 2, corrected, 9.0, revision=1))
    for one in (history, History.open_readonly(tmp_path)):
        history.flush()
        now = one.intervals(T0, T0 + HOUR, ["b-2"])
        assert now["energy_kwh"].to_list() == [9, 9, 1, 1]
        assert now["revision"].to_list() == [1, 1, 0, 0]
        then = one.intervals(T0, T0 + HOUR, ["b-2"], as_of=corrected - timedelta(seconds=1))
        assert then["energy_kwh"].to_list() == [1, 1, 1, 1]
        assert one.intervals(T0, T0 + HOUR, as_of=T0).is_empty()


def test_a_clock_set_back_hides_no_row_from_a_cursor_nor_from_the_latest(tmp_path):
    history = open_history(tmp_path)
    history.add(1, NO_READINGS, intervals(["a-1"], T0, 1, T0 + HOUR, 1.0))
    seen = history.intervals_since(T0, 10)["computed_at"][-1]
    history.add(2, NO_READINGS, intervals(["a-1"], T0, 1, T0 + BLOCK, 2.0, revision=1))
    assert history.intervals_since(seen, 10)["energy_kwh"].to_list() == [2.0]
    assert history.intervals(T0, T0 + HOUR)["energy_kwh"].to_list() == [2.0]


@pytest.mark.parametrize("limit", [1, 7, 1000])
@pytest.mark.parametrize("tidied", [False, True])
def test_a_cursor_sees_every_revision_once_and_in_order(tmp_path, limit, tidied):
    history = open_history(tmp_path, recent_span=timedelta(hours=6), recent_rows=50)
    for k in range(30):  # old and new blocks in turn: most rows leave memory
        start = T0 + (k % 5) * 24 * HOUR + k * BLOCK
        history.add(k + 1, NO_READINGS, intervals(METERS, start, 2, T0 + k * HOUR))
        history.flush() if k % 4 == 1 else None
    if tidied:
        history.maintain(Tidy(open_files=2, closed_files=2))
    for one in (history, open_history(tmp_path)):
        cursor, seen = T0 - HOUR, []
        while (batch := one.intervals_since(cursor, limit)).height:
            seen.append(batch)
            cursor = batch["computed_at"][-1]
        rows = pl.concat(seen)
        assert rows["computed_at"].is_sorted()
        assert rows.height == rows.unique(["meter_id", "start", "computed_at"]).height == 30 * 6


def test_memory_and_disk_together_answer_what_disk_alone_does(tmp_path):
    history = open_history(tmp_path, recent_span=timedelta(hours=12), recent_rows=300)
    for k in range(40):
        rows = intervals(METERS, T0 + 6 * k * BLOCK, 8, T0 + k * HOUR, float(k), revision=k % 2)
        history.add(k + 1, NO_READINGS, rows)
        history.flush() if k % 3 == 0 else None
    spans = [(0, 500), (3, 40), (100, 180), (170, 400), (0, 1)]
    mixed = [history.intervals(T0 + a * BLOCK, T0 + b * BLOCK, ["a-1", "c-3"]) for a, b in spans]
    history.flush()
    disk = History.open_readonly(tmp_path)
    for (a, b), found in zip(spans, mixed, strict=True):
        assert_frame_equal(disk.intervals(T0 + a * BLOCK, T0 + b * BLOCK, ["a-1", "c-3"]), found)


def test_old_data_only_is_served_like_new(tmp_path):
    old = datetime.fromisoformat("2018-01-01T00:00+08:00")
    history = open_history(tmp_path)
    history.add(1, NO_READINGS, intervals(["a-1"], old, 96 * 10, T0))
    history.flush()
    assert history.intervals(old, old + timedelta(days=10)).height == 960
    days = history.days(date(2018, 1, 1), date(2018, 1, 11))
    assert days["energy_kwh"].to_list() == [96.0] * 10


def test_neighbours_are_found_however_far(tmp_path):
    history = open_history(tmp_path)
    history.add(1, readings(["a-1", "b-2"], T0 - 300 * HOUR, 5), intervals([], T0, 0, T0))
    history.add(2, readings(["b-2"], T0 - 0.5 * HOUR, 10), intervals([], T0, 0, T0))
    history.flush()
    history.add(3, readings(["a-1"], T0 + 50 * HOUR, 1), intervals([], T0, 0, T0))
    found = history.neighbours(["a-1", "b-2", "c-3"], T0, T0 + HOUR)
    a, b = (found.filter(pl.col("meter_id") == m)["measured_at"].to_list() for m in METERS[:2])
    minute = timedelta(minutes=1)
    last = T0 - 300 * HOUR
    assert a == [last + 2 * minute, last + 3 * minute, last + 4 * minute, T0 + 50 * HOUR]
    assert b == [T0 - 0.5 * HOUR + k * minute for k in (7, 8, 9)]
    power_only = readings(["b-2"], T0 - 0.1 * HOUR, 5).with_columns(energy_import_kwh=None)
    history.add(4, power_only, intervals([], T0, 0, T0))
    assert history.neighbours(["b-2"], T0, T0 + HOUR)["measured_at"].to_list() == b
    on = history.neighbours(["b-2"], T0 - HOUR, T0 - 0.5 * HOUR, count=1)
    assert on["measured_at"].to_list() == [last + 4 * minute, T0 - 0.5 * HOUR]


def test_reads_go_on_while_it_writes_and_tidies(tmp_path):
    history = open_history(tmp_path, recent_span=timedelta(hours=6), recent_rows=10)
    faults: list[BaseException] = []
    done = threading.Event()

    def tidy() -> None:
        try:
            while not done.is_set():
                history.maintain(Tidy(open_files=2, closed_files=2, checkpoint_commits=5))
        except BaseException as fault:  # noqa: BLE001 - told to the test, which fails
            faults.append(fault)

    def look() -> None:
        most = 0
        try:
            while not done.is_set():
                rows = history.intervals(T0, T0 + 400 * BLOCK)
                assert rows.height == rows.unique(["meter_id", "start"]).height
                assert rows.height >= most, "a committed row was not seen"
                most = rows.height
        except BaseException as fault:  # noqa: BLE001 - told to the test, which fails
            faults.append(fault)

    threads = [threading.Thread(target=one) for one in (tidy, look)]
    for thread in threads:
        thread.start()
    for k in range(60):
        history.add(k + 1, NO_READINGS, intervals(METERS, T0 + k * 3 * BLOCK, 3, T0 + k * HOUR))
        history.flush()
    done.set()
    for thread in threads:
        thread.join()
    assert not faults
    history.maintain(Tidy(open_files=2, closed_files=2))
    again = open_history(tmp_path)
    assert again.intervals(T0, T0 + 400 * BLOCK).height == 3 * 180
    assert again.committed("intervals") == 60


def test_a_reader_cannot_write(tmp_path):
    reader = History.open_readonly(tmp_path)
    assert reader.intervals(T0, T0 + HOUR).is_empty()
    assert reader.days(DAY0, date(2026, 4, 1)).is_empty()
    assert reader.neighbours(["a-1"], T0, T0).is_empty()
    with pytest.raises(PermissionError, match="reading only"):
        reader.flush()
