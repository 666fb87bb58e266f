"""Changes of meter and ratio: split at their instant, bridged by declared registers only."""

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from fakes.reference_blocks import reference_blocks
from fakes.stream_driver import Stream, readings_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from pydantic import ValidationError

from collector.polls import Ratios, micros
from collector.site import Site
from processors.blocks import intervals_of
from processors.book import Book
from processors.interval import INTERVAL

T0 = datetime(2026, 3, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FIGURES = [name for name in INTERVAL if name not in {"revision", "computed_at"}]
RELAXED = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def site(*changes, via="mqtt", **meter):
    source = {"via": "mqtt"} if via == "mqtt" else {"via": "modbus", "bus": "b", "profile": "p"}
    return Site.model_validate({
        "id": "s", "name": {"zh": "s", "en": "s"}, "kind": "retail", "district": "d",
        "meters": [{"id": "m0", "source": source, "rated_power_kw": 400, "changes": changes}
                   | meter]})  # fmt: skip


def change(minute, **told):
    named = {"declared_by": "王工"} if {"final_kwh", "start_kwh"} & told.keys() else {}
    return {"at": T0 + minute * MINUTE} | named | told


def of(rows, *changes, **more):
    frame = readings_of([("m0", T0 + minute * MINUTE, kwh) for minute, kwh in rows])
    return intervals_of(frame, Book.of([site(*changes, **more)])).sort("start")


OLD, NEW = [(n, 1000.0 + n) for n in range(20)], [(n, 5.0 + n - 24) for n in range(25, 61)]


def test_declared_registers_bridge_the_change_inside_a_block():
    found = of(OLD + NEW, change(22, final_kwh=1022.0, start_kwh=3.0))
    assert found["energy_kwh"].to_list() == pytest.approx([15.0, 7 + 8.0, 15, 15])
    assert found["method"].to_list() == ["none", "declared", "none", "none"]
    assert found["flags"][1].to_list()[:1] == ["meter_change"]
    assert found["coverage"].to_list() == [1.0] * 4


def test_without_declared_registers_the_step_states_no_energy():
    found = of(OLD + NEW, change(22))
    # 15..19 of the old and 25..30 of the new: 4 + 5 kWh, none of the 6 minutes between
    assert found["energy_kwh"].to_list() == pytest.approx([15.0, 9.0, 15, 15])
    assert "meter_change" in found["flags"][1].to_list()
    assert found["coverage"][1] == pytest.approx(9 / 15)
    assert found["method"][1] == "none"


def test_a_change_to_a_higher_register_is_no_energy_either():
    higher = [(n, v + 1003.0) for n, v in NEW]
    assert of(OLD + higher, change(22))["energy_kwh"][1] == pytest.approx(9.0)
    assert of(OLD + higher)["energy_kwh"][1] == pytest.approx(9.0 + 1009 - 1019 + 0.0, abs=20)


@pytest.mark.parametrize("final", [1018.0, 1500.0])
def test_a_declared_register_that_contradicts_the_readings_is_flagged_not_hidden(final):
    found = of(OLD + NEW, change(22, final_kwh=final, start_kwh=3.0))
    assert "change_mismatch" in found["flags"][1].to_list()
    assert found["energy_kwh"][1] == pytest.approx(4 + 8.0)  # nothing from minute 19 to 22


def test_a_reading_of_the_very_instant_is_the_new_meters_and_is_compared():
    rows = [*OLD, (22, 4.0), *NEW]
    found = of(rows, change(22, final_kwh=1022.0, start_kwh=3.0))
    assert "change_mismatch" in found["flags"][1].to_list()
    assert found["energy_kwh"][1] == pytest.approx(7 + 7.0)


def test_a_change_on_a_block_boundary_splits_there():
    found = of(OLD + NEW, change(30, final_kwh=1030.0, start_kwh=11.0))
    assert found["energy_kwh"].to_list() != pytest.approx([15.0] * 4)  # readings before 30 are new
    rows = [(n, 1000.0 + n) for n in range(30)] + [(n, n - 25.0) for n in range(30, 61)]
    found = of(rows, change(30, final_kwh=1030.0, start_kwh=5.0))
    assert found["energy_kwh"].to_list() == pytest.approx([15.0] * 4)


def test_a_ratio_in_force_from_an_instant_splits_the_register_of_a_multiplying_reader():
    # the secondary register goes on; readings before minute 22 are times 40, after it times 80
    ratio = change(22, kind="ratio", ct_ratio=80, final_kwh=4022.0, start_kwh=8044.0)
    told = site(ratio, via="modbus", ct_ratio=[{"from": "2020-01-01", "value": 40}])
    ratios = Ratios.of(told, told.meters[0])
    assert [ratios.at(micros(T0 + n * MINUTE))[0] for n in (21, 22)] == [40, 80]
    rows = [(n, 4000.0 + n) for n in range(20)] + [
        (n, 8044.0 + 2 * (n - 22)) for n in range(25, 61)
    ]
    found = of(rows, ratio, via="modbus", ct_ratio=[{"from": "2020-01-01", "value": 40}])
    assert found["energy_kwh"].to_list() == pytest.approx([15.0, 7 + 16.0, 30, 30])
    assert "ratio_change" in found["flags"][1].to_list()


@pytest.mark.parametrize(("via", "flagged"), [("modbus", True), ("mqtt", False)])
def test_a_dated_ratio_breaks_a_register_that_readers_multiply_and_no_primary_one(via, flagged):
    ratios = [{"from": "2020-01-01", "value": 40}, {"from": "2026-03-02", "value": 80}]
    book = Book.of([site(via=via, ct_ratio=ratios)])
    assert book.changes.height == flagged
    if flagged:  # midnight in Shanghai
        assert book.changes["at"][0] == datetime(2026, 3, 1, 16, tzinfo=UTC)


@pytest.mark.parametrize("wrong", [
    [change(5), change(5)], [change(9), change(5)], [change(5, kind="ratio")],
    [{"at": T0, "final_kwh": 5.0}], [{"at": datetime(2026, 1, 1)}],  # noqa: DTZ001 - a naive time
])  # fmt: skip
def test_bad_changes_are_refused(wrong):
    with pytest.raises(ValidationError):
        site(*wrong)


@st.composite
def histories(draw):
    """A few hours of one meter with one to three changes, declared wholly, in part or not."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    changes = []
    step = draw(st.sampled_from([1, 4, 7, 20]))
    for minute in sorted(draw(st.sets(st.integers(1, 300), min_size=1, max_size=3))):
        told = draw(
            st.sampled_from([(), ("final_kwh",), ("start_kwh",), ("final_kwh", "start_kwh")])
        )
        changes.append((minute, told))
    rows, registers, value = [], {}, 500.0
    for minute in range(301):
        for at, _ in changes:
            if at == minute:
                registers[at] = [value, float(rng.integers(0, 3000))]
                value = registers[at][1]
        if minute % step == 0 or rng.random() < 0.1:
            rows.append(("m0", T0 + minute * MINUTE, round(value, 6)))
        value += float(rng.uniform(0, 6)) if rng.random() < 0.9 else 0.0
    wrong = draw(st.sampled_from([0.0, 0.0, -30.0, 9000.0]))
    declared = [
        change(at, **{name: max(registers[at][name == "start_kwh"] + wrong, 0.0) for name in told})
        for at, told in changes
    ]
    return rows, declared


@RELAXED
@given(histories(), st.randoms(use_true_random=False), st.integers(1, 9))
def test_any_order_gives_the_batch_result_and_the_reference_agrees(history, random, parts):
    rows, declared = history
    book, readings = Book.of([site(*declared)]), readings_of(rows)
    whole = intervals_of(readings, book).sort("start")
    order = list(range(len(readings)))
    if random.random() < 0.5:
        random.shuffle(order)
    stream, size = Stream(book), max(1, len(order) // parts)
    for k in range(0, len(order), size):
        stream.take(readings[order[k : k + size]])
    assert_frame_equal(
        whole.select(FIGURES), stream.latest().sort("start").select(FIGURES), check_exact=True
    )
    slow = reference_blocks(readings, book)
    for name in ("energy_kwh", "coverage"):
        mine, theirs = whole[name].to_list(), [row[name] for row in slow]
        assert mine == [pytest.approx(one, abs=1e-5) for one in theirs]
    assert (whole["energy_kwh"].drop_nulls() >= 0).all()


@RELAXED
@given(histories())
def test_declared_rightly_nothing_is_lost_and_nothing_invented(history):
    rows, declared = history
    whole = [{**one, "declared_by": "x"} for one in declared if len(one) >= 4]
    if len(whole) < len(declared):
        return
    found = intervals_of(readings_of(rows), Book.of([site(*whole)]))
    if any("change_mismatch" in flags for flags in found["flags"]) or found.is_empty():
        return
    end = found["end"].max()
    edges = [T0, *[one["at"] for one in whole], None]
    total = 0.0
    for k, (low, high) in enumerate(itertools.pairwise(edges)):
        run = [(at, v) for _, at, v in rows if low <= at and (high is None or at < high)]
        run = ([(low, whole[k - 1]["start_kwh"])] if k else []) + run
        run += [(high, whole[k]["final_kwh"])] if high else []
        for (a, va), (b, vb) in itertools.pairwise(run):
            inside = max(min(b, end) - a, timedelta(0))
            total += (vb - va) * (inside / (b - a)) if b > a else 0.0
    assert found["energy_kwh"].sum() == pytest.approx(total, abs=1e-5)
