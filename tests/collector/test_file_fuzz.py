"""Any bytes, any text, cut into any pieces: a named fault or readings, and no value invented.

DEMANDWATCH_FUZZ_EXAMPLES sets how many inputs are tried; a few seconds' worth by default.
"""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from collector.mappings import FileMapping
from collector.sources.fileadvice import ADVICE
from collector.sources.files import FileError, reader_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FUZZ = settings(
    max_examples=int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "150")) // 3 or 1,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
TITLE = {"zh": "试", "en": "test"}
CLOCK = {"column": "t", "format": "%Y-%m-%d %H:%M", "zone": "Europe/Berlin"}
KWH = {"column": "kwh", "quantity": "energy_import_kwh"}
KINDS = {
    "intervals": {
        "layout": "one_meter", "meter": "m", "values": [KWH | {"gives": "interval"}],
        "time": CLOCK | {"stamp": "start", "every_minutes": 30},
    },
    "registers": {"layout": "meter_a_row", "meter_column": "id", "time": CLOCK, "values": [KWH]},
    "columns": {
        "layout": "meter_a_column", "thousands": " ", "decimal_comma": True, "separator": ";",
        "time": CLOCK | {"stamp": "end", "every_minutes": 30},
        "values": [{"quantity": "energy_import_kwh", "gives": "interval"}],
    },
}  # fmt: skip
MAPPINGS = {n: FileMapping.model_validate({"title": TITLE} | kind) for n, kind in KINDS.items()}
CELLS = st.one_of(
    st.sampled_from(
        ["", '"', '""', '"a\nb"', "24:00", "nan", "-inf", "1e308", "١٢", "\x00", "\ufeff"]
    ),
    st.integers(0, 4000).map(
        lambda k: f"2025-{1 + k % 12:02}-{1 + k % 28:02} {k % 25:02}:{k % 61:02}"
    ),
    st.integers(0, 7).map(lambda k: f"2025-10-26 0{k // 2}:{k % 2 * 3}0"),
    st.floats(allow_nan=True).map(str),
    st.integers(-9, 99_999).map(lambda n: f"{n:,}".replace(",", " ")),
    st.text(max_size=6),
)
LINES = st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=12)


def taken(path: Path, name: str, cells: int = 2_000_000):
    """Read a file to its end; None if it was refused as a whole, in a sentence."""
    zones = {"m": "Asia/Shanghai", "a": "UTC", "b": "Europe/Berlin"}
    reader = reader_of(path, MAPPINGS[name], NOW, zones, cells=cells)
    try:
        frames = list(reader.frames())
    except FileError as error:
        return None if len(str(error)) > 20 else error
    bad = reader.sieve.bad()
    assert set(bad["reason"]) <= set(ADVICE)
    assert bad["line"].min() is None or bad["line"].min() >= 1
    return pl.concat(frames), bad


def numbers_in(text: str):
    """Every number the text may be taken to hold, with or without its groups and its comma."""
    tight = text.replace(" ", "")
    exponent = r"(?:[eE][+-]?\d+)?"
    found = re.findall(rf"[\d.]+{exponent}", text) + re.findall(rf"[\d.,]+{exponent}", tight)
    for one in found:
        for digits in (one, one.replace(",", ".")):
            try:
                yield float(digits)
            except ValueError:
                continue


def assert_nothing_invented(frame: pl.DataFrame, text: str):
    """Each register value, or what an interval added to it, stands in the file."""
    latest = frame.sort("received_at").unique(["meter_id", "measured_at"], keep="last")
    gains = latest.sort("meter_id", "measured_at").with_columns(
        pl.col("energy_import_kwh").diff().over("meter_id").alias("gain")
    )
    ends = gains.filter(pl.col("source").str.starts_with("import-interval:"))["gain"].to_list()
    plain = gains.filter(pl.col("source").str.starts_with("import:"))["energy_import_kwh"].to_list()
    there = list(numbers_in(text))
    for value in [*ends, *plain]:
        assert value is not None
        near = 1e-6 * max(1.0, frame["energy_import_kwh"].max()) + 1e-5
        assert any(abs(value - one) <= near for one in there), (value, text)
    assert frame["measured_at"].max() is None or frame["measured_at"].max() <= NOW.replace(minute=9)


@FUZZ
@given(LINES, st.sampled_from(sorted(MAPPINGS)), st.integers(2, 60))
def test_lines_of_odd_cells(tmp_path, lines, name, cells):
    sign = MAPPINGS[name].separator
    heading = {"intervals": "t,kwh", "registers": "t,id,kwh", "columns": "t;a;b"}[name]
    text = "\n".join([heading, *(sign.join(line) for line in lines)])
    path = tmp_path / "file.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    whole = taken(path, name)
    if whole is not None:
        assert_nothing_invented(whole[0], text)
    pieces = taken(path, name, cells)
    assert (pieces is None) == (whole is None)
    if pieces is not None:
        assert_nothing_invented(pieces[0], text)
    if whole is not None and pieces is not None and name == "registers":
        key = ["meter_id", "measured_at", "energy_import_kwh"]
        assert pieces[0].select(key).sort(key).equals(whole[0].select(key).sort(key))


@FUZZ
@given(st.binary(max_size=300), st.sampled_from([".csv", ".parquet", ".xlsx", ".xls", ".ods"]))
def test_any_bytes(tmp_path, data, kind):
    path = tmp_path / f"file{kind}"
    path.write_bytes(data)
    taken(path, "intervals")


@FUZZ
@given(
    st.integers(0, 5000), st.binary(min_size=1, max_size=4), st.sampled_from(["xlsx", "parquet"])
)
def test_damaged_workbooks_and_parquet_files(tmp_path, place, damage, kind):
    good = tmp_path / f"good.{kind}"
    frame = pl.DataFrame({"t": ["2025-01-01 00:00", "2025-01-01 00:30"], "kwh": [1.5, 2.0]})
    if not good.exists():
        frame.write_excel(good) if kind == "xlsx" else frame.write_parquet(good)
    data = bytearray(good.read_bytes())
    at = place % len(data)
    data[at : at + len(damage)] = damage
    path = tmp_path / f"file.{kind}"
    path.write_bytes(data)
    found = taken(path, "intervals")
    assert found is None or found[0].height <= 4
