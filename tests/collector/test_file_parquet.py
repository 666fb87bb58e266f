"""Damaged Parquet files: refused in a sentence, whatever they do to the decoder."""

import base64
import os
import random
import zlib
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from collector.mappings import FileMapping
from collector.sources.files import FileError, read_file

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOW = FileMapping.model_validate(
    {
        "title": {"zh": "试", "en": "test"}, "layout": "one_meter", "meter": "m",
        "time": {
            "column": "t", "format": "%Y-%m-%d %H:%M", "zone": "Asia/Shanghai", "stamp": "start",
            "every_minutes": 30,
        },
        "values": [{"column": "kwh", "quantity": "energy_import_kwh", "gives": "interval"}],
    }
)  # fmt: skip
SOUND = zlib.decompress(base64.b85decode(
    r"c-nPR!EVz)5S?|R$O<_`RcGaua_}WqD?-_98#$>W!3H84(Sj2RAuf?z948f}MowrbU%?mf9o+c|)Gy!@IB;Ob4ds"
    r"A38qeFEdGltZbz~=PEMtVxF#!P7=`-4N9_Ti?ul1qU|L68K0&d|}3tg;Z1uFm!kz654RjjEFRO-qTD+KAvuYx?t0"
    r"~e^LkA3cee?6spP}r|WHwcgaB34xsD#|OpTQ3TwshkGa0#rlhcp!;Fr)z;zKBA-gN98=rR#*nCH60q?gyRO6s&r!"
    r"!(ohZ63cfgvyO)$d9o&ZC8*%QKFMm5IDGKQZF2Oc0;??YA^78fJ^6g^wKK6cyhisk9k_|a@FX{eiytx;t=hiOmlL"
    r"E)~enj>4n)4%T=NsOLQF9n@IC)B>?)+BthBvT98(EZdoh0Ab!JH{4T+S0Sw;}6at#6y26%E5zmWK~UtWP-PeaJR~"
    r"(P!2ha*5p@jV*XDqU=1*m;TO&tJNaA*!3@G`SL8g@XcO(Py0KkAJ5JcKTLbtoF@BenwT(6yC!KLn6Mk`UTk`uG&N"
    r"}$&yt?mRV{iXey8sOAfo^A4>lx)a{"
))  # fmt: skip
"""Four rows of `t` and `kwh` as Polars 2.1 writes them, uncompressed, without statistics."""


def taken(path: Path, data: bytes):
    """Read a file's bytes; the sentence it is refused with, or its readings."""
    path.write_bytes(data)
    try:
        return read_file(path, HOW, NOW)
    except FileError as error:
        told = str(error)
    assert len(told) > 40
    assert "\n" not in told
    return told


def test_the_sound_file(tmp_path):
    contents = taken(tmp_path / "file.parquet", SOUND)
    assert contents.frame["energy_import_kwh"].to_list() == [0.0, 1.5, 3.5]
    assert contents.bad["reason"].to_list() == ["duplicate_key"]


@pytest.mark.parametrize(
    ("place", "byte"),
    [
        pytest.param(65, SOUND[65] ^ 1, id="panic-in-two-threads-aborts"),
        pytest.param(117, 127, id="two-exabytes-abort"),
    ],
)
def test_a_byte_that_ends_the_decoder_does_not_end_the_import(tmp_path, place, byte):
    damaged = bytearray(SOUND)
    damaged[place] = byte
    assert "is no Parquet file that can be read" in taken(tmp_path / "file.parquet", damaged)


@pytest.mark.parametrize("data", [b"", b"t,kwh\n1,2\n", b"PAR1PAR1", SOUND[:-9]])
def test_what_is_no_parquet_file_is_told(tmp_path, data):
    assert "is no Parquet file" in taken(tmp_path / "file.parquet", data)


def test_flipped_bits_and_cut_ends(tmp_path):
    """DEMANDWATCH_FUZZ_EXAMPLES / 50 files, for each is tried in a process of its own."""
    dice = random.Random(os.environ.get("DEMANDWATCH_FUZZ_SEED", "20"))
    for _ in range(int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "150")) // 50):
        damaged = bytearray(SOUND)
        for _ in range(dice.choice((1, 1, 2, 8))):
            damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        if dice.random() < 0.2:
            del damaged[dice.randrange(len(damaged)) :]
        found = taken(tmp_path / "file.parquet", damaged)
        assert isinstance(found, str) or found.frame.height <= 8


@pytest.mark.parametrize(("unit", "zone"), [("ms", None), ("us", "UTC"), ("ns", None)])
def test_a_date_nobody_can_reckon_with_is_refused_alone(tmp_path, unit, zone):
    wild = 2**62
    stamps = pl.Series([1_735_689_600 * 10 ** {"ms": 3, "us": 6, "ns": 9}[unit], wild])
    frame = pl.DataFrame({"t": stamps.cast(pl.Datetime(unit, zone)), "kwh": [1.5, 2.0]})
    path = tmp_path / "file.parquet"
    frame.write_parquet(path)
    contents = read_file(path, HOW, NOW)
    assert contents.frame["energy_import_kwh"].to_list() == [0.0, 1.5]
    (bad,) = contents.bad.rows(named=True)
    if unit == "ns":
        assert (bad["reason"], bad["at"][:4]) == ("time_in_future", "2116")
    else:
        assert (bad["reason"], bad["at"]) == ("bad_time", str(wild))


def test_columns_of_other_types_are_told_with_their_types(tmp_path):
    path = tmp_path / "file.parquet"
    pl.DataFrame({"t": [[1, 2]], "kwh": [{"a": 1.0}]}).write_parquet(path)
    with pytest.raises(FileError, match=r"t List\(Int64\), kwh Struct"):
        read_file(path, HOW, NOW)
