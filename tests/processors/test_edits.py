"""Manual edits: revisions with who and why that later readings do not undo; raw beside stated."""

import sqlite3
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from fakes.stream_driver import book_of, readings_of

from collector.clock import Clock
from collector.journal import Journal
from collector.metrics import Metrics
from processors.blocks import intervals_of
from processors.edits import standing, stated
from processors.engine import Engine
from processors.history.editbook import EditBook, EditError
from processors.history.store import History
from processors.interval import INTERVAL
from processors.raw import sum_check, with_raw
from processors.settings import EngineSettings

T0 = datetime(2026, 3, 2, tzinfo=UTC)
QUARTER, MINUTE = timedelta(minutes=15), timedelta(minutes=1)
BOOK = book_of(["m", "n"], rated_power_kw=400.0)
FIGURES = [name for name in INTERVAL if name not in {"revision", "computed_at"}]


def minutes(first, count, meter="m"):
    return readings_of([(meter, T0 + n * MINUTE, 100.0 + n) for n in range(first, first + count)])


class Bench:
    """Journal, history, edits and engine in a folder; may be opened again, as after a crash."""

    def __init__(self, folder):
        self.clock = Clock.accelerated(T0 + timedelta(days=1), 1.0)
        self.journal = Journal(folder / "journal.db", self.clock.now)
        self.edits = EditBook(folder / "edits.db", self.clock.now)
        self.history = History(folder / "history", self.clock.now, BOOK)
        self.told = []
        self.engine = Engine(
            self.journal, self.history, BOOK, self.clock, folder / "state.bin", Metrics(),
            EngineSettings(flush_s=600), edits=self.edits,
            listener=lambda rows, _live: self.told.append(rows),
        )  # fmt: skip
        self.engine._restore()

    def read(self, *frames):
        for frame in frames:
            self.journal.append(frame).result()
        self.engine.drain()
        return self.now()

    def now(self, as_of=None):
        return self.history.intervals(T0, T0 + timedelta(days=1), None, as_of)

    def close(self):
        self.journal.close()
        self.edits.close()


@pytest.fixture
def bench(tmp_path):
    opened = []

    def make():
        for one in opened:
            one.close()
        opened[:] = [Bench(tmp_path)]
        return opened[0]

    yield make
    for one in opened:
        one.close()


def set_(one, first, last, kwh, meter="m"):
    return one.edits.set(
        meter, T0 + first * QUARTER, T0 + last * QUARTER, kwh, "王工", "meter test"
    )


def test_an_edit_is_a_revision_and_what_was_known_before_stays_known(bench):
    one = bench()
    one.read(minutes(0, 61))
    before = one.clock.now()
    set_(one, 1, 3, 8.0)
    found = one.read()
    assert found["energy_kwh"].to_list() == [15.0, 4.0, 4.0, 15.0]
    assert found["demand_kw"].to_list() == [60.0, 16.0, 16.0, 60.0]
    row = found.row(1, named=True)
    assert (row["quality"], row["method"], row["coverage"]) == ("estimated", "manual", 0.0)
    assert (row["revision"], "edited" in row["flags"]) == (1, True)
    assert one.now(before)["energy_kwh"].to_list() == [15.0] * 4
    assert pl.concat(one.told).filter(pl.col("method") == "manual").height == 2


def test_later_and_corrected_readings_do_not_undo_an_edit(bench):
    one = bench()
    one.read(minutes(0, 20), minutes(40, 21))
    set_(one, 1, 2, 8.0)
    late = minutes(20, 20).with_columns(pl.col("energy_import_kwh") + 3)
    found = one.read(late, minutes(61, 30))
    assert found["energy_kwh"][1] == 8.0
    whole = pl.concat([minutes(0, 20), minutes(40, 21), late, minutes(61, 30)])
    expected = intervals_of(whole, BOOK, one.edits.acts())
    assert found.select(FIGURES).to_dicts() == expected.sort("start").select(FIGURES).to_dicts()


def test_a_withdrawn_edit_gives_back_what_the_readings_say(bench):
    one = bench()
    plain = one.read(minutes(0, 61)).select(FIGURES).to_dicts()
    made = set_(one, 0, 4, 8.0)
    one.read()
    one.edits.withdraw(made, "李工", "wrong meter")
    found = one.read()
    assert found.select(FIGURES).to_dicts() == plain
    assert found["revision"].min() >= 2
    assert one.edits.acts()["why"].to_list() == ["meter test", "wrong meter"]


