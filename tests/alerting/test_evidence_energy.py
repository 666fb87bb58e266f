"""Evidence where energy was stated by hand, or spread by like days."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from evidence_world import NOW, T0, Past, World, resealed
from fakes.stream_driver import book_of, readings_of
from polars.testing import assert_frame_equal

from alerting.evidence.gather import UnsettledError, _readings
from alerting.evidence.verify import verify
from processors.blocks import intervals_of
from processors.book import Book
from processors.edits import EDIT


@pytest.fixture
def edited(tmp_path):
    """A world in which the breach's blocks were stated higher by hand."""
    world = World(tmp_path)
    start = pl.Series([T0]).dt.truncate("1d")[0]
    acts = pl.DataFrame(
        [(1, "w-1", start, start + timedelta(days=1), 96 * 700.0, "王工", "CT test", NOW, None)],
        schema=EDIT, orient="row")  # fmt: skip
    blocks = intervals_of(world.past.raw, Book.of([world.site]), acts)
    world.past.blocks = blocks.with_columns(computed_at=pl.lit(NOW))
    world.sources = replace(world.sources, edits=lambda: (acts, 1))
    yield world
    world.ledger.close()


def test_an_edited_block_verifies_and_is_a_clue(edited):
    report = verify(edited.export(edited.fire()))
    assert report.ok, report.findings
    assert report.verdict.standing == "clue"
    assert "edited" in report.verdict.reasons


def test_no_package_is_made_while_an_edit_is_on_its_way_into_history(edited):
    acts, _ = edited.sources.edits()
    alert = edited.fire()
    edited.sources = replace(edited.sources, edits=lambda: (acts, 0))
    with pytest.raises(UnsettledError, match="try again in a few seconds"):
        edited.export(alert)
    seen = iter([(acts.clear(), 0), (acts, 1)])  # one is made while the blocks are read
    edited.sources = replace(edited.sources, edits=lambda: next(seen))
    with pytest.raises(UnsettledError):
        edited.export(alert)


def test_a_package_without_its_edits_is_contradicted_by_the_readings(edited):
    path = edited.export(edited.fire())
    resealed(path, lambda files: files.pop("edits.csv"), edited.folder / "forger.pem")
    assert any("the readings give" in one for one in verify(path).findings)


def test_a_gap_spread_by_like_days_brings_the_readings_it_leans_on():
    book = book_of(["m"], rated_power_kw=400.0)
    first = datetime(2026, 3, 1, 16, tzinfo=UTC)
    hole = first + timedelta(days=39, hours=5), first + timedelta(days=39, hours=12)
    rows, total = [], 0.0
    for n in range(40 * 96 + 1):
        at = first + n * timedelta(minutes=15)
        if not hole[0] < at < hole[1]:
            rows.append(("m", at, total))
        total += 10.0 + (n % 96) / 8
    past = Past(readings_of(rows), book)
    start, end = first + timedelta(days=39), first + timedelta(days=40)
    packed = _readings(past, ["m"], start, end)
    scope = pl.col("start") >= start, pl.col("end") <= end
    key = ["start", "energy_kwh", "method"]
    found = intervals_of(packed, book).filter(*scope).sort("start").select(key)
    assert_frame_equal(found, past.blocks.filter(*scope).sort("start").select(key))
    assert "like_day" in set(found["method"])
    assert packed.height < len(rows)
