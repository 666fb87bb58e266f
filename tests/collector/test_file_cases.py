"""Every folder of tests/cases/files is one file a user might bring: what is taken, what is not."""

from datetime import UTC, datetime, time
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter
import yaml

from collector.imported import source_of
from collector.mappings import load_mapping
from collector.sources.fileadvice import ADVICE
from collector.sources.files import FileError, read_file

CASES = Path(__file__).parents[1] / "cases" / "files"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = sorted(path.name for path in CASES.iterdir())


def test_there_are_enough_of_them():
    assert len(NAMES) >= 50


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str, tmp_path: Path):
    case = CASES / name
    expected = yaml.safe_load((case / "expected.yaml").read_text("utf-8"))
    given = expected.get("given", {})
    found, faults = load_mapping(case / "mapping.yaml")
    if found is None:
        assert_told("\n".join(map(str, faults)), expected["error"])
        return
    file = made(case, tmp_path, given)
    zones = given.get("meters", {"m": "Asia/Shanghai"})
    if "error" in expected:
        with pytest.raises(FileError) as caught:
            read_file(file, found, NOW, zones)
        assert_told(str(caught.value), expected["error"])
        return
    contents = read_file(file, found, NOW, zones)
    told = ["line", "meter_id", "column", "value", "reason"]
    assert contents.bad.select(told).rows() == [
        (one["line"], one["meter"], one["column"], one["value"], one["reason"])
        for one in expected["refused"]
    ]
    assert set(contents.bad["reason"]) <= set(ADVICE)
    if "intervals" in expected:
        assert intervals(contents.frame) == whole(expected["intervals"])
    else:
        columns = ["meter_id", "measured_at", "energy_import_kwh"]
        assert contents.frame.select(columns).rows() == whole(expected["readings"])


def assert_told(text: str, pattern: str):
    __tracebackhide__ = True
    with pytest.raises(AssertionError, match=f"(?s){pattern}"):
        raise AssertionError(text)


def whole(rows):
    return [
        (meter, datetime.fromisoformat(at).replace(tzinfo=UTC), pytest.approx(kwh, abs=1e-6))
        for meter, at, kwh in rows
    ]


def intervals(frame: pl.DataFrame):
    """The energy each reading of a run adds to the one before it."""
    gain = pl.col("energy_import_kwh").diff().over("meter_id").alias("gain")
    ends = frame.sort("meter_id", "measured_at").with_columns(gain)
    started = pl.col("source").str.starts_with("import-start:")
    assert (
        ends.filter(started)["measured_at"].dt.microsecond().to_list()
        == [1] * ends.filter(started).height
    )
    return ends.filter(~started).select("meter_id", "measured_at", "gain").rows()


def made(case: Path, folder: Path, given) -> Path:
    """The case's file as a user has it."""
    if "bytes" in given:
        file = folder / given.get("name", "file.csv")
        file.write_bytes(bytes.fromhex(given["bytes"]))
    elif (case / "sheets.yaml").exists():
        file = folder / "file.xlsx"
        workbook(file, yaml.safe_load((case / "sheets.yaml").read_text("utf-8")))
    else:
        file = folder / "file.csv"
        text = (case / "input.txt").read_text("utf-8")
        file.write_text(text, encoding=given.get("encoding", "utf-8"))
    return file


def workbook(file: Path, sheets):
    with xlsxwriter.Workbook(file) as book:
        shown = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for line, row in enumerate(rows):
                for place, cell in enumerate(row):
                    if not isinstance(cell, dict):
                        sheet.write(line, place, cell)
                    elif "date" in cell:
                        at = datetime.fromisoformat(cell["date"])
                        sheet.write_datetime(line, place, at, shown)
                    else:
                        sheet.write_datetime(line, place, time.fromisoformat(cell["time"]), shown)


def test_the_mark_of_a_run_is_what_the_arithmetic_knows():
    assert source_of(2, "0123abc", "f.csv") == "import-start:0123abc:f.csv"
