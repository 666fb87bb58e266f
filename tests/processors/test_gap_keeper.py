"""The keeper beside a real engine: gaps open and close, survive a kill, and are told once."""

import sqlite3
import time
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from fakes.stream_driver import book_of, readings_of

from collector.health import Health
from collector.journal import Journal
from collector.metrics import Metrics
from collector.reason import Reason
from processors import gap_keeper
from processors.causes import WAY
from processors.engine import Engine
from processors.gap_keeper import GapKeeper
from processors.gap_ledger import GapLedger
from processors.gaps import Registers
from processors.history.store import History
from processors.settings import EngineSettings

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
METERS = {"m": "modbus", "q": "mqtt", "f": "file"}


def at(minute):
    return START + timedelta(minutes=minute)


def readings(meter, minutes, received=None, kw=60.0):
    rows = [(meter, at(one), 100.0 + kw * one / 60) for one in minutes]
    return readings_of(rows, None if received is None else at(received))


class Hand:
    """Site time, moved by hand."""

    speed = 1.0

    def __init__(self):
        self.minute = 0.0

    def now(self):
        return at(self.minute)


class Bench:
    """Journal, history, engine and keeper in a folder; may be opened again, as after a kill."""

    def __init__(self, folder, clock, meters=METERS):
        self.clock, self.book = clock, book_of(meters)
        self.journal = Journal(folder / "journal.db", clock.now)
        self.history = History(folder / "history", clock.now, self.book)
        self.metrics, self.health = Metrics(), Health(meters)
        self.engine = Engine(
            self.journal, self.history, self.book, clock, folder / "state.bin", self.metrics,
            EngineSettings(flush_s=600),
        )  # fmt: skip
        self.engine._restore()
        self.links = {}
        self.ledger = GapLedger(folder / "gaps.db")
        rows = [
            (one, "s1", via, "bus-1" if via == "modbus" else via) for one, via in meters.items()
        ]
        self.keeper = GapKeeper(
            self.ledger, self.history, self.book, pl.DataFrame(rows, schema=WAY, orient="row"),
            clock, self.engine.marks, self.engine.caught_up,
            lambda: self.health.snapshot(clock.now()), lambda: self.links, self.metrics,
        )  # fmt: skip
        self.keeper._extended_at = -1e9

    def bring(self, *frames, minute):
        """Readings arrive, and the keeper looks."""
        self.clock.minute = minute
        for frame in frames:
            self.journal.append(frame).result()
        self.go()

    def go(self, minute=None):
        self.clock.minute = self.clock.minute if minute is None else minute
        while True:
            self.engine.pass_once()
            if self.journal.last() <= self.engine.cursor:
                break
        self.keeper._extended_at = -1e9
        self.keeper.once()

    def gaps(self, meter):
        return self.ledger.gaps(meters=[meter]).to_dicts()

    def close(self):
        self.journal.close()
        self.ledger.close()


@pytest.fixture
def bench(tmp_path):
    opened, clock = [], Hand()

    def make(**options):
        for one in opened:
            one.close()
        opened[:] = [Bench(tmp_path, clock, **options)]
        return opened[0]

    yield make
    for one in opened:
        one.close()


def test_a_silent_meter_s_gap_opens_closes_with_its_energy_and_keeps_its_changes(bench):
    one = bench()
    one.bring(readings("m", range(10)), readings("f", range(10)), minute=10)
    one.go(39)
    assert one.gaps("m") == []
    one.health.failed("m", "no answer within 1 s", at(41))
    one.health.noted(Reason.TIMEOUT, "m", at(41))
    one.go(42)
    (gap,) = one.gaps("m")
    assert (gap["state"], gap["cause"], gap["detail"]) == (
        "open", "no_answer", "no answer within 1 s",
    )  # fmt: skip
    assert one.gaps("f") == []  # nobody waits for a file
    assert one.gaps("q") == []  # never heard: no gap
    assert one.metrics.value("demandwatch_gaps_open", {"cause": "no_answer"}) == 1
    one.bring(readings("m", range(100, 120)), minute=120)
    (gap,) = one.gaps("m")
    assert (gap["state"], gap["method"], gap["end"]) == ("closed", "spread", at(100))
    assert gap["energy_kwh"] == pytest.approx(91.0)
    one.bring(readings("m", range(10, 100), received=130), minute=130)
    (gap,) = one.gaps("m")
    assert (gap["method"], gap["recovered_at"]) == ("late_data", at(130))
    assert gap["energy_kwh"] == pytest.approx(91.0)
    story = one.ledger.changes(gap["gap_id"])
    assert [act["change"] for act in story] == ["opened", "closed", "recovered"]
    assert one.metrics.value("demandwatch_gaps_open", {"cause": "no_answer"}) == 0
    with pytest.raises(sqlite3.IntegrityError, match="never removed"):
        one.ledger._file.execute("DELETE FROM changes")


