"""Gaps: a function of the readings, whatever the order; opened, closed and filled as they come."""

import os
from datetime import UTC, datetime, timedelta

import polars as pl
from fakes.stream_driver import Stream, book_of, readings_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.reading import UTC_US, empty
from processors.gap_changes import CHANGE, GAP, Change, opened, settle
from processors.gaps import CONTEXT, HOLE, Registers, doubtful, merged, silent, widened

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
BOOK = book_of(["a", "b"])
EXAMPLES = min(int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "8")), 2000)
EDGES = ["meter_id", "missing_from", "missing_to", "energy_kwh"]


def at(minute):
    return START + timedelta(minutes=minute)


def rows(minutes, meter="a", kw=60.0, received=None):
    """READING rows of a meter of `kw` that is read at `minutes`."""
    return readings_of(
        [(meter, at(one), 100.0 + kw * one / 60) for one in minutes],
        None if received is None else at(received),
    )


class Book:
    """A stream and its ledger of gaps in memory, driven as the keeper does."""

    def __init__(self, book=BOOK):
        self.stream, self.book = Stream(book), book
        self.gaps = pl.DataFrame(schema=GAP)
        self.told, self.now, self.looked = [], START, None

    def take(self, readings, now=None):
        self.now = max(self.now, now or readings["measured_at"].max())
        result, fixed = self.stream.take(readings)
        issued = pl.concat([result.intervals, fixed])
        active = self.active().select("meter_id", "missing_from", "missing_to")
        late = result.late.select("meter_id", low="first", high="last")
        self.settle(merged(doubtful(issued, active), late.join(active, on="meter_id", how="semi")))
        if now is not None:
            self.look(now)

    def look(self, now):
        self.now = now
        known = self.gaps.filter(pl.col("state") == "open")
        fresh, again = opened(known, self.stream.state.marks, self.book, now)
        self.keep(fresh)
        if again.height:
            self.settle(again)
        self.looked = now

    def settle(self, spans):
        if spans.is_empty():
            return
        known = self.active().join(spans, on="meter_id", how="semi")
        whole = widened(spans, known)
        low, high = whole["low"].min(), whole["high"].max()
        meters, past = whole["meter_id"].unique().to_list(), self.stream.past
        beside = past.neighbours(meters, low, high, CONTEXT)
        inside = past.readings(low, high + timedelta(microseconds=1), meters)
        readings = pl.concat([beside, inside]).unique()
        marks = self.stream.state.marks
        self.keep(settle(known, whole, readings, marks, self.book, self.now, self.looked))

    def keep(self, changed):
        self.told += changed["change"].to_list()
        new = changed["gap_id"].is_null()
        first = len(self.told) * 1000
        number = pl.when(pl.col("gap_id").is_null()).then(first + pl.int_range(pl.len()))
        numbered = changed.with_columns(number.otherwise("gap_id").alias("gap_id"))
        assert new.sum() + changed.filter(~new)["gap_id"].n_unique() == changed.height
        rest = self.gaps.join(numbered, on="gap_id", how="anti")
        self.gaps = pl.concat([rest, numbered.drop(list(CHANGE))])

    def active(self):
        return self.gaps.filter(pl.col("missing_from").is_not_null())

    def one(self):
        assert self.gaps.height == 1, self.gaps
        return self.gaps.row(0, named=True)


def holes(readings, book=BOOK):
    return Registers.of(readings, book).holes()


def test_a_hole_lies_between_readings_further_apart_than_allowed():
    found = holes(rows([0, 15, 30, 61, 75, 200]))
    assert found.schema == pl.Schema(HOLE)
    assert found.select(EDGES[1:]).rows() == [(at(30), at(61), 31.0), (at(75), at(200), 125.0)]
    assert found["register_before_kwh"].to_list() == [130.0, 175.0]
    assert holes(rows([0, 30, 60])).is_empty()  # thirty minutes are allowed
    assert holes(empty()).is_empty()


def test_a_register_that_was_reset_in_the_hole_states_no_energy():
    found = holes(pl.concat([rows([0, 15]), readings_of([("a", at(90), 3.0), ("a", at(91), 4.0)])]))
    assert found["energy_kwh"].to_list() == [None]


def test_a_meter_that_never_spoke_has_no_gap_and_one_that_did_has_after_its_limit():
    one = Book()
    one.take(rows([0, 1, 2]))
    marks = one.stream.state.marks
    assert silent(marks, BOOK, at(32)).is_empty()
    assert silent(marks, BOOK, at(33)).select("meter_id", "missing_from").rows() == [("a", at(2))]


def test_a_gap_opens_closes_with_the_register_s_difference_and_is_told_once():
    one = Book()
    one.take(rows(range(10)), now=at(10))
    one.look(at(39))
    assert one.gaps.is_empty()
    one.look(at(40))
    one.look(at(50))
    gap = one.one()
    assert (gap["state"], gap["start"], gap["end"], gap["energy_kwh"]) == (
        "open",
        at(9),
        None,
        None,
    )
    one.take(rows(range(100, 120)), now=at(120))
    gap = one.one()
    assert (gap["state"], gap["end"], gap["method"]) == ("closed", at(100), "spread")
    assert gap["energy_kwh"] == 91.0
    assert one.told == [Change.OPENED, Change.CLOSED]


def test_a_gateway_that_kept_its_readings_closes_the_gap_with_measured_energy():
    """Nothing was known until minute 100, although every minute was measured."""
    one = Book()
    one.take(rows(range(10)), now=at(10))
    one.look(at(60))
    late = rows(range(10, 101), received=100)
    one.take(pl.concat([late, rows(range(101, 120))]), now=at(120))
    gap = one.one()
    assert (gap["state"], gap["method"]) == ("closed", "late_data")
    assert (gap["start"], gap["end"], gap["energy_kwh"]) == (at(9), at(100), 91.0)
    assert (gap["missing_from"], gap["missing_to"]) == (None, None)
    assert gap["recovered_at"] is not None
    assert one.told == [Change.OPENED, Change.RECOVERED]


