"""Damaged lines of a CSV export in great numbers: each is read as it stands, or refused.

An input is a line; DEMANDWATCH_FUZZ_EXAMPLES=1000000 makes a long run of it, DEMANDWATCH_FUZZ_SEED
another one. `test_file_fuzz.py` does the same to whole files.
"""

import os
import random
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from collector.mappings import FileMapping
from collector.sources.fileadvice import ADVICE
from collector.sources.files import reader_of

LINES = int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "8000"))
AT_ONCE = 4000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")
MAPPING = FileMapping.model_validate({
    "title": {"zh": "试", "en": "test"}, "layout": "meter_a_row", "meter_column": "id",
    "time": {"column": "t", "format": "%Y-%m-%d %H:%M", "zone": "Asia/Shanghai"},
    "values": [{"column": "kwh", "quantity": "energy_import_kwh"}],
})  # fmt: skip
PIECES = ("", "0", "-", "9" * 25, "1e999", "nan", "inf", " ", "\t", "é", "١", "\x00", ";", ".", ":",
          "24:00", "02-30", "+", "e5", "1_0", "0x1f", "，", "１")  # fmt: skip
STRICT = re.compile(r"\s*(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d)\s*", re.ASCII)
LENIENT = re.compile(
    r"\s*\+?(\d{4})\s*-\s*(\d{1,2})\s*-\s*(\d{1,2})\s*(\d{1,2})\s*:\s*(\d{1,2})\s*", re.ASCII
)
"""As people type a time in that order: blanks and leading zeros as they please."""
SOUND = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*", re.ASCII)


def damaged(dice: random.Random, number: int) -> str:
    local = datetime(2025, 1, 1, tzinfo=ZONE) + timedelta(minutes=number)
    text = f"{local:%Y-%m-%d %H:%M},m{number},{dice.randrange(10**7) / 100:.2f}"
    for _ in range(dice.choice((0, 1, 1, 2))):
        place = dice.randrange(len(text) + 1)
        text = text[:place] + dice.choice(PIECES) + text[place + dice.randrange(3) :]
    return text


def told(line: str, stamp: re.Pattern[str]) -> tuple[str, datetime, float] | None:
    """Return what a line says, read the slow and obvious way; None: nothing."""
    cells = line.split(",")
    if len(cells) < 3 or "".join(cells[3:]).strip():
        return None
    number, parts = SOUND.fullmatch(cells[2]), stamp.fullmatch(cells[0])
    if number is None or parts is None:
        return None
    year, month, day, hour, minute = map(int, parts.groups())
    over = timedelta(days=(hour, minute) == (24, 0))
    try:
        local = datetime(year, month, day, 0 if over else hour, minute, tzinfo=ZONE) + over
    except ValueError:
        return None
    return cells[1].strip(), local.astimezone(UTC), float(number[1])


def test_each_reading_is_what_its_line_says_and_nothing_sound_is_refused(tmp_path):
    dice = random.Random(os.environ.get("DEMANDWATCH_FUZZ_SEED", "1"))
    path = tmp_path / "file.csv"
    taken = refused = 0
    for _ in range(max(LINES // AT_ONCE, 1)):
        lines = [damaged(dice, n) for n in range(AT_ONCE)]
        path.write_bytes("\n".join(["t,id,kwh", *lines]).encode())
        zones = {f"m{n}": "Asia/Shanghai" for n in range(AT_ONCE)}
        reader = reader_of(path, MAPPING, NOW, zones)
        frame = pl.concat(list(reader.frames()))
        key = ["meter_id", "measured_at", "energy_import_kwh"]
        says = {told(line, LENIENT) for line in lines}
        for meter, at, kwh in frame.select(key).iter_rows():
            assert (meter, at, kwh) in says, (meter, at, kwh)
        counts = reader.sieve.counts
        assert set(counts) <= set(ADVICE)
        lost = sound_ones(lines, zones) - {row[:2] for row in frame.select(key).iter_rows()}
        assert not lost
        taken, refused = taken + frame.height, refused + sum(counts.values())
    assert taken > LINES / 4
    assert refused > LINES / 10


def sound_ones(lines, zones):
    """Return the keys of what nobody may refuse: a known meter, a plausible register, in time."""
    return {
        (meter, at)
        for meter, at, kwh in filter(None, (told(line, STRICT) for line in lines))
        if meter in zones and 0 <= kwh < 1e9 and datetime(2000, 1, 2, tzinfo=UTC) < at < NOW
    }