def test_a_silent_meter_may_be_edited_and_its_readings_may_come_back(bench):
    one = bench()
    one.read(minutes(0, 16, "n"))
    made = set_(one, 1, 5, 40.0, "n")
    found = one.read()
    assert found["energy_kwh"].to_list() == [15.0, 10.0, 10.0, 10.0, 10.0]
    found = one.read(minutes(100, 30, "n"))  # the gap closes over the edit
    assert found["energy_kwh"].to_list()[1:5] == [10.0] * 4
    one.edits.withdraw(made, "李工", "readings came")
    assert one.read()["energy_kwh"].to_list()[1:5] == pytest.approx([15.0] * 4)


def test_a_withdrawn_edit_of_a_meter_never_heard_is_missing_again(bench):
    one = bench()
    made = set_(one, 0, 1, 5.0, "n")
    assert one.read()["energy_kwh"].to_list() == [5.0]
    one.edits.withdraw(made, "李工", "no meter there")
    found = one.read()
    assert found["energy_kwh"].to_list() == [None]
    assert found["quality"].to_list() == ["missing"]


def test_the_later_of_two_edits_counts_and_the_first_comes_back(bench):
    one = bench()
    one.read(minutes(0, 61))
    set_(one, 0, 4, 8.0)
    second = set_(one, 1, 2, 9.0)
    assert one.read()["energy_kwh"].to_list() == [2.0, 9.0, 2.0, 2.0]
    one.edits.withdraw(second, "王工", "typing error")
    assert one.read()["energy_kwh"].to_list() == [2.0] * 4


def test_an_edit_made_before_a_crash_is_taken_up_after_it(bench):
    one = bench()
    one.read(minutes(0, 61))
    set_(one, 1, 2, 8.0)
    one.engine._edit()  # in memory only: no flush
    again = bench()
    assert again.read()["energy_kwh"].to_list() == [15.0, 8.0, 15.0, 15.0]
    assert again.edits.applied() == 1
    assert bench().read()["revision"].to_list() == [0, 1, 0, 0]


def test_orders_are_worked_up_in_portions_and_noted_once_all_are_done(bench, monkeypatch):
    one = bench()
    one.read(minutes(0, 61), minutes(0, 61, "n"))
    monkeypatch.setattr("processors.engine.PORTION", 1)
    spans = pl.DataFrame({"meter_id": ["m", "n"], "first": [T0, T0], "last": [T0, T0]})
    assert one.edits.recompute(spans, "王工", "new limits") == 2
    one.engine._edit()
    one.engine.flush()
    assert one.edits.applied() == 0, "one of two is still to be done"
    assert one.read()["revision"].to_list() == [0] * 8, "nothing changed, so nothing is revised"
    assert one.edits.applied() == 2
    with pytest.raises(EditError, match="name"):
        one.edits.recompute(spans, "", "why")
    assert one.edits.last() == 2


def test_edits_that_make_no_sense_are_refused_and_none_is_ever_changed(bench):
    one = bench()
    for bad in [(0, 0, 5.0), (2, 1, 5.0), (0, 1, -1.0), (0, 1, float("nan")), (0, 0.5, 1.0)]:
        with pytest.raises(EditError):
            set_(one, *bad)
    with pytest.raises(EditError, match="name"):
        one.edits.set("m", T0, T0 + QUARTER, 1.0, " ", "why")
    with pytest.raises(EditError, match="no edit 7"):
        one.edits.withdraw(7, "王工", "why")
    set_(one, 0, 1, 1.0)
    for sql in ("UPDATE edits SET energy_kwh = 2", "DELETE FROM edits"):
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            one.edits._db.execute(sql)
    assert stated(standing(one.edits.acts()))["stated_kwh"].to_list() == [1.0]


def test_raw_stands_beside_stated_and_a_day_tells_whether_its_sum_agrees(bench):
    one = bench()
    clean, dipped = minutes(0, 61), minutes(0, 61, "n")
    dipped = dipped.with_columns(
        pl.when(pl.col("measured_at") == T0 + 30 * MINUTE).then(0.0)
        .otherwise("energy_import_kwh").alias("energy_import_kwh"))  # fmt: skip
    one.read(clean, dipped)
    set_(one, 0, 1, 14.0)
    rows = with_raw(one.read(), pl.concat([clean, dipped]), BOOK)
    mine = rows.filter(pl.col("meter_id") == "m")
    assert mine["raw_energy_kwh"].to_list() == [15.0] * 4
    assert mine["energy_kwh"].to_list() == [14.0, 15.0, 15.0, 15.0]
    other = rows.filter(pl.col("meter_id") == "n")
    assert other["raw_energy_kwh"].to_list() == [15.0, -115.0, 145.0, 15.0]
    assert other["energy_kwh"].to_list() == pytest.approx([15.0] * 4)
    days = sum_check(rows, BOOK).to_dicts()
    assert [(d["agrees"], d["difference_kwh"]) for d in days] == [
        (False, -1.0),
        (True, pytest.approx(0.0, abs=1e-9)),
    ]
    assert "edited" in days[0]["flags"]