def test_an_edge_that_stamps_its_readings_itself_was_unheard_until_the_last_look():
    one = Book()
    one.take(rows(range(10)), now=at(10))
    one.look(at(60))
    one.look(at(90))
    one.take(pl.concat([rows([m], received=m) for m in range(10, 120)]), now=at(120))
    gap = one.one()
    assert (gap["end"], gap["energy_kwh"]) == (at(90), 81.0)


def test_late_readings_narrow_a_closed_gap_cut_it_and_fill_it():
    one = Book()
    one.take(pl.concat([rows(range(10)), rows(range(300, 320))]))
    assert one.told == [Change.FOUND]
    one.take(rows(range(10, 50)))
    one.take(rows(range(150, 160)))
    left = one.active().sort("missing_from")
    assert left.select(EDGES[1:3]).rows() == [(at(49), at(150)), (at(159), at(300))]
    assert left["start"].to_list() == [at(9), at(159)]
    one.take(rows(range(50, 150)))
    one.take(rows(range(160, 300)))
    assert one.active().is_empty()
    done = one.gaps.sort("start")
    assert done.select("start", "end", "energy_kwh", "method").rows() == [
        (at(9), at(300), 291.0, "late_data"),
        (at(159), at(300), 141.0, "late_data"),
    ]


def test_a_gateway_that_catches_up_slowly_keeps_one_gap():
    one = Book()
    one.take(rows(range(10)), now=at(10))
    one.look(at(200))
    for first in range(10, 150, 20):
        one.take(rows(range(first, first + 20), received=200), now=at(200))
        gap = one.one()
        assert (gap["state"], gap["start"]) == ("open", at(9))
        assert gap["missing_from"] == at(first + 19)
    one.take(rows(range(150, 201), received=200), now=at(200))
    assert one.one()["state"] == "closed"
    assert set(one.told) == {Change.OPENED, Change.NARROWED, Change.RECOVERED}


def test_a_gap_whose_end_was_withdrawn_is_not_called_recovered():
    one = Book()
    one.take(pl.concat([rows(range(10)), rows(range(100, 110))]))
    span = one.active().select("meter_id", low="missing_from", high="missing_to")
    left = rows(range(10))  # the import that brought the others was undone
    marks = one.stream.state.marks
    changed = settle(one.active(), span, left, marks, BOOK, at(120)).row(0, named=True)
    assert (changed["method"], changed["recovered_at"]) == ("withdrawn", None)
    assert (changed["energy_kwh"], changed["missing_from"]) == (None, None)


def test_two_meters_do_not_touch_one_another():
    one = Book()
    one.take(pl.concat([rows(range(10)), rows(range(10), "b")]))
    one.take(pl.concat([rows(range(60, 70)), rows(range(10, 70), "b")]))
    assert one.one()["meter_id"] == "a"


def test_spans_are_merged_and_stretched():
    spans = pl.DataFrame(
        [("a", at(10), at(20)), ("a", at(30), at(40))], ["meter_id", "low", "high"], orient="row"
    ).with_columns(pl.col("low", "high").cast(UTC_US))
    assert merged(spans).rows() == [("a", at(10), at(40))]
    far = spans.with_columns(pl.col("low", "high") + timedelta(hours=5))
    assert merged(far, spans).rows() == [("a", at(10), at(40)), ("a", at(310), at(340))]
    known = pl.DataFrame(
        [("a", at(5), at(12)), ("a", at(39), None), ("b", at(0), at(99))],
        ["meter_id", "start", "end"], orient="row",
    ).with_columns(pl.col("start", "end").cast(UTC_US))  # fmt: skip
    assert widened(spans, known).rows() == [("a", at(5), at(40))]


@st.composite
def arrivals(draw):
    """Minutes that are read, with holes, dips and a reset; cut into batches in any order."""
    gone = draw(st.lists(st.tuples(st.integers(0, 380), st.integers(1, 150)), max_size=4))
    kept = [m for m in range(0, 400, draw(st.sampled_from([1, 5, 15])))
            if not any(first <= m < first + length for first, length in gone)]  # fmt: skip
    dips = draw(st.sets(st.sampled_from(kept), max_size=2)) if kept else set()
    reset = draw(st.one_of(st.none(), st.integers(0, 400)))
    order = draw(st.permutations(range(6)))
    owner = draw(st.lists(st.integers(0, 5), min_size=len(kept), max_size=len(kept)))
    values = []
    for minute in kept:
        value = 500.0 + minute - (500.0 if reset is not None and minute >= reset else 0.0)
        values.append(("a", at(minute), 1.0 if minute in dips else value))
    batches = [[one for one, mine in zip(values, owner, strict=True) if mine == n] for n in order]
    return [batch for batch in batches if batch]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(arrivals())
def test_gaps_of_any_order_of_arrival_are_those_of_the_complete_history(batches):
    one = Book()
    for number, batch in enumerate(batches):
        now = at(400) if number % 2 else None
        one.take(readings_of(batch, received=at(400 + number)), now=now)
    whole = readings_of([reading for batch in batches for reading in batch])
    left = one.active().filter(pl.col("missing_to").is_not_null()).select(EDGES)
    expected = holes(whole, BOOK).select(EDGES) if whole.height else pl.DataFrame(schema=HOLE)
    key = ["meter_id", "missing_from"]
    assert left.sort(key).rows() == expected.select(EDGES).sort(key).rows()
    assert one.gaps["gap_id"].is_unique().all()
