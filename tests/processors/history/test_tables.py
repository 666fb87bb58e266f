"""The tables on disk: tidied without loss, verdicts kept once, old files removed only when due."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from history_rows import T0, book, intervals, readings
from polars.testing import assert_frame_equal

from processors.history.delta import Table, Tidy
from processors.history.store import History
from processors.history.tables import SHAPES
from processors.interval import BLOCK
from processors.verdict import VERDICT

METERS = [f"m-{k:02d}" for k in range(20)]
HOUR = timedelta(hours=1)


def filled(folder: Path, flushes: int = 40) -> History:
    history = History(folder, lambda: T0 + 100 * 24 * HOUR, book(*METERS))
    for k in range(flushes):
        at = T0 + 12 * k * BLOCK
        history.add(k + 1, readings(METERS, at, 3), intervals(METERS, at, 12, at + HOUR))
        history.flush()
    return history


def test_a_closed_day_becomes_one_sorted_file_and_says_the_same(tmp_path):
    history = filled(tmp_path)
    before = History.open_readonly(tmp_path).intervals(T0, T0 + 900 * BLOCK)
    heard = history.readings(T0, T0 + 900 * BLOCK)
    assert history.maintain(Tidy(closed_files=2, open_files=100, partitions=100)) > 0
    reader = History.open_readonly(tmp_path)
    assert_frame_equal(reader.intervals(T0, T0 + 900 * BLOCK), before)
    assert_frame_equal(reader.readings(T0, T0 + 900 * BLOCK), heard)
    files = reader._tables.intervals.files().sort("part")
    assert files.group_by("part").len().sort("part")["len"].to_list()[:-2] == [1, 1, 1, 1]
    path = tmp_path / "intervals" / files["path"][0]
    assert pl.read_parquet(path, columns=["meter_id"])["meter_id"].is_sorted()
    assert History(tmp_path, lambda: T0, book(*METERS)).committed("intervals") == 40


def test_an_open_day_is_packed(tmp_path):
    history = filled(tmp_path, 4)
    before = History.open_readonly(tmp_path).intervals(T0, T0 + 900 * BLOCK)
    assert history.maintain(Tidy(open_files=2)) > 0
    reader = History.open_readonly(tmp_path)
    assert_frame_equal(reader.intervals(T0, T0 + 900 * BLOCK), before)
    assert reader._tables.intervals.files().height == 2  # the UTC days of one local day


def test_a_partition_that_gains_rows_meanwhile_is_left_for_next_time(tmp_path):
    table = Table(tmp_path / "t", SHAPES["intervals"])
    for k in range(3):
        table.append(intervals(METERS, T0, 4, T0 + k * HOUR))
        table.refresh()
    late = intervals(["m-01"], T0, 1, T0 + 9 * HOUR)

    class Slow(Table):
        def read(self, *args):
            table.append(late)  # between what the rewrite reads and its commit
            return super().read(*args)

    closed = Tidy(closed_files=2, open_files=2)
    slow = Slow(tmp_path / "t", SHAPES["intervals"])
    job = {"part": T0.date(), "open": False, "rows": 240}
    from deltalake import DeltaTable  # the contention is made below the seam

    assert slow._rewrite(DeltaTable(str(tmp_path / "t")), job, closed) is False
    table.refresh()
    assert table.read(table.files()).height == 3 * 80 + 1


def test_files_replaced_stay_an_hour_for_who_still_reads_them(tmp_path):
    history = filled(tmp_path)
    reader = History.open_readonly(tmp_path)
    files = reader._tables.intervals.files()
    always = Tidy(closed_files=2, partitions=100, vacuum_every_s=0, checkpoint_commits=1)
    history.maintain(always)
    rows = reader._tables.intervals.read(files)
    assert rows.height == 40 * 12 * 20
    assert list((tmp_path / "intervals" / "_delta_log").glob("*.checkpoint.parquet"))
    history.maintain(always)
    assert History.open_readonly(tmp_path).intervals(T0, T0 + 900 * BLOCK).height == 9600
    assert history.committed("readings") == 40


def verdict(site: str, outcome: str, at_h: int, actual: float | None = 1.0) -> pl.DataFrame:
    row = dict.fromkeys(VERDICT) | {
        "verdict_id": f"{site}:pack:row",
        "site_id": site,
        "outcome": outcome,
        "actual": actual,
        "standing_reasons": ["annualised"],
        "period_start": date(2025, 1, 1),
        "period_end": date(2026, 1, 1),
        "computed_at": T0 + at_h * HOUR,
    }
    return pl.DataFrame([row], schema=VERDICT)


def test_a_verdict_that_says_nothing_new_is_not_kept_again(tmp_path):
    history = History(tmp_path, lambda: T0, book())
    assert history.verdicts().schema == VERDICT
    assert history.add_verdicts(verdict("s-1", "undecided", 0, None)) == 1
    assert history.add_verdicts(verdict("s-1", "undecided", 1, None)) == 0
    both = pl.concat([verdict("s-1", "overrun", 2), verdict("s-2", "within", 2)])
    assert history.add_verdicts(both) == 2
    reader = History.open_readonly(tmp_path)
    assert reader.verdicts()["outcome"].to_list() == ["overrun", "within"]
    assert reader.verdicts(["s-2"])["site_id"].to_list() == ["s-2"]
    then = reader.verdicts(as_of=T0 + HOUR)
    assert then["outcome"].to_list() == ["undecided"]
    assert then["standing_reasons"].to_list() == [["annualised"]]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files in /proc")
def test_reading_leaves_no_file_open(tmp_path):
    history = filled(tmp_path, 5)
    folder = Path("/proc/self/fd")
    history.intervals(T0, T0 + 90 * BLOCK)
    before = len(list(folder.iterdir()))
    for _ in range(20):
        History.open_readonly(tmp_path).intervals(T0, T0 + 90 * BLOCK)
    assert len(list(folder.iterdir())) <= before + 2


@pytest.mark.parametrize("tidied", [False, True])
def test_a_table_of_an_earlier_version_takes_rows_with_new_columns(tmp_path, tidied):
    shape = SHAPES["readings"]
    older = dict(shape.schema)
    del older["register_words"]
    Table(tmp_path / "t", replace(shape, schema=older)).append(
        readings(METERS, T0, 3).select(list(older))
    )
    table = Table(tmp_path / "t", shape)
    words = readings(METERS, T0 + HOUR, 3).with_columns(register_words=pl.lit("3:0=0001"))
    for _ in range(2):
        table.append(words)
        table.refresh()
    if tidied:
        assert table.tidy(Tidy(open_files=2)) > 0
        table.refresh()
    found = Table(tmp_path / "t", shape, readonly=True)
    rows = found.read(found.files())
    assert rows.height == 20 * 3 * 3
    assert rows.filter(pl.col("measured_at") >= T0 + HOUR)["register_words"].null_count() == 0
    assert rows.filter(pl.col("measured_at") < T0 + HOUR)["register_words"].null_count() == 60


def test_a_history_of_a_version_before_counters_opens_and_answers_days_and_months(tmp_path):
    """Table.read is where a column that older files lack becomes null; nothing else needs to."""
    written, plain = tmp_path / "written", tmp_path / "older"
    known = book(*METERS)
    filled(written, 12)
    for name, mark in (("intervals", "intervals"), ("days", "folded_us")):
        shape = SHAPES[name]
        older = {n: kind for n, kind in shape.schema.items() if n != "output_count"}
        rows = Table(written / name, shape)
        old = Table(plain / name, replace(shape, schema=older))
        kept = rows.read(rows.files()).select(list(older))
        old.append(kept, {mark: rows.mark(mark)})
        assert kept.height > 0
    later = T0 + 100 * 24 * HOUR
    for one in (History(plain, lambda: later, known), History.open_readonly(plain, known)):
        first, after = date(2026, 3, 2), date(2026, 3, 4)
        assert_frame_equal(one.days(first, after), filled_days(written, known, later, after))
        assert one.days(first, after)["output_count"].null_count() == 2 * len(METERS)
        assert one.months(first, after)["output_count"].null_count() == len(METERS)
    history = History(plain, lambda: later, known)
    history.add(99, readings([], T0, 0), intervals(METERS, T0 + 24 * HOUR, 4, later, 2.0, 1))
    history.flush()
    again = History(plain, lambda: later, known).days(date(2026, 3, 3), after)
    assert again["energy_kwh"].to_list() == [52.0] * len(METERS)


def filled_days(folder, known, now, after):
    return History.open_readonly(folder, known, lambda: now).days(date(2026, 3, 2), after)
