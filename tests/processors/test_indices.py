"""Load indices against a slow reference, on ordinary days and on those clocks change."""

import os
import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from fakes import reference_indices as plain
from history_rows import book
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from processors.history.days import day_rows
from processors.history.latest import latest_intervals
from processors.indices import Length, indices
from processors.interval import INTERVAL
from processors.shapes import Span, duration, period_shares, slots, typical_days, weekday_types
from processors.subjects import site_blocks
from processors.yearly import weekdays, year_on_year

BERLIN = "Europe/Berlin"
LATER = datetime(2027, 1, 1, tzinfo=UTC)
LEAST = 0.75
EXAMPLES = int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "12"))
FIGURES = (
    "energy_kwh", "max_block_demand_kw", "max_block_at", "min_demand_kw", "mean_demand_kw",
    "load_factor", "peak_valley_kw", "peak_valley_ratio", "utilisation_h", "blocks",
    "blocks_expected", "coverage", "reason",
)  # fmt: skip


def frame(blocks, meter="m", revision=0):
    """INTERVAL rows of (start, kWh or None, coverage, estimated)."""
    rows = [
        {
            "meter_id": meter,
            "start": start,
            "end": start + plain.QUARTER,
            "energy_kwh": kwh,
            "demand_kw": None if kwh is None else kwh * 4,
            "coverage": covered,
            "quality": "missing" if kwh is None else "estimated" if guessed else "measured",
            "flags": [],
            "revision": revision,
            "computed_at": LATER + timedelta(seconds=revision),
        }
        for start, kwh, covered, guessed in blocks
    ]
    return pl.DataFrame(rows, schema=INTERVAL)


LOADS = st.tuples(
    st.sampled_from([date(2026, 3, 27), date(2026, 10, 23), date(2026, 2, 27)]),
    st.integers(1, 5),
    st.integers(0, 1 << 30),
    st.sampled_from([0.0, 0.02, 0.3, 1.0]),
)
"""First day, days, seed, share of holes: a stretch around a change of clocks."""


def load(first, length, seed, gap):
    """Blocks with holes and estimates."""
    chance = random.Random(seed)
    starts = [s for n in range(length) for s in plain.starts_of(first + timedelta(n), BERLIN)]
    kept = [one for one in starts if chance.random() >= gap / 2]
    return [_block(start, chance, gap) for start in kept] or [(starts[0], 1.0, 1.0, False)]


def _block(start, chance, gap):
    if chance.random() < gap:
        return (start, None, 0.0, False)
    guessed = chance.random() < gap
    kwh = chance.choice([0.0, 0.25, 1.0, chance.random() * 100])
    return (start, kwh, 0.0 if guessed else 1.0, guessed)


fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
ZONES = book("m", zone=BERLIN).meters


def same(mine, theirs):
    if not isinstance(theirs, float):
        return mine == theirs
    return mine == pytest.approx(theirs, rel=1e-9, abs=1e-9)


def span(length, first, now, least=LEAST):
    start = plain.first_of(first, length)
    return Span(start, plain.after(start, length), Length(length), now, least)


@fuzz
@given(LOADS, st.sampled_from(["day", "month"]), st.integers(0, 300))
def test_indices_are_those_of_the_plain_reference(told, length, held):
    blocks = load(*told)
    last = max(b[0] for b in blocks) + plain.QUARTER
    now = last + timedelta(days=40) if held > 200 else last
    days = day_rows(frame(blocks), ZONES, now)
    rows = indices(days, ZONES, Length(length), now, LEAST)
    for row in rows.iter_rows(named=True):
        theirs = plain.index(blocks, row["day"], length, BERLIN, now, LEAST)
        assert {n: row[n] for n in FIGURES if not same(row[n], theirs[n])} == {}


@fuzz
@given(LOADS)
def test_shapes_are_those_of_the_plain_reference(told):
    blocks = load(*told)
    rows, first = frame(blocks), blocks[0][0].astimezone(ZoneInfo(BERLIN)).date()
    wanted = span("day", first, LATER)
    typical = typical_days(rows, ZONES, weekday_types(ZONES, wanted), wanted)
    kind = lambda day: "rest" if day.isoweekday() > 5 else "working"  # noqa: E731 - a name for a rule
    cells = plain.typical(blocks, first, "day", BERLIN, LATER, LEAST, kind)
    names = ("mean_kw", "min_kw", "max_kw", "blocks", "blocks_expected", "coverage")
    assert typical.height == len(cells)
    for row in typical.iter_rows(named=True):
        assert all(map(same, (row[n] for n in names), cells[row["day_type"], row["clock"]]))
    curve = duration(rows, ZONES, wanted, 20)["demand_kw"].to_list()
    assert all(map(same, curve, plain.duration(blocks, first, "day", BERLIN, LATER, LEAST, 20)))


