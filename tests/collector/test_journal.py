import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from collector import journal as journal_module
from collector.journal import Journal, JournalError
from collector.reading import conform
from collector.settings import JournalSettings

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def readings(first: int, count: int, **columns: float) -> pl.DataFrame:
    at = [T0 + timedelta(seconds=first + i) for i in range(count)]
    return pl.DataFrame(
        {
            "meter_id": ["m"] * count,
            "measured_at": at,
            "received_at": at,
            "source": ["test"] * count,
            "energy_import_kwh": [float(first + i) for i in range(count)],
        },
        schema_overrides={
            "measured_at": pl.Datetime("us", "UTC"),
            "received_at": pl.Datetime("us", "UTC"),
        },
    ).with_columns(pl.lit(value).alias(name) for name, value in columns.items())


@pytest.fixture
def journal(tmp_path: Path):
    settings = JournalSettings(commit_within_ms=0)
    one = Journal(tmp_path / "j" / "journal.sqlite", lambda: T0, settings)
    yield one
    one.close()


def test_what_was_appended_is_read_in_order_with_every_column(journal: Journal):
    first, second = readings(0, 3), readings(3, 2, power_kw=7.5)
    journal.append(first).result(5)
    journal.append(second).result(5)
    batch = journal.read(0, 100)
    assert (batch.first_seq, batch.last_seq) == (1, 2)
    assert_frame_equal(batch.frame, pl.concat([conform(first), conform(second)]))


def test_an_empty_journal_reads_as_an_empty_batch(journal: Journal):
    batch = journal.read(7, 100)
    assert (batch.first_seq, batch.last_seq, batch.frame.height) == (8, 7, 0)
    assert journal.last() == 0
    assert not journal.wait(0, 0.01)


def test_a_read_stops_at_whole_blobs_but_takes_one_at_least(journal: Journal):
    for n in range(4):
        journal.append(readings(10 * n, 10)).result(5)
    assert journal.read(0, 25).last_seq == 2
    assert journal.read(0, 5).last_seq == 1
    assert journal.read(0, 100, through=3).last_seq == 3
    assert journal.read(2, 100).first_seq == 3


def test_the_callback_comes_after_the_commit_with_the_number_of_the_future(tmp_path: Path):
    path = tmp_path / "journal.sqlite"
    journal, other = Journal(path, lambda: T0), Journal(path, lambda: T0)
    seen: list[tuple[int, int]] = []
    called = threading.Event()

    def on_durable(seq: int) -> None:
        seen.append((seq, other.last()))  # another connection sees only what is committed
        called.set()

    future = journal.append(readings(0, 1), on_durable)
    assert called.wait(5)
    assert seen == [(future.result(5), 1)]
    journal.close()
    other.close()


