"""What a meter says about itself, and what it does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.identity import block_of, identify
from collector.profiles import Identity, Profile, Register
from collector.registers import Block


def profile(**more):
    register = Register(quantity="power_kw", address=0, type="f32")
    return Profile(id="p", title="p", reference="test", registers=(register,), **more)


def one(**more):
    return Identity(**({"what": "model", "address": 100} | more))


def said(entry, words, **more):
    found = identify(profile(identity=(entry,), **more), entry, words)
    return None if found is None else (found.value, found.expected)


def test_it_is_read_by_its_own_function_and_length():
    assert block_of(profile(function=4), one(type="ascii", words=8)) == Block(4, 100, 8)
    assert block_of(profile(function=4), one(type="u32", function=3)) == Block(3, 100, 2)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ([0x4232, 0x3320], "B23"),  # a blank at the end is filling
        ([0x4232, 0x0033], "B2"),  # and so is what follows a NUL
        ([0x0000, 0x4232], None),
        ([0x2020, 0x2020], None),
        ([0x42E9, 0x3320], None),  # not ASCII: not this meter, or not a text
    ],
)
def test_text_ends_where_filling_begins(words, value):
    assert said(one(type="ascii", words=2), words) == (None if value is None else (value, None))


def test_swapped_bytes_are_turned():
    assert said(one(type="ascii", words=2, byte_order="little"), [0x3242, 0x2033]) == ("B23", None)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"prefix": "B2"}, True),
        ({"prefix": "B24"}, False),
        ({"expect": ("B23",)}, True),
        ({"expect": ("B2",)}, False),
        ({}, None),
    ],
)
def test_the_profile_says_what_it_expects(more, expected):
    assert said(one(type="ascii", words=2, **more), [0x4232, 0x3320]) == ("B23", expected)


def test_numbers_are_told_in_decimal():
    assert said(one(type="u16", expect=(1648, 1651)), [0x0673]) == ("1651", True)
    assert said(one(type="u16", expect=(1648,)), [0x0673]) == ("1651", False)
    assert said(one(type="bcd32"), [0x1234, 0x5678]) == ("12345678", None)
    assert said(one(type="bcd32"), [0x1234, 0x567F]) is None
    assert said(one(type="f32"), [0x7FC0, 0]) is None
    assert said(one(type="f32"), [0x3FC0, 0]) == ("1.5", None)
    assert said(one(type="u32", word_order="little"), [0x5678, 0x1234]) == ("305419896", None)


@given(st.lists(st.integers(0, 65535), min_size=8, max_size=8))
def test_any_words_are_a_text_of_printable_characters_or_nothing(words):
    found = identify(profile(), one(type="ascii", words=8), words)
    assert found is None or (found.value and found.value.isprintable() and found.value.isascii())