@fuzz
@given(LOADS)
def test_shares_of_tariff_periods_add_up_and_are_the_references(told):
    blocks = load(*told)
    first = blocks[0][0].astimezone(ZoneInfo(BERLIN)).date()
    wanted = span("month", first, blocks[-1][0] + plain.QUARTER, 0.01)
    label = lambda s: ("valley", "flat", "peak")[s.astimezone(ZoneInfo(BERLIN)).hour // 8]  # noqa: E731 - a name for a rule
    labels = slots(ZONES, wanted).select(
        "start",
        meter_id=pl.lit("m"),
        tariff_period=pl.col("start").map_elements(label, return_dtype=pl.String),
    )
    rows = period_shares(frame(blocks), ZONES, labels, wanted)
    told = plain.shares(blocks, wanted.first, "month", BERLIN, wanted.now, 0.01, label)
    for row in rows.iter_rows(named=True):
        mine = (row["energy_kwh"], row["share"], row["blocks"], row["blocks_expected"])
        assert all(map(same, mine, told[row["tariff_period"]]))
    if rows["reason"].null_count() == rows.height:
        assert rows["share"].sum() == pytest.approx(1.0)


@fuzz
@given(LOADS)
def test_the_weeks_profile_is_the_references(told):
    blocks = load(*told)
    now = blocks[-1][0] + plain.QUARTER
    days = day_rows(frame(blocks), ZONES, now)
    rows = weekdays(days, ZONES, Length.MONTH, now, LEAST)
    for row in rows.iter_rows(named=True):
        told = plain.weekday_means(blocks, row["day"], "month", BERLIN, now, LEAST)
        mine = (row["mean_kwh"], row["days"], row["days_expected"])
        assert all(map(same, mine, told[row["weekday"]]))


def level(first, days, kwh, meter="m"):
    dates = plain.days_between(first, first + timedelta(days))
    return frame([(s, kwh, 1.0, False) for d in dates for s in plain.starts_of(d, BERLIN)], meter)


def test_days_of_23_and_25_hours_have_the_same_load_factor_as_any():
    for day, blocks in ((date(2026, 3, 29), 92), (date(2026, 10, 25), 100)):
        days = day_rows(level(day, 1, 2.0), ZONES, LATER)
        row = indices(days, ZONES, Length.DAY, LATER, 1.0).row(0, named=True)
        assert (row["blocks"], row["blocks_expected"]) == (blocks, blocks)
        assert (row["load_factor"], row["utilisation_h"]) == (1.0, blocks / 4)
        assert row["coverage"] == 1.0


def test_a_revision_moves_the_indices_and_the_past_stays_known():
    blocks = [(s, 1.0, 1.0, False) for s in plain.starts_of(date(2026, 5, 4), BERLIN)]
    both = pl.concat([frame(blocks), frame([(blocks[7][0], 4.0, 1.0, False)], revision=1)])
    for rows, factor in ((frame(blocks), 1.0), (both, (95 + 4) / 96 / 4)):
        days = day_rows(latest_intervals(rows), ZONES, LATER)
        got = indices(days, ZONES, Length.DAY, LATER, 0.9)["load_factor"][0]
        assert got == pytest.approx(factor)


def test_a_month_without_a_row_says_so_and_a_year_knows_its_days():
    days = pl.concat([day_rows(level(date(2025, n, 1), 3, 1.0), ZONES, LATER) for n in (1, 3)])
    rows = indices(days, ZONES, Length.MONTH, LATER, 0.05)
    assert rows["reason"].to_list() == [None, "no_data", None]
    assert rows.row(1, named=True)["blocks_expected"] == 28 * 96
    year = indices(days, ZONES, Length.YEAR, LATER, 0.95).row(0, named=True)
    assert (year["reason"], year["blocks"], year["load_factor"]) == ("low_coverage", 576, None)
    assert year["energy_kwh"] == 576.0


def test_year_on_year_compares_like_with_like():
    days = pl.concat(
        [
            day_rows(level(date(2023, 2, 1), 28, 1.0), ZONES, LATER),
            day_rows(level(date(2024, 2, 1), 29, 1.1), ZONES, LATER),
            day_rows(level(date(2025, 2, 1), 9, 1.1), ZONES, LATER),
        ]
    )
    rows = year_on_year(indices(days, ZONES, Length.MONTH, LATER, 0.9))
    by_month = {row["day"]: row for row in rows.iter_rows(named=True)}
    leap = by_month[date(2024, 2, 1)]
    assert leap["mean_demand_change"] == pytest.approx(0.1)
    assert leap["energy_change"] == pytest.approx(1.1 * 29 / 28 - 1)
    assert by_month[date(2023, 2, 1)]["reason"] == "no_last_year"
    assert by_month[date(2025, 2, 1)]["reason"] == "low_coverage"
    daily = year_on_year(indices(days, ZONES, Length.DAY, LATER, 0.9)).filter(day=date(2024, 2, 29))
    assert daily["reason"].to_list() == ["no_last_year"]


def test_a_site_lacking_one_main_meter_makes_no_valley():
    day = date(2026, 5, 4)
    both = pl.concat([level(day, 1, 1.0, "a"), level(day, 1, 2.0, "b")[:-4]])
    two = book("a", "b", zone=BERLIN)
    site = type(two)(two.meters.with_columns(site_id=pl.lit("s")))
    rows = site_blocks(both, site).sort("start")
    assert rows["energy_kwh"].to_list() == [3.0] * 92 + [None] * 4
    assert rows["coverage"].to_list() == [1.0] * 92 + [0.5] * 4
    assert set(rows["meter_id"]) == {"s"}
