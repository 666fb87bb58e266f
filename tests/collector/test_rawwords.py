"""Kept register words: written per poll, read back to the very words, refused when they are not."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.rawwords import layouts, read, written
from collector.registers import Block

BLOCKS = (Block(3, 0, 2), Block(4, 1000, 1))


def test_words_are_written_as_an_inspector_reads_them():
    polls = [bytes.fromhex("09C4FFFF0001"), None]
    assert written(BLOCKS, polls).to_list() == ["3:0=09C4FFFF 4:1000=0001", None]


REQUEST = st.tuples(st.sampled_from([3, 4]), st.integers(0, 65000), st.integers(1, 20))


@given(st.lists(REQUEST, min_size=1, max_size=4), st.integers(1, 5), st.randoms())
def test_what_is_written_is_read_back(requests, polls, chance):
    blocks = tuple(Block(*one) for one in requests)
    width = sum(block.count for block in blocks)
    raw = [chance.randbytes(2 * width) for _ in range(polls)]
    texts = written(blocks, raw)
    assert layouts(texts).n_unique() == 1
    found, words = read(texts.to_list())
    assert found == blocks
    assert np.array_equal(
        words.astype(">u2"), np.frombuffer(b"".join(raw), ">u2").reshape(polls, -1)
    )


def test_plans_that_only_differ_in_length_are_told_apart():
    texts = [written((Block(3, 0, a), Block(3, 9, 4 - a)), [bytes(8)])[0] for a in (1, 2, 1)]
    kinds = layouts(pl.Series(texts))
    assert kinds[0] == kinds[2] != kinds[1]


@pytest.mark.parametrize(
    "text", ["", "3:0=", "3:0=12", "5:0=1234", "3:0=12345", "3:x=1234", "09C4"]
)
def test_what_is_no_register_words_is_refused(text):
    with pytest.raises(ValueError, match="not register words"):
        read([text])


def test_polls_of_different_requests_are_refused():
    with pytest.raises(ValueError, match="different requests"):
        read(["3:0=0001", "3:1=0001"])
