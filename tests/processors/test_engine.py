"""The engine: exactly once into history, through crashes of its listener, disk and process."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from fakes.stream_driver import book_of, readings_of
from polars.testing import assert_frame_equal

from collector.clock import Clock
from collector.journal import Journal
from collector.metrics import Metrics
from processors import snapshot
from processors.blocks import intervals_of
from processors.engine import Engine
from processors.history.store import History
from processors.interval import INTERVAL
from processors.settings import EngineSettings

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
BOOK = book_of(["a", "b"])
FIGURES = [name for name in INTERVAL if name not in {"revision", "computed_at"}]


def minutes(first, count, meters=("a", "b")):
    return readings_of(
        [
            (meter, START + timedelta(minutes=m), 50.0 + m * (1.0 + place))
            for m in range(first, first + count)
            for place, meter in enumerate(meters)
        ]
    )


class Bench:
    """Journal, history and engine in a folder; may be opened again, as after a crash."""

    def __init__(self, folder, listener=lambda _intervals, _live: None, **settings):
        self.clock = Clock.accelerated(START + timedelta(days=1), 1.0)
        self.journal = Journal(folder / "journal.db", self.clock.now)
        self.history = History(folder / "history", self.clock.now, BOOK)
        self.metrics = Metrics()
        self.engine = Engine(
            self.journal,
            self.history,
            BOOK,
            self.clock,
            folder / "state.bin",
            self.metrics,
            EngineSettings(flush_s=600, **settings),
            listener=listener,
        )
        self.engine._restore()

    def add(self, readings):
        self.journal.append(readings).result()

    def run(self):
        while self.journal.last() > self.engine.cursor:
            self.engine.pass_once()

    def stored(self):
        return self.history.intervals(START - timedelta(days=1), START + timedelta(days=1))


@pytest.fixture
def bench(tmp_path):
    opened = []

    def make(**options):
        for one in opened:
            one.journal.close()
        opened[:] = [Bench(tmp_path, **options)]
        return opened[0]

    yield make
    for one in opened:
        one.journal.close()


def same(ours, readings):
    whole = intervals_of(readings, BOOK).select(FIGURES).sort("meter_id", "start")
    assert_frame_equal(ours.select(FIGURES).sort("meter_id", "start"), whole)


def test_what_was_not_flushed_is_computed_again_after_a_crash(bench):
    first = bench()
    first.add(minutes(0, 50))
    first.run()
    first.engine.flush()
    first.add(minutes(50, 50))
    first.run()  # and the process dies: nothing of this is on disk but the journal
    again = bench()
    again.run()
    same(again.stored(), minutes(0, 100))


def test_a_crash_between_history_and_snapshot_stores_nothing_twice(bench):
    first = bench()
    first.add(minutes(0, 50))
    first.run()
    first.history.flush()  # dies here, before the snapshot
    again = bench()
    again.add(minutes(50, 50))
    again.run()
    again.engine.flush()
    same(again.stored(), minutes(0, 100))
    rows = again.history.intervals_since(START - timedelta(days=9), 10_000)
    assert not rows.select("meter_id", "start").is_duplicated().any()
    readings = again.history.readings(START, START + timedelta(days=1))
    assert not readings.select("meter_id", "measured_at").is_duplicated().any()


def test_a_listener_that_fails_is_told_again_and_history_is_not_doubled(bench):
    told, failures = [], [True]

    def listener(intervals, _live):
        if failures.pop() if failures else False:
            raise RuntimeError("the ledger's disk is full")
        told.append(intervals)

    one = bench(listener=listener)
    one.add(minutes(0, 50))
    with pytest.raises(RuntimeError, match="disk is full"):
        one.run()
    one.engine.pass_once()
    assert pl.concat(told).height == 6
    one.engine.flush()
    same(one.stored(), minutes(0, 50))


def test_late_readings_are_revised_once_and_counted(bench):
    one = bench()
    readings = minutes(0, 60)
    late = readings.filter(
        pl.col("measured_at").is_between(*[START + timedelta(minutes=m) for m in (5, 40)])
    )
    one.add(readings.join(late, on=["meter_id", "measured_at"], how="anti"))
    one.run()
    assert set(one.stored()["quality"].cast(str)) >= {"estimated"}
    one.add(late)
    one.run()
    same(one.stored(), readings)
    assert one.metrics.value("demandwatch_intervals_total", {"kind": "revision"}) > 0


def test_a_damaged_snapshot_is_set_aside_and_the_journal_processed_again(bench, tmp_path):
    one = bench()
    one.add(minutes(0, 50))
    one.run()
    one.engine.flush()
    (tmp_path / "state.bin").write_bytes(b"DWSTATE1 and nothing that makes sense")
    again = bench()
    again.run()
    again.engine.flush()
    same(again.stored(), minutes(0, 50))
    assert (tmp_path / "state.damaged").exists()
    rows = again.history.intervals_since(START - timedelta(days=9), 10_000)
    assert not rows.select("meter_id", "start").is_duplicated().any()


def test_a_refusing_disk_loses_nothing_and_is_tried_again(bench, tmp_path):
    one = bench()
    one.add(minutes(0, 50))
    one.run()
    block = tmp_path / "state.part"
    block.mkdir()  # the snapshot's draft cannot be written
    one.engine.flush()
    assert one.metrics.value("demandwatch_history_refused_total") == 1
    assert snapshot.load(tmp_path / "state.bin") is None
    block.rmdir()
    one.engine.flush()
    assert snapshot.load(tmp_path / "state.bin")[1] == one.journal.last()
    same(one.stored(), minutes(0, 50))


def test_caught_up_once_the_backlog_is_processed(bench):
    one = bench()
    one.add(minutes(0, 30))
    again = bench(batch_rows=1)
    assert not again.engine.caught_up.is_set()
    again.run()
    assert again.engine.caught_up.is_set()