def test_many_threads_share_commits_and_lose_nothing(journal: Journal):
    def work(first: int) -> None:
        futures = [journal.append(readings(first + i, 1)) for i in range(200)]
        assert [f.result(20) for f in futures] == sorted(f.result() for f in futures)

    threads = [threading.Thread(target=work, args=(1000 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    frame = journal.read(0, 10_000).frame
    assert frame["energy_import_kwh"].n_unique() == frame.height == 800
    assert journal.last() < 700  # group commit


def test_a_large_group_is_cut_into_blobs(journal: Journal):
    futures = [journal.append(readings(30_000 * n, 30_000)) for n in range(3)]
    assert [f.result(20) for f in futures] == [1, 2, 3]
    assert journal.read(0, 90_000).frame.height == 90_000


def test_trimming_spares_what_is_new_or_not_yet_worked_up_and_numbers_go_on(tmp_path: Path):
    times = iter(T0 + timedelta(hours=h) for h in range(100))
    path = tmp_path / "journal.sqlite"
    journal = Journal(path, lambda: next(times))
    for n in range(4):
        journal.append(readings(10 * n, 10)).result(5)
    assert journal.trim(2, T0 + timedelta(hours=1)) == 10  # only the first is old enough
    assert journal.read(0, 100).first_seq == 2
    assert journal.trim(3, T0 + timedelta(days=9)) == 20  # the fourth is not worked up
    assert journal.trim(99, T0 + timedelta(days=9)) == 10
    journal.close()
    again = Journal(path, lambda: T0)
    assert again.last() == 4
    assert again.append(readings(0, 1)).result(5) == 5
    again.close()


def test_trimming_more_than_one_portion(journal: Journal):
    count = 2 * journal_module.CHORE_BLOBS + 5
    for n in range(count):
        journal.append(readings(n, 1)).result(5)
    assert journal.trim(count, T0 + timedelta(days=1)) == count
    assert journal.read(0, 1).frame.is_empty()


def test_a_waiting_reader_is_woken_by_the_commit(journal: Journal):
    woken = threading.Event()
    thread = threading.Thread(target=lambda: journal.wait(0, 10) and woken.set())
    thread.start()
    journal.append(readings(0, 1))
    assert woken.wait(5)
    thread.join()


def test_another_process_reads_while_this_one_writes(journal: Journal, tmp_path: Path):
    journal.append(readings(0, 5)).result(5)
    code = (
        "import sys; from pathlib import Path\n"
        "from collector.clock import Clock; from collector.journal import Journal\n"
        "j = Journal(Path(sys.argv[1]), Clock.real().now)\n"
        "print(j.wait(0, 5), j.read(0, 99).frame.height); j.close()"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code, str(tmp_path / "j" / "journal.sqlite")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "5"]


def test_two_that_append_to_one_file_see_each_others_commits(tmp_path: Path):
    path = tmp_path / "journal.sqlite"
    one, other = Journal(path, lambda: T0), Journal(path, lambda: T0)
    assert one.append(readings(0, 1)).result(5) == 1
    assert other.append(readings(1, 1)).result(5) == 2
    assert one.wait(1, 1)
    assert one.append(readings(2, 1)).result(5) == 3
    assert other.read(0, 10).frame["energy_import_kwh"].to_list() == [0.0, 1.0, 2.0]
    one.close()
    other.close()


def test_close_commits_what_is_queued_and_then_refuses(tmp_path: Path):
    path = tmp_path / "journal.sqlite"
    journal = Journal(path, lambda: T0, JournalSettings(commit_within_ms=1000))
    future = journal.append(readings(0, 2))
    journal.close()
    assert future.result(0) == 1
    with pytest.raises(JournalError, match="closed"):
        journal.append(readings(2, 1))


def test_a_full_disk_fails_the_future_and_recovers_when_there_is_room(tmp_path: Path):
    path = tmp_path / "journal.sqlite"
    journal = Journal(path, lambda: T0)
    journal.append(readings(0, 1)).result(5)
    # SQLite's own limit on pages answers exactly as a full disk does: SQLITE_FULL.
    limited = Journal(path, lambda: T0, connect=_limited_to(pages=40))
    with pytest.raises(JournalError, match="full"):
        limited.append(readings(0, 40_000)).result(10)
    assert limited.append(readings(5, 1)).result(5) == 2  # a small one still fits
    assert journal.read(1, 10).frame["energy_import_kwh"].to_list() == [5.0]
    limited.close()
    journal.close()


def _limited_to(pages: int):
    def connect(path: Path):
        connection = journal_module.journalfile.connect(path)
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    return connect


def test_sources_are_held_back_while_too_much_is_queued(tmp_path: Path):
    settings = JournalSettings(queue_rows=1000, commit_within_ms=0)
    journal = Journal(tmp_path / "journal.sqlite", lambda: T0, settings)
    futures = [journal.append(readings(600 * n, 600)) for n in range(20)]
    assert futures[15].done()  # the last appends had to wait for the first commits
    assert [f.result(10) for f in futures][-1] >= 10
    journal.close()


def test_what_is_not_a_reading_is_refused_at_once(journal: Journal):
    with pytest.raises(ValueError, match="wat"):
        journal.append(readings(0, 1, wat=1.0))
    with pytest.raises(ValueError, match="measured_at"):
        journal.append(readings(0, 1).drop("measured_at"))
    with pytest.raises(ValueError, match="power_kw"):
        journal.append(readings(0, 1).with_columns(power_kw=pl.lit("x")))
