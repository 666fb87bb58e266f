"""DL/T 645-2007: frames that real meters and foreign programs sent, decoded and made again.

`wu`, `legend`: worked examples that circulate with the standard (meter 000000000161). `18031226`:
a single-phase meter read by a microcontroller, its missing phases zero. `2010`: a concentrator's
test bench, missing phases FFH. `7921` and `0655`: captures of two more meters, errors among them.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from collector.dlt645.bcd import NotBcdError, number, packed
from collector.dlt645.exchange import Exchange, RefusedError
from collector.dlt645.frames import (
    Frame,
    address_of,
    digits_of,
    encode,
    errors_of,
    scan,
)
from collector.dlt645.items import ITEMS, decode
from collector.dlt645.items import encode as encode_item
from collector.dlt645.meterclock import clock_bytes, minute, minute_bytes, offset_s

SHANGHAI = ZoneInfo("Asia/Shanghai")

RATES = "5C 34 33 33 95 33 33 33 93 33 33 33 36 33 33 33 35 33 33 33"

ANSWERS = {
    "legend import total": (
        "68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8A 16",
        "energy_import_total", {"energy_import_kwh": 0.26},
    ),
    "legend export total": (
        "68 61 01 00 00 00 00 68 91 08 33 33 35 33 59 34 33 33 8C 16",
        "energy_export_total", {"energy_export_kwh": 1.26},
    ),
    "wu voltage A": (
        "68 61 01 00 00 00 00 68 91 06 33 34 34 35 34 43 10 16",
        "voltage_a", {"voltage_a_v": 100.1},
    ),
    "wu current A": (
        "68 61 01 00 00 00 00 68 91 07 33 34 35 35 CC 7C 33 16 16",
        "current_a", {"current_a_a": 4.999},
    ),
    "wu power": (
        "68 61 01 00 00 00 00 68 91 07 33 33 36 35 45 58 33 6B 16",
        "power_total", {"power_kw": 0.2512},
    ),
    "wu reactive power": (
        "68 61 01 00 00 00 00 68 91 07 33 33 37 35 64 76 33 A9 16",
        "reactive_power", {"reactive_power_kvar": 0.4331},
    ),
    "wu apparent power": (
        "68 61 01 00 00 00 00 68 91 07 33 33 38 35 39 83 33 8C 16",
        "apparent_power", {"apparent_power_kva": 0.5006},
    ),
    "wu power factor": (
        "68 61 01 00 00 00 00 68 91 06 33 33 39 35 34 38 09 16",
        "power_factor", {"power_factor": 0.501},
    ),
    "18031226 voltages": (
        "FE FE FE FE 68 94 41 03 26 12 18 68 91 0A 33 32 34 35 36 56 33 33 33 33 B9 16",
        "voltage", {"voltage_a_v": 230.3, "voltage_b_v": 0.0, "voltage_c_v": 0.0},
    ),
    "18031226 currents": (
        "FE FE FE FE 68 94 41 03 26 12 18 68 91 0D 33 32 35 35 BB 34 33 33 33 33 33 33 33 B9 16",
        "current", {"current_a_a": 0.188, "current_b_a": 0.0, "current_c_a": 0.0},
    ),
    "2010 energy by rate": (
        f"68 12 00 00 00 10 20 68 91 18 33 32 34 33 {RATES} 74 16",
        "energy_import",
        {
            "energy_import_kwh": 1.29, "energy_import_t1_kwh": 0.62, "energy_import_t2_kwh": 0.6,
            "energy_import_t3_kwh": 0.03, "energy_import_t4_kwh": 0.02,
        },
    ),
    "2010 voltages, two phases absent": (
        "68 12 00 00 00 10 20 68 91 0A 33 32 34 35 89 55 32 32 32 32 21 16",
        "voltage", {"voltage_a_v": 225.6},
    ),
    "0655 import total": (
        "FE FE FE FE 68 18 55 60 06 00 00 68 91 08 33 33 34 33 C6 63 35 33 9A 16",
        "energy_import_total", {"energy_import_kwh": 230.93},
    ),
}  # fmt: skip

REQUESTS = {
    "68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16": ("000000000161", "energy_import_total"),
    "68 61 01 00 00 00 00 68 11 04 33 34 34 35 17 16": ("000000000161", "voltage_a"),
    "68 12 00 00 00 10 20 68 11 04 33 32 34 33 F3 16": ("201000000012", "energy_import"),
    "68 12 00 00 00 10 20 68 11 04 33 32 34 35 F5 16": ("201000000012", "voltage"),
    "FE FE FE FE 68 12 90 78 56 34 12 68 11 04 33 33 34 33 68 16": (
        "123456789012", "energy_import_total",
    ),
}  # fmt: skip


def only(text):
    """Return the one frame of a text of hexadecimal bytes."""
    frames, rest = scan(bytes.fromhex(text))
    assert (len(frames), rest) == (1, b"")
    return frames[0]


@pytest.mark.parametrize("case", ANSWERS)
def test_answers_of_real_meters(case):
    text, name, expected = ANSWERS[case]
    frame, item = only(text), ITEMS[name]
    assert frame.control == 0x91
    exchange = Exchange(frame.address, item.dis[0])
    payload = exchange.take(frame)
    values, doubts = decode(item, [payload], SHANGHAI)
    assert (values, doubts) == (pytest.approx(expected), [])
    wake = text.count("FE ")
    assert encode(frame, wake) == bytes.fromhex(text)
    assert encode_item(item, item.dis[0], values, SHANGHAI) == payload


@pytest.mark.parametrize("text", REQUESTS)
def test_requests_of_real_masters(text):
    digits, name = REQUESTS[text]
    request = Exchange(address_of(digits), ITEMS[name].dis[0]).request()
    assert encode(request, wake=text.count("FE ")) == bytes.fromhex(text)
    assert only(text) == request
    assert not request.answers


def test_the_address_of_the_only_meter_on_the_line():
    asked = encode(Frame(b"\xaa" * 6, 0x13))
    assert asked == bytes.fromhex("68 AA AA AA AA AA AA 68 13 00 DF 16")
    answer = only("FE 68 12 90 78 56 34 12 68 93 06 45 C3 AB 89 67 45 07 16")
    assert digits_of(answer.data) == digits_of(answer.address) == "123456789012"


@pytest.mark.parametrize(
    ("text", "said", "missing"),
    [
        ("FE FE FE FE 68 60 07 92 04 00 91 68 D1 01 37 67 16", "04H: wrong password", False),
        ("FE FE FE FE 68 18 55 60 06 00 00 68 D1 01 35 AA 16", "02H: no such data", True),
        ("68 12 90 78 56 34 12 68 D1 01 35 8D 16", "02H: no such data", True),
    ],
)
def test_error_words_are_told_in_words(text, said, missing):
    frame = only(text)
    with pytest.raises(RefusedError, match=f"00010000: error word {said}") as refused:
        Exchange(frame.address, 0x00010000).take(frame)
    assert refused.value.missing is missing


def test_every_bit_of_the_error_word_has_its_words():
    assert errors_of(0x41) == "error word 41H: other error, too many rates"
    assert errors_of(0) == "error word 00H: no bit is set"


def test_the_clock_of_a_real_meter():
    date = only("68 12 00 00 00 10 20 68 91 08 34 34 33 37 34 44 34 49 72 16").data[4:]
    time = only("68 12 00 00 00 10 20 68 91 07 35 34 33 37 88 86 54 DF 16").data[4:]
    true = datetime(2016, 1, 11, 13, 53, 50, tzinfo=UTC)  # 21:53:50 in Shanghai
    assert offset_s(date, time, round(true.timestamp() * 1e6), SHANGHAI) == pytest.approx(5.5)
    shown = clock_bytes(datetime(2016, 1, 11, 13, 53, 55, tzinfo=UTC), SHANGHAI)
    assert shown == {0x04000101: date, 0x04000102: time}


def test_a_demand_and_its_time():
    # 2.4512 kW at 2025-09-16 14:45, as the standard lays it out: number, then minute to year
    values, doubts = decode(
        ITEMS["demand_register"], [bytes.fromhex("12 45 02 45 14 16 09 25")], SHANGHAI
    )
    assert not doubts
    assert values["demand_register_kw"] == pytest.approx(2.4512)
    at = datetime.fromtimestamp(values["demand_register_at_s"], UTC)
    assert at == datetime(2025, 9, 16, 6, 45, tzinfo=UTC)
    assert minute_bytes(at, SHANGHAI) == bytes.fromhex("45 14 16 09 25")
    assert minute(bytes(5), SHANGHAI) is None


def test_the_sign_is_the_top_bit():
    assert number(bytes.fromhex("01 25 80"), 4, signed=True) == -0.2501
    assert packed(-0.2501, 3, 4, signed=True) == bytes.fromhex("01 25 80")
    assert number(bytes.fromhex("01 25 80"), 4) == 80.2501  # an unsigned register may show an 8
    assert number(b"\xff\xff\xff", 4, signed=True) is None
    assert packed(-0.00001, 3, 4, signed=True) == bytes(3)  # no negative zero


@pytest.mark.parametrize("raw", ["0A 00", "A0 00", "FF 0F", "00 FF"])
def test_digits_above_nine_are_no_number(raw):
    with pytest.raises(NotBcdError, match="digit above 9"):
        number(bytes.fromhex(raw), 1)


def test_an_impossible_time_is_no_time():
    for raw in ("61 10 01 01 26", "00 24 01 01 26", "00 00 31 02 26", "00 00 00 00 26"):
        with pytest.raises(NotBcdError, match="is no time"):
            minute(bytes.fromhex(raw), SHANGHAI)
