"""Every register type, in every order of words and bytes: what was packed is unpacked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.profiles import Profile, Register
from collector.registers import NO_SCALE, decode, encode, plan
from collector.words import WORDS, modulus_of, pack, unpack

ORDER = st.sampled_from(["big", "little"])
WHOLE = sorted(kind for kind in WORDS if kind[0] != "f")
LIMITS = {
    "u": lambda size: (0, 2 ** min(16 * size, 53) - 1),
    "s": lambda size: (-(2 ** (min(16 * size, 53) - 1)), 2 ** (min(16 * size, 53) - 1) - 1),
    "b": lambda size: (0, 10 ** min(4 * size, 15) - 1),
    "m": lambda size: (0, 10 ** min(4 * size, 15) - 1),
}
"""Whole numbers that a float holds exactly."""


def read(kind, words, word_order="big", byte_order="big"):
    return unpack(kind, np.array([words], dtype=np.uint16), word_order, byte_order)


@given(st.sampled_from(WHOLE), ORDER, ORDER, st.data())
def test_whole_numbers_come_back(kind, word_order, byte_order, data):
    number = data.draw(st.integers(*LIMITS[kind[0]](WORDS[kind])))
    words = pack(kind, number, word_order, byte_order)
    assert len(words) == WORDS[kind]
    raw = read(kind, words, word_order, byte_order)
    assert raw.number[0] == number
    assert raw.bad is None or not raw.bad[0]


@given(st.floats(width=32, allow_nan=False), st.sampled_from(["f32", "f64"]), ORDER, ORDER)
def test_floats_come_back(number, kind, word_order, byte_order):
    words = pack(kind, number, word_order, byte_order)
    assert read(kind, words, word_order, byte_order).number[0] == number


@pytest.mark.parametrize(
    ("kind", "words", "number"),
    [
        ("u16", [0xFFFF], 65535),
        ("s16", [0xFFFF], -1),
        ("u48", [0x0001, 0x0002, 0x0003], 0x0001_0002_0003),
        ("s48", [0xFFFF, 0xFFFF, 0xFFFE], -2),
        ("s48", [0x7FFF, 0xFFFF, 0xFFFF], 2**47 - 1),
        ("s64", [0xFFFF, 0xFFFF, 0xFFFF, 0xFF00], -256),
        ("f32", [0x4366, 0x3333], pytest.approx(230.2, rel=1e-6)),
        ("f64", [0x406C, 0xC666, 0x6666, 0x6666], 230.2),
        ("bcd16", [0x1234], 1234),
        ("bcd48", [0x0012, 0x3456, 0x7890], 1234567890),
        ("mod10x2", [1234, 5678], 12345678),
        ("mod10x4", [0, 1, 2, 3], 1_0002_0003),
    ],
)
def test_words_written_by_hand(kind, words, number):
    assert read(kind, words).number[0] == number
    assert read(kind, words[::-1], "little").number[0] == number
    swapped = [(word >> 8) | (word & 0xFF) << 8 for word in words]
    assert read(kind, swapped, "big", "little").number[0] == number
    assert read(kind, swapped[::-1], "little", "little").number[0] == number


@given(st.sampled_from(["bcd32", "bcd64", "mod10x2", "mod10x4"]), st.data())
def test_words_that_are_no_digits_are_bad_and_only_those(kind, data):
    words = data.draw(st.lists(st.integers(0, 65535), min_size=WORDS[kind], max_size=WORDS[kind]))
    if kind[0] == "b":
        bad = any(not f"{word:04X}".isdigit() for word in words)
    else:
        bad = any(word > 9999 for word in words)
    assert read(kind, words).bad[0] == bad


def one(kind, **more):
    made = Register(quantity="energy_import_kwh", address=0, type=kind, **more)
    return Profile(id="p", title="p", reference="test", registers=(made,))


@pytest.mark.parametrize(("kind", "words"), [("bcd32", [0x1234, 0x567A]), ("mod10x2", [1, 10000])])
def test_what_is_no_digit_becomes_a_doubt_not_a_number(kind, words):
    rows = np.array([words, [0, 7]], dtype=np.uint16)
    values, doubts = decode(plan(one(kind, scale=0.01)), rows)
    assert np.isnan(values["energy_import_kwh"]).tolist() == [True, False]
    assert values["energy_import_kwh"][1] == pytest.approx(0.07)
    assert [(d.row, d.reason, d.value) for d in doubts] == [
        (0, "bad_digits", words[0] * 65536 + words[1])
    ]


@pytest.mark.parametrize(
    ("more", "rollover"),
    [
        ({"kind": "u32", "scale": 0.01}, 42_949_672.96),
        ({"kind": "bcd32", "scale": 0.01}, 1_000_000.0),
        ({"kind": "mod10x3"}, 1e12),
        ({"kind": "u32", "modulus": 1e6}, 1e6),
        ({"kind": "s32"}, None),
        ({"kind": "f32"}, None),
        ({"kind": "u32", "scale_register": 2}, None),
    ],
)
def test_the_width_says_where_a_counter_starts_again_unless_the_maker_does(more, rollover):
    (register,) = one(**more).registers
    assert register.rollover == (None if rollover is None else pytest.approx(rollover))
    assert modulus_of("u64") == 2.0**64


def scaled(kind="s16", **more):
    rows = (
        {"quantity": "power_kw", "address": 10, "type": kind, "scale": 0.001},
        {"quantity": "power_a_kw", "address": 11, "type": kind, "scale": 0.001},
    )
    made = tuple(Register(**row, scale_register=14, **more) for row in rows)
    return Profile(id="p", title="p", reference="test", registers=made)


def test_a_scale_register_is_read_along_and_applied():
    layout = plan(scaled())
    assert [(b.start, b.count) for b in layout.blocks] == [(10, 5)]
    polls = [[1234, 5, 0, 0, 1], [1234, 5, 0, 0, 0xFFFF], [1234, 5, 0, 0, NO_SCALE],
             [1234, 5, 0, 0, 11]]  # fmt: skip
    values, doubts = decode(layout, np.array(polls, dtype=np.uint16))
    assert values["power_kw"][:2].tolist() == pytest.approx([12.34, 0.1234])
    assert np.isnan(values["power_kw"][2:]).all()
    assert [(d.row, d.quantity, d.reason) for d in doubts] == [
        (3, "power_kw", "not_finite"),
        (3, "power_a_kw", "not_finite"),
    ]


@given(st.floats(-4e6, 4e6), st.floats(-4e6, 4e6))
def test_values_with_a_scale_register_come_back(a, b):
    layout = plan(scaled())
    image = encode(layout.profile, {"power_kw": a, "power_a_kw": b})
    words = np.array([[image.get((3, 10 + i), 0) for i in range(5)]], dtype=np.uint16)
    values, doubts = decode(layout, words)
    largest = max(abs(a), abs(b))
    assert not doubts
    assert values["power_kw"][0] == pytest.approx(a, abs=largest / 2000 + 1e-13)
    assert values["power_a_kw"][0] == pytest.approx(b, abs=largest / 2000 + 1e-13)


def test_values_nobody_gives_show_no_scale():
    assert encode(scaled(), {})[3, 14] == NO_SCALE


def test_parts_of_a_total_are_added_and_one_that_states_nothing_silences_the_sum():
    (register,) = one("f64", plus=(4,), sentinels=(0x7FF8000000000000,)).registers
    profile = one("f64").model_copy(update={"registers": (register,)})
    layout = plan(profile)
    assert [(b.start, b.count) for b in layout.blocks] == [(0, 8)]
    half, nothing = pack("f64", 0.5), [0x7FF8, 0, 0, 0]
    endless = pack("f64", float("inf")), pack("f64", float("-inf"))
    rows = [half + half, half + nothing, nothing + half, endless[0] + endless[1]]
    values, doubts = decode(layout, np.array(rows, dtype=np.uint16))
    assert values["energy_import_kwh"][0] == 1.0
    assert np.isnan(values["energy_import_kwh"][1:]).all()
    assert [(d.row, d.reason) for d in doubts] == [(3, "not_finite")]
