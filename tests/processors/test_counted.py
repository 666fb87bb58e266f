"""Output that meters count: readings to blocks, days, production, verdicts; never a silent zero."""

import os
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from fakes.reference_blocks import reference_blocks
from fakes.reference_counted import production
from fakes.stream_driver import book_of, readings_of
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_rows import REPO, at, day_rows, meter, site

from collector.clock import Clock
from collector.counting import Counting
from collector.journal import Journal
from collector.metrics import Metrics
from collector.site import Meter
from processors.blocks import intervals_of
from processors.book import Book
from processors.claims import Period
from processors.counted import counts_of
from processors.engine import Engine
from processors.history import days as history_days
from processors.history.store import History
from processors.interval import INTERVAL
from processors.judge import judge
from processors.policy.load import load_packs
from processors.settings import EngineSettings, VerdictSettings

EXAMPLES = int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "25"))
T0, MINUTE = datetime(2026, 3, 2, tzinfo=UTC), timedelta(minutes=1)
OCT = Period(date(2025, 10, 1), date(2025, 11, 1))
NOW = datetime(2026, 1, 10, tzinfo=UTC)
CLINKER = {"from": "2025-01-01", "product": "clinker_el", "per_count": 0.5, "unit": "t",
           "declared_by": "Li"}  # fmt: skip
PACKS, _ = load_packs(REPO / "config/policy")


def counter(name="line", told=(CLINKER,), **more):
    return {"id": name, "role": "count", "counts": {"of": list(told), **more}}


def works(*counters, **over):
    return site(id="works", kind="factory", use="", floor_area_m2=[],
                meters=[meter("m"), *counters], **over)  # fmt: skip


def counted_days(name, first, until, count, **columns):
    return day_rows(name, first, until, None, **{"output_count": count, "coverage": 1.0,
                    "blocks": 96, **columns})  # fmt: skip


def verdict(one, *frames, period=OCT):
    told = judge(pl.concat(frames), [one], PACKS, period, VerdictSettings(), NOW)
    return told.filter(row_id="clinker_el").row(0, named=True) if told.height else None


def as_count(readings):
    return readings.with_columns(
        output_count="energy_import_kwh", energy_import_kwh=pl.lit(None, pl.Float64)
    )


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 60)), min_size=2, max_size=12))
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_counter_is_a_register_as_any_other_and_no_energy(steps):
    rows, t, v = [], T0, 100.0
    for minutes, gain in steps:
        v = 0.0 if gain == 60 else v + gain  # a controller that began anew
        t += minutes * MINUTE
        rows.append(("line", t, v))
    readings, facts = readings_of(rows), {"rated_power_kw": 4000.0}
    found = intervals_of(as_count(readings), book_of(["line"], counts=True, **facts))
    plain = reference_blocks(readings, book_of(["line"], **facts))
    assert found["output_count"].to_list() == pytest.approx([one["energy_kwh"] for one in plain])
    assert found["coverage"].to_list() == pytest.approx([one["coverage"] for one in plain])
    energy = ["energy_kwh", "demand_kw", "max_demand_kw", "max_demand_at", "power_factor"]
    assert found.select(pl.col(energy).null_count()).row(0) == (found.height,) * len(energy)


def test_a_stream_of_late_shuffled_and_repeated_counts_gives_the_blocks_of_the_batch(tmp_path):
    book, clock = Book.of([works(counter())]), Clock.accelerated(T0 + timedelta(days=1), 1.0)
    told = [("line", T0 + n * MINUTE, 3.0 * n) for n in range(200) if not 70 < n < 130]
    whole = pl.concat([as_count(readings_of(told)), readings_of([("m", T0, 1.0)])])
    order = [*range(60), *range(90, 142), *range(50, 100)]
    journal = Journal(tmp_path / "journal.db", clock.now)
    history = History(tmp_path / "history", clock.now, book)
    engine = Engine(journal, history, book, clock, tmp_path / "state.bin", Metrics(),
                    EngineSettings(flush_s=600))  # fmt: skip
    engine._restore()
    for n in range(0, len(order), 25):
        journal.append(whole[order[n : n + 25]]).result()
        engine.drain()
    same = [name for name in INTERVAL if name not in {"revision", "computed_at"}]
    now = history.intervals(T0, T0 + timedelta(days=1))
    assert now.select(same).equals(intervals_of(whole, book).select(same))
    assert now["output_count"].sum() == pytest.approx(585.0)
    assert history.days(T0.date(), T0.date() + timedelta(days=2))["output_count"][0] == 585.0
    journal.close()


def test_a_register_that_begins_anew_is_not_covered_and_one_that_rolls_over_is():
    told = [("line", T0 + n * MINUTE, float((900 + 10 * n) % 1000)) for n in range(31)]
    rolls = counter(modulus=1000, max_per_hour=1200)
    sums = []
    for one in (rolls, counter(), counter(max_per_hour=1200)):
        blocks = intervals_of(as_count(readings_of(told)), Book.of([works(one)]))
        sums.append((blocks["output_count"].sum(), blocks["coverage"].min()))
    assert sums[0] == (300.0, 1.0)
    assert all(coverage < 1.0 for _, coverage in sums[1:])


DAYS = st.lists(st.tuples(st.sampled_from([0.0, 4.0, 7.0, None]), st.sampled_from([0, 90, 96]),
                          st.sampled_from([0.0, 0.5, 1.0])), min_size=12, max_size=12)  # fmt: skip


