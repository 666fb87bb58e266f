"""Rows set down on disk and taken up by time; and what is left there: nothing, whatever happens."""

import resource
import tempfile
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_file_runs import NOW, mapping

from collector.reading import UTC_US
from collector.sources.filefaults import FileError
from collector.sources.files import import_file, reader_of
from collector.sources.filespool import Spool

START = datetime(2025, 1, 1, tzinfo=UTC)


def rows(instants, meters):
    """Rows of numbered minutes and meters."""
    at = [START + timedelta(minutes=minute) for minute in instants]
    types = {"meter_id": pl.String, "measured_at": UTC_US}
    found = pl.DataFrame({"meter_id": meters, "measured_at": at}, schema=types)
    return found.sort("measured_at")


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 90), st.sampled_from("abcdef")), max_size=12), max_size=6
    )
)
def test_every_row_comes_back_once_by_time_and_the_rows_of_a_key_together(parts):
    with Spool() as spool:
        for part in parts:
            spool.put(rows([at for at, _ in part], [meter for _, meter in part]))
        windows = list(spool.windows())
    assert sorted(row for window in windows for row in window.rows()) == sorted(
        (meter, START + timedelta(minutes=at)) for part in parts for at, meter in part
    )
    latest: dict[str, datetime] = {}
    for window in windows:
        ends = window.group_by("meter_id").agg(
            pl.col("measured_at").min().alias("first"), pl.col("measured_at").max().alias("last")
        )
        for meter, first, last in ends.rows():
            assert meter not in latest or latest[meter] < first
            latest[meter] = last


def test_windows_hold_no_more_than_was_set_down_at_once():
    with Spool() as spool:
        for day in range(10):
            spool.put(rows([day * 1440 + k * 15 for k in range(96)], ["m"] * 96))
        windows = list(spool.windows())
    assert [window.height for window in windows] == [96] * 10


def test_an_instant_with_more_rows_than_a_window_is_divided_by_meters():
    with Spool() as spool:
        for part in range(20):
            spool.put(rows([7] * 50, [f"m{part}-{k}" for k in range(50)]))
        windows = list(spool.windows())
    assert sum(window.height for window in windows) == 1000
    assert len(windows) == 20
    assert max(window.height for window in windows) < 100


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where temporary files go."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def large(tmp_path):
    """A file of many pieces, against the order of time."""
    path = tmp_path / "large.csv"
    stamps = (START + timedelta(minutes=15 * k) for k in reversed(range(4000)))
    path.write_text("t,wh\n" + "".join(f"{at:%Y-%m-%d %H:%M},{at.hour}\n" for at in stamps))
    return reader_of(path, mapping(), NOW, cells=2000)


def test_nothing_is_left_on_disk_and_progress_only_grows(large, folder):
    told, most = [], 0

    def progress(share):
        nonlocal most
        told.append(share)
        most = max(most, len([*folder.rglob("*.parquet")]))

    done = import_file(large, None, progress)
    assert done.readings >= 4001
    assert (done.first, done.last) == (
        START + timedelta(microseconds=1),
        START + timedelta(minutes=15 * 4000),
    )
    assert most > 5
    assert told == sorted(told)
    assert len(set(told)) > 10
    assert told[-1] == 1.0
    assert not [*folder.iterdir()]


def test_nothing_is_left_on_disk_when_the_import_ends_early(large, folder):
    class StoppedError(Exception):
        pass

    def progress(share):
        if share > 0.4:
            assert [*folder.iterdir()]
            raise StoppedError

    with pytest.raises(StoppedError):
        import_file(large, None, progress)
    assert not [*folder.iterdir()]


def test_a_disk_that_takes_no_more_is_told_in_a_sentence(large, folder):
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, allowed[1]))
    try:
        with pytest.raises(FileError, match=r"sorted in .*temporary.*set TMPDIR") as caught:
            import_file(large, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert "\n" not in str(caught.value)
    assert not [*folder.iterdir()]
