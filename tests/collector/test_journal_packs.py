"""Small blobs are merged while the journal runs; no reader may notice but by speed."""

import random
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from test_journal import readings

from collector import journalfile, journalwriter
from collector.journal import Journal, JournalError
from collector.settings import JournalSettings

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def hasty(path: Path) -> sqlite3.Connection:
    """What is tested here is not the fsync of thousands of commits."""
    connection = journalfile.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


@pytest.fixture
def packed(tmp_path: Path):
    """A journal of 600 commits of 1 to 3 readings, a large one among them, and what it holds."""
    dice = random.Random(1)
    path = tmp_path / "journal.db"
    journal = Journal(path, lambda: T0, JournalSettings(commit_within_ms=0), hasty)
    told, first = [], 0
    for n in range(600):
        rows = 600 if n == 300 else dice.randint(1, 3)
        extra = {"power_kw": 1.5} if n % 7 == 0 else {}
        seq = journal.append(readings(first, rows, **extra)).result(5)
        told += [(seq, float(first + i)) for i in range(rows)]
        first += rows
    yield journal, told, path
    journal.close()


def blobs(path: Path) -> list[tuple[int, int | None]]:
    connection = journalfile.connect(path)
    found = connection.execute("SELECT seq, first FROM blobs ORDER BY seq").fetchall()
    connection.close()
    return found


def test_from_any_cursor_to_any_end_every_reading_comes_once_and_in_order(packed):
    journal, told, path = packed
    assert [one for one in blobs(path) if one[1]] == [(256, 1), (557, 302)]  # 301 was large
    dice = random.Random(2)
    for _ in range(80):
        cursor, end = dice.randint(0, 600), dice.randint(0, 600)
        wanted = [value for seq, value in told if cursor < seq <= end]
        got, at = [], cursor
        while (batch := journal.read(at, dice.choice((1, 50, 5000)), end)).last_seq > at:
            assert at < batch.first_seq <= batch.last_seq <= end
            got += batch.frame["energy_import_kwh"].to_list()
            at = batch.last_seq
        assert got == wanted


def test_columns_only_some_readings_have_survive_and_numbers_go_on(packed):
    journal, _, path = packed
    frame = journal.read(0, 10**6).frame
    assert frame["power_kw"].drop_nulls().unique().to_list() == [1.5]
    assert frame["power_kw"].null_count() > 0
    assert journal.append(readings(0, 1)).result(5) == 601
    assert journal.trim(600, T0 + timedelta(days=1)) == frame.height
    assert blobs(path) == [(601, None)]


def test_a_disk_that_refuses_the_merge_costs_nothing(tmp_path: Path, monkeypatch):
    def refuse(*_):
        raise OSError("no room")

    monkeypatch.setattr(journalfile, "pack", refuse)
    journal = Journal(tmp_path / "j.db", lambda: T0, JournalSettings(commit_within_ms=0))
    count = journalwriter.PACK_BLOBS + 5
    futures = [journal.append(readings(n, 1)) for n in range(count)]
    for one in futures:
        one.result(5)
    values = journal.read(0, 10**6).frame["energy_import_kwh"].to_list()
    assert values == [float(n) for n in range(count)]
    journal.close()


def test_what_is_given_up_is_noted_by_meter_with_its_span_and_cause(tmp_path: Path):
    journal = Journal(tmp_path / "j.db", lambda: T0, JournalSettings(commit_within_ms=0))
    for n in range(4):
        frame = readings(10 * n, 10).with_columns(meter_id=pl.lit("ab"[n % 2]))
        journal.append(frame).result(5)
    assert journal.lost().is_empty()
    assert journal.drop(1, 3, T0, "full") == 20
    assert journal.drop(1, 3, T0, "full") == 0
    assert journal.drop(0, 1, T0, "full") == 10
    lost = journal.lost()
    assert lost["meter_id"].to_list() == ["a", "b"]
    assert lost["readings"].to_list() == [20, 10]
    assert lost["first_measured_at"].to_list() == [T0, T0 + timedelta(seconds=10)]
    assert lost["last_measured_at"].to_list() == [T0 + timedelta(seconds=n) for n in (29, 19)]
    assert lost["cause"].unique().to_list() == ["full"]
    assert journal.read(0, 1000).frame.height == 10
    journal.close()


def test_of_a_pack_only_what_was_not_yet_taken_counts_as_lost(packed):
    journal, told, _ = packed
    wanted = sum(1 for seq, _ in told if 100 < seq <= 256)
    assert journal.drop(100, 256, T0, "full") == wanted == journal.lost()["readings"].sum()


def test_a_held_journal_refuses_and_says_why(packed):
    journal, _, _ = packed
    journal.hold("full to the brim")
    with pytest.raises(JournalError, match="brim"):
        journal.append(readings(0, 1)).result(5)
    assert journal.trouble == "full to the brim"
    journal.hold(None)
    assert journal.trouble is None
    assert journal.append(readings(0, 1)).result(5) == 601


def test_a_file_from_before_packs_is_read_and_written(tmp_path: Path):
    path = tmp_path / "j.db"
    connection = journalfile.connect(path)
    connection.execute("ALTER TABLE blobs DROP COLUMN first")
    connection.close()
    journal = Journal(path, lambda: T0)
    journal.append(readings(0, 3)).result(5)
    assert_frame_equal(
        journal.read(0, 10).frame.select("energy_import_kwh"),
        readings(0, 3).select("energy_import_kwh"),
    )
    journal.close()
