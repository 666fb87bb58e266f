"""Any bytes, any text, cut into any pieces: a named fault or readings, and no value invented.

DEMANDWATCH_FUZZ_EXAMPLES sets how many inputs are tried; a few seconds' worth by default. A million
of CSV, other ones for each DEMANDWATCH_FUZZ_SEED, take about three hours of one core:

    DEMANDWATCH_FUZZ_EXAMPLES=1000000 POLARS_MAX_THREADS=1 TMPDIR=/dev/shm \
        pytest --timeout 0 tests/collector/test_file_fuzz.py -k csv_bytes
"""

import os
import random
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
    max_examples=min(int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "150")) // 3 or 1, 20_000),
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
KINDS["gbk"] = KINDS["registers"] | {"encoding": "gb18030"}
KINDS["wide"] = KINDS["columns"] | {"encoding": "utf-16"}
HEADINGS = {
    "intervals": "t,kwh", "registers": "t,id,kwh", "gbk": "t,id,kwh", "columns": "t;a;b",
    "wide": "t;a;b",
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
@given(LINES, st.sampled_from(["columns", "intervals", "registers"]), st.integers(2, 60))
def test_lines_of_odd_cells(tmp_path, lines, name, cells):
    sign = MAPPINGS[name].separator
    text = "\n".join([HEADINGS[name], *(sign.join(line) for line in lines)])
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
@given(st.integers(0, 5000), st.binary(min_size=1, max_size=4))
def test_damaged_workbooks(tmp_path, place, damage):
    good = tmp_path / "good.xlsx"
    frame = pl.DataFrame({"t": ["2025-01-01 00:00", "2025-01-01 00:30"], "kwh": [1.5, 2.0]})
    if not good.exists():
        frame.write_excel(good)
    data = bytearray(good.read_bytes())
    at = place % len(data)
    data[at : at + len(damage)] = damage
    path = tmp_path / "file.xlsx"
    path.write_bytes(data)
    found = taken(path, "intervals")
    assert found is None or found[0].height <= 4


ODD = (
    "", '"', '""', '"a\nb"', "24:00", "nan", "-inf", "1e308", "١٢", "\x00", "\ufeff", "1,5",
    "1.5e3", "+7", ".5", "5.", "-0", "1 234,5", "12 34", "=1+1", "\r", "\u2028", "é", "电",
    "2025-10-26 24:00",
)  # fmt: skip
BYTES = b'",;.\r\n\x00\xff\xfe\xef\xbb\xbf\x80\xc3\xa9 0123456789-:eE+'


def cell(dice: random.Random) -> str:
    kind = dice.random()
    if kind < 0.4:
        month, day = dice.choice(((10, 26), (3, 30), (1 + dice.randrange(13), dice.randrange(32))))
        return f"2025-{month:02}-{day:02} {dice.randrange(26):02}:{dice.choice((0, 30, 61)):02}"
    if kind < 0.8:
        return dice.choice((str(dice.randrange(99_999)), f"{dice.random() * 1000:.3f}", "m", "a"))
    return dice.choice(ODD)


def csv_bytes(dice: random.Random) -> tuple[str, bytes]:
    """Bytes that begin as a table of one of the mappings, and are then damaged."""
    name = dice.choice(sorted(MAPPINGS))
    if dice.random() < 0.08:
        return name, dice.randbytes(dice.randrange(60))
    sign, width = MAPPINGS[name].separator, HEADINGS[name].count(MAPPINGS[name].separator) + 1
    lines = [
        sign.join(cell(dice) for _ in range(width if dice.random() < 0.9 else dice.randrange(5)))
        for _ in range(dice.randrange(10))
    ]
    text = dice.choice(("\n", "\n", "\r\n")).join([HEADINGS[name], *lines])
    data = bytearray(text.encode(MAPPINGS[name].encoding))
    for _ in range(dice.choice((0, 0, 1, 1, 2, 4, 12))):
        at, far = dice.randrange(len(data) + 1), dice.randrange(8)
        part = dice.choice(
            (bytes([dice.choice(BYTES)]), dice.randbytes(far), data[at : at + 3 * far], b"")
        )
        data[at : at + dice.randrange(4)] = part
    return name, bytes(data)


def read_and_judge(path: Path, name: str, dice: random.Random) -> bool:
    """Read a file whole, and sometimes in pieces; tell whether it was a table."""
    whole = taken(path, name)
    if whole is not None:
        text = path.read_bytes().decode(MAPPINGS[name].encoding).removeprefix("\ufeff")
        assert_nothing_invented(whole[0], text)
    if dice.random() < 0.1:
        pieces = taken(path, name, dice.randrange(2, 60))
        assert (pieces is None) == (whole is None)
        if whole is not None and pieces is not None and '"' not in text:
            assert pieces[1].equals(whole[1])
            key = ["meter_id", "measured_at"]
            ends = [
                one.filter(~pl.col("source").str.starts_with("import-start:")).select(key).sort(key)
                for one in (whole[0], pieces[0])
            ]
            assert ends[0].equals(ends[1])
    return whole is not None


def test_csv_bytes(tmp_path):
    """The long run: DEMANDWATCH_FUZZ_EXAMPLES inputs made of DEMANDWATCH_FUZZ_SEED."""
    path, seed = tmp_path / "file.csv", os.environ.get("DEMANDWATCH_FUZZ_SEED", "20")
    tables, count = 0, int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "300"))
    for number in range(count):
        dice = random.Random(f"{seed}:{number}")
        name, data = csv_bytes(dice)
        path.write_bytes(data)
        try:
            tables += read_and_judge(path, name, dice)
        except (Exception, pl.exceptions.PanicException) as error:
            raise AssertionError(f"input {seed}:{number}, {name}: {data!r}") from error
    assert tables > count / 3