@given(DAYS, DAYS, st.integers(0, 11), st.integers(0, 11), st.booleans())
@settings(max_examples=EXAMPLES, deadline=None)
def test_runs_and_coverage_agree_with_the_plain_reference(one, two, began, told, lacks):
    start = date(2025, 10, 20)
    period, later = Period(start, start + timedelta(days=12)), start + timedelta(days=began)
    first, after = start + timedelta(days=told), start + timedelta(days=told + 1 + told % 3)
    more = [{**CLINKER, "from": later.isoformat(), "per_count": 2.0}]
    made = {**CLINKER, "from": first, "until": after, "output": 5}
    del made["per_count"]
    here = works(counter("a"), counter("b", more), production=[made])
    rows, frames = {}, []
    for name, days in (("a", one), ("b", two)):
        for n, (count, blocks, coverage) in enumerate(days):
            day = start + timedelta(days=n)
            if not (lacks and name == "b" and n == 3):
                rows[name, day] = (count, blocks, 96, coverage)
                frames.append(counted_days(name, day, day + timedelta(days=1), count,
                                           blocks=blocks, coverage=coverage))  # fmt: skip
    bindings = [("a", date(2025, 1, 1), 0.5), ("b", later, 2.0)]
    runs, covered = production(bindings, rows, [(first, after)], start, period.end)
    (found,) = counts_of([here], pl.concat(frames), period)
    assert [(p.since, p.until) for p in found.production] == [run[:2] for run in runs]
    assert [p.output for p in found.production] == pytest.approx([run[2] for run in runs])
    assert found.coverage == pytest.approx(covered)


def test_energy_is_divided_by_what_was_counted_and_the_verdict_names_counter_and_declarer():
    energy = day_rows("m", OCT.start, OCT.end, 6000.0)
    told = verdict(works(counter()), energy, counted_days("line", OCT.start, OCT.end, 200.0))
    assert (told["actual"], told["outcome"], told["standing"]) == (60.0, "within", None)
    assert (told["denominator"], told["denominator_unit"]) == (3100.0, "t")
    assert (told["declared_by"], told["count_coverage"]) == ("Li (counter line)", 1.0)


@pytest.mark.parametrize(
    ("made", "reason"), [(None, "count_not_covered"), (0.0, "nothing_counted")]
)
def test_a_counter_that_says_nothing_decides_nothing(made, reason):
    energy = day_rows("m", OCT.start, OCT.end, 6000.0)
    blocks = 0 if made is None else 96
    counts = counted_days("line", OCT.start, OCT.end, made, blocks=blocks)
    told = verdict(works(counter()), energy, counts)
    assert (told["outcome"], told["reason"], told["actual"]) == ("undecided", reason, None)
    assert verdict(works(counter()), energy)["reason"] == "count_not_covered"


def test_days_not_stated_leave_output_and_energy_alike_until_they_are_too_many():
    energy = day_rows("m", OCT.start, OCT.end, lambda day: 9e5 if day.day == 7 else 6000.0)
    for bad, reason in ((1, None), (2, "count_not_covered")):
        split = [OCT.start.replace(day=n) for n in (1, 7, 7 + bad)] + [OCT.end]
        parts = [counted_days("line", split[n], split[n + 1], None if n == 1 else 200.0,
                              blocks=10 if n == 1 else 96) for n in range(3)]  # fmt: skip
        told = verdict(works(counter()), energy, *parts)
        assert told["reason"] == reason
        assert told["count_coverage"] == pytest.approx(1 - bad / 31)
    assert verdict(works(counter()), energy, *parts[:1])["actual"] is None


def test_what_is_declared_counts_before_the_counter():
    energy = day_rows("m", OCT.start, OCT.end, 6000.0)
    made = {**CLINKER, "from": "2025-10-01", "until": "2025-10-16", "output": 1500}
    del made["per_count"]
    here = works(counter(), production=[made])
    told = verdict(here, energy, counted_days("line", OCT.start, OCT.end, 200.0))
    assert told["denominator"] == 1500 + 16 * 100
    assert told["declared_by"] == "Li; Li (counter line)"


def test_a_day_of_25_hours_is_stated_by_a_hundred_blocks():
    here = works(counter(max_per_hour=1000), timezone="Europe/Berlin")
    book, first = Book.of([here]), datetime(2025, 10, 25, 22, tzinfo=UTC)
    told = [("line", first + 15 * n * MINUTE, 10.0 * n) for n in range(101)]
    rows = history_days.day_rows(intervals_of(as_count(readings_of(told)), book), book.meters, NOW)
    (found,) = counts_of([here], rows, Period(date(2025, 10, 26), date(2025, 10, 27)))
    assert [one.output for one in found.production] == [500.0]


def test_settings_of_a_counter_that_cannot_be_are_refused():
    assert at(OCT.start) < NOW
    Counting.model_validate({"of": [CLINKER], "modulus": 1e6, "max_per_hour": 900})
    for wrong, says in (
        ({"role": "main", "counts": {"of": [CLINKER]}}, "together or not at all"),
        ({"role": "count"}, "together or not at all"),
        ({"role": "count", "counts": {"of": [CLINKER], "modulus": 9}}, "max_per_hour"),
        ({"role": "count", "counts": {"of": [CLINKER, CLINKER]}}, "ascending"),
    ):
        with pytest.raises(ValueError, match=says):
            Meter.model_validate({"id": "x"} | wrong)
