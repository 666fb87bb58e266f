"""Days and months: local, honest about what is missing, folded once and revised."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from history_rows import DAY0, T0, book, intervals, readings

from processors.history.days import DAY, MONTH, day_rows
from processors.history.store import History
from processors.interval import BLOCK

NO_READINGS = readings([], T0, 0)
A_DAY = timedelta(days=1)


def one_day(blocks: pl.DataFrame, now: datetime = T0 + 9 * A_DAY, zone: str = "Asia/Shanghai"):
    rows = day_rows(blocks, book("a-1", zone=zone).meters, now)
    assert dict(rows.schema) == DAY
    return rows.row(0, named=True)


def test_a_full_day():
    loads = pl.int_range(pl.len()).cast(pl.Float64)
    day = one_day(
        intervals(["a-1"], T0, 96, T0).with_columns(energy_kwh=loads, demand_kw=loads * 4)
    )
    assert (day["day"], day["start"], day["end"]) == (DAY0, T0, T0 + A_DAY)
    assert day["energy_kwh"] == sum(range(96))
    assert (day["max_block_demand_kw"], day["max_block_at"]) == (380, T0 + 95 * BLOCK)
    assert (day["max_demand_kw"], day["max_demand_at"]) == (5, T0 + timedelta(minutes=20))
    assert day["min_demand_kw"] == 0
    assert day["load_factor"] == pytest.approx(0.5)
    assert day["zero_share"] == pytest.approx(1 / 96)
    assert (day["coverage"], day["blocks"], day["blocks_expected"]) == (1, 96, 96)


def test_no_data_is_null_and_never_zero():
    day = one_day(intervals(["a-1"], T0, 96, T0, energy_kwh=None))
    unknown = ["energy_kwh", "max_block_demand_kw", "max_block_at", "max_demand_kw", "load_factor"]
    assert [day[name] for name in [*unknown, "zero_share", "estimated_share"]] == [None] * 7
    assert (day["coverage"], day["blocks"], day["blocks_expected"]) == (0, 0, 96)


def test_a_dead_load_is_zero_and_has_no_load_factor():
    day = one_day(intervals(["a-1"], T0, 96, T0, energy_kwh=0.0))
    assert (day["energy_kwh"], day["zero_share"], day["load_factor"]) == (0, 1, None)
    assert day["estimated_share"] == 0


def test_missing_blocks_are_not_covered_and_estimates_are_weighed_by_energy():
    blocks = intervals(["a-1"], T0, 48, T0).with_columns(
        quality=pl.when(pl.col("start") < T0 + 12 * BLOCK)
        .then(pl.lit("estimated"))
        .otherwise(pl.lit("measured"))
        .cast(pl.Enum(["measured", "interpolated", "estimated", "missing"])),
        energy_kwh=pl.when(pl.col("start") < T0 + 12 * BLOCK).then(3.0).otherwise(1.0),
    )
    day = one_day(blocks)
    assert (day["coverage"], day["blocks"]) == (0.5, 48)
    assert day["estimated_share"] == pytest.approx(36 / 72)


@pytest.mark.parametrize(("day", "blocks"), [("2026-03-29", 92), ("2026-10-25", 100)])
def test_the_days_clocks_are_changed(day, blocks):
    midnight = datetime.fromisoformat(day).astimezone(UTC).replace(hour=0) - A_DAY
    rows = day_rows(
        intervals(["a-1"], midnight, 96 * 3, midnight),
        book("a-1", zone="Europe/Berlin").meters,
        midnight + 9 * A_DAY,
    )
    found = rows.filter(pl.col("day") == date.fromisoformat(day)).row(0, named=True)
    assert (found["blocks"], found["blocks_expected"], found["coverage"]) == (blocks, blocks, 1)
    assert found["energy_kwh"] == blocks


def test_a_day_whose_midnight_does_not_exist():
    midnight = datetime(2024, 9, 8, 4, tzinfo=UTC)  # Santiago: 00:00 became 01:00
    day = one_day(
        intervals(["a-1"], midnight, 92, midnight), midnight + 9 * A_DAY, "America/Santiago"
    )
    assert (day["start"], day["blocks_expected"], day["coverage"]) == (midnight, 92, 1)


def test_the_running_day_expects_what_has_ended():
    blocks = intervals(["a-1"], T0, 40, T0)
    assert one_day(blocks, T0 + 40 * BLOCK)["blocks_expected"] == 40
    on_its_way = one_day(blocks, T0 + 41 * BLOCK)
    assert (on_its_way["blocks_expected"], on_its_way["coverage"]) == (40, 1)
    late = one_day(blocks, T0 + 51 * BLOCK)
    assert (late["blocks_expected"], late["coverage"]) == (50, 0.8)


def test_days_are_folded_once_over_and_revised_by_late_data(tmp_path):
    now = [T0 + 40 * BLOCK]
    history = History(tmp_path, lambda: now[0], book("a-1", "b-2"))
    span = (DAY0, DAY0 + 3 * A_DAY)
    history.add(1, NO_READINGS, intervals(["a-1", "b-2"], T0, 40, now[0]))
    history.flush()
    assert history.days(*span)["energy_kwh"].to_list() == [40, 40]
    assert not (tmp_path / "days").exists()
    now[0] = T0 + 30 * timedelta(hours=1)
    history.add(2, NO_READINGS, intervals(["a-1", "b-2"], T0 + 40 * BLOCK, 80, now[0]))
    history.flush()
    history.flush()
    assert (tmp_path / "days").exists()
    assert history.days(*span, ["b-2"])["energy_kwh"].to_list() == [96, 24]
    late = now[0] + timedelta(hours=1)
    history.add(3, NO_READINGS, intervals(["b-2"], T0, 1, late, 11.0, revision=1))
    history.flush()
    history.flush()
    for one in (history, History(tmp_path, lambda: late, book("a-1", "b-2"))):
        days = one.days(*span, ["b-2"])
        assert days["energy_kwh"].to_list() == [106, 24]
        assert days["revision"].to_list() == [1, 0]
        then = one.days(*span, ["b-2"], as_of=now[0])
        assert then["energy_kwh"].to_list() == [96, 24]
        noon = one.days(*span, as_of=T0 + 40 * BLOCK)
        assert noon["energy_kwh"].to_list() == [40, 40]
        assert noon["blocks_expected"].to_list() == [40, 40]


def test_a_restart_finds_the_days_not_folded(tmp_path):
    now = T0 + 10 * A_DAY
    first = History(tmp_path, lambda: now, book("a-1"))
    for day in range(5):
        at = T0 + day * A_DAY
        first.add(day + 1, NO_READINGS, intervals(["a-1"], at, 96, at + A_DAY))
        first.flush()
    span = (DAY0, DAY0 + 9 * A_DAY)
    reader = History.open_readonly(tmp_path, book("a-1"), lambda: now)
    assert reader.days(*span).height == 5
    second = History(tmp_path, lambda: now, book("a-1"))
    assert second.days(*span)["energy_kwh"].to_list() == [96.0] * 5
    second.flush()
    assert second._fold._open.is_empty()
    assert History.open_readonly(tmp_path).days(*span).height == 5, "without a book: stored days"


def test_months_are_whole_and_count_days_without_data(tmp_path):
    now = datetime(2026, 4, 2, 4, 7, tzinfo=UTC)  # noon in Shanghai
    history = History(tmp_path, lambda: now, book("a-1"))
    march = datetime(2026, 2, 28, 16, tzinfo=UTC)
    history.add(1, NO_READINGS, intervals(["a-1"], march, 96 * 10, now, 2.0))
    april = march + 31 * A_DAY
    history.add(2, NO_READINGS, intervals(["a-1"], april, 96 + 48, now, 3.0))
    for _ in range(3):
        months = history.months(date(2026, 3, 15), date(2026, 4, 2))
        assert dict(months.schema) == MONTH
        assert months["energy_kwh"].to_list() == [96 * 10 * 2, 144 * 3]
        assert months["days"].to_list() == [10, 2]
        assert months["days_expected"].to_list() == [31, 30]
        assert months["blocks_expected"].to_list() == [31 * 96, 144]
        assert months["coverage"].to_list() == pytest.approx([10 / 31, 1.0])
        assert months["load_factor"].to_list() == [1, 1]
        assert months["max_block_at"].to_list() == [march, april]
        history.flush()
    assert history.months(date(2026, 3, 1), date(2026, 3, 1)).is_empty()