def test_killed_while_a_gap_is_open_it_goes_on_and_nothing_is_told_twice(bench):
    first = bench()
    first.bring(readings("q", range(10)), minute=10)
    first.engine.flush()
    first.go(60)
    first.bring(readings("q", range(100, 110)), minute=110)  # neither snapshot nor history on disk
    again = bench()
    again.go()  # the journal is replayed
    again.go(112)
    (gap,) = again.gaps("q")
    assert (gap["state"], gap["end"]) == ("closed", at(100))
    assert [act["change"] for act in again.ledger.changes(gap["gap_id"])] == ["opened", "closed"]


def test_a_ledger_lost_is_made_again_from_history(bench, tmp_path):
    first = bench()
    minutes = [*range(10), *range(60, 70), *range(200, 210)]
    first.bring(readings("q", minutes), minute=210)
    first.engine.flush()
    first.close()
    for file in tmp_path.glob("gaps.db*"):
        file.unlink()
    again = bench()
    again.go()
    found = again.ledger.gaps(meters=["q"]).sort("start")
    names = ["start", "end", "energy_kwh"]
    holes = Registers.of(readings("q", minutes), again.book).holes()
    assert (
        found.select(names).rows()
        == holes.select("missing_from", "missing_to", "energy_kwh").rows()
    )


def test_the_time_nothing_ran_is_the_collector_s_and_a_gateway_s_is_the_link_s(bench):
    first = bench()
    first.bring(readings("m", range(10)), readings("q", range(10)), minute=10)
    first.engine.flush()
    again = bench()
    again.go(120)
    again.go(122)
    assert {gap["cause"] for name in "mq" for gap in again.gaps(name)} == {"collector"}
    again.bring(readings("m", range(123, 130)), readings("q", range(123, 130)), minute=130)
    again.links = {"bus-1": False}
    again.go(131)
    again.go(170)
    assert [gap["cause"] for gap in again.gaps("m")] == ["link", "collector"]
    assert [gap["cause"] for gap in again.gaps("q")] == ["silent", "collector"]
    again.links = {"bus-1": True}
    again.bring(readings("q", range(130, 171), received=171), minute=172)
    assert [(gap["cause"], gap["method"]) for gap in again.gaps("q")] == [
        ("link", "late_data"), ("collector", "spread"),
    ]  # fmt: skip


def test_refused_data_and_bad_clocks_are_the_cause_of_what_they_leave_out(bench):
    one = bench(meters={"q": "mqtt", "r": "mqtt", "s": "mqtt"})
    one.bring(*(readings(name, range(10)) for name in "qrs"), minute=10)
    one.bring(readings("s", range(10, 60)), minute=60)
    one.health.noted(Reason.TIME_IN_FUTURE, "demandwatch/v1/q/readings", at(50))
    one.health.noted(Reason.NOT_A_NUMBER, "demandwatch/v1/r/readings", at(50))
    one.go(61)
    assert [(one.gaps(name)[0]["cause"], one.gaps(name)[0]["detail"]) for name in "qr"] == [
        ("clock", "time_in_future"), ("rejected", "not_a_number"),
    ]  # fmt: skip


def test_all_meters_silent_at_once_are_the_link_s_and_ten_thousand_do_not_take_long(bench):
    meters = {f"q{n:05d}": "mqtt" for n in range(10_000)}
    one = bench(meters=meters)
    rows = [(name, at(m), 100.0 + m) for name in meters for m in (0, 1)]
    one.bring(readings_of(rows), minute=1)
    begun = time.process_time()
    one.go(60)
    assert time.process_time() - begun < 10
    gaps = one.ledger.open()
    assert gaps.height == 10_000
    assert set(gaps["cause"]) == {"link"}
    begun = time.process_time()
    one.bring(readings_of([(name, at(61), 161.0) for name in meters]), minute=61)
    assert time.process_time() - begun < 15
    assert one.ledger.open().is_empty()
    assert one.ledger.gaps()["energy_kwh"].sum() == pytest.approx(600_000.0)


def test_what_follows_is_told_from_where_it_ended(bench, monkeypatch):
    """A batch of one row at a time ends in the same ledger."""
    monkeypatch.setattr(gap_keeper, "BATCH_ROWS", 1)
    one = bench()
    one.bring(readings("q", [*range(10), *range(60, 70), *range(130, 140)]), minute=140)
    assert len(one.gaps("q")) == 2
    assert one.ledger.cursor() == one.keeper._cursor
