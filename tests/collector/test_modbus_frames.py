"""Finding answers in what a line carries: torn, stray, noisy; no value is ever made up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.modbusframes import (
    Answer,
    Ask,
    answer_pdu,
    crc16,
    exception_pdu,
    find_tcp,
    rtu,
    split_rtu,
    tcp,
)

ASK = Ask(7, 3, 0, 4)
WORDS = bytes(range(8))
GOOD = answer_pdu(3, WORDS)


def test_the_check_is_that_of_the_specification():
    # Modbus over Serial Line V1.02, appendix B: 02 07 gives 41 12
    assert crc16(b"\x02\x07") == b"\x41\x12"
    assert rtu(1, bytes.fromhex("03006b0003")).hex() == "0103006b00037417"


def test_an_answer_is_found_by_its_number_whatever_precedes_it():
    frame = tcp(0x1234, 7, GOOD)
    late, torn = tcp(0x1233, 7, GOOD), tcp(0x1233, 7, GOOD)[5:]
    foreign, unnumbered = tcp(0x1234, 8, GOOD), tcp(0, 7, GOOD)
    for before in (b"", late, torn, late + torn, foreign, unnumbered, bytes(9)):
        used, answer = find_tcp(before + frame + b"more", 0x1234, ASK)
        assert answer == Answer(7, 3, WORDS)
        assert used == len(before + frame)
    assert find_tcp(late + foreign + unnumbered, 0x1234, ASK)[1] is None


def test_an_answer_in_pieces_is_waited_for():
    frame = tcp(300, 7, GOOD)
    heard = b""
    for piece in [frame[i : i + 1] for i in range(len(frame) - 1)]:
        heard += piece
        used, answer = find_tcp(heard, 300, ASK)
        assert answer is None
        heard = heard[used:]
    assert find_tcp(heard + frame[-1:], 300, ASK)[1] == Answer(7, 3, WORDS)


def test_an_answer_that_contradicts_itself_states_no_words():
    assert find_tcp(tcp(9, 7, bytes([3, 200]) + WORDS), 9, ASK)[1] == Answer(7, 3, b"")
    assert find_tcp(tcp(9, 7, exception_pdu(3, 2)), 9, ASK)[1] == Answer(7, 3, b"", 2)


NOISE = {
    "nothing": b"",
    "broadcast of another master": rtu(0, bytes([6, 0, 42, 0, 1])),
    "request of another master": rtu(7, bytes([3, 0, 0, 0, 4])),
    "request that looks like the head of an answer": rtu(7, bytes([3, 4, 0, 0, 4])),
    "torn answer": rtu(7, GOOD)[:6],
    "answer with a wrong check": rtu(7, GOOD)[:-1] + b"\0",
    "echo and zeros": rtu(7, bytes([3, 0, 0, 0, 4])) + bytes(7),
    "a long answer that never ends": bytes([7, 3, 250]),
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
def test_neuron_2148_stray_frames_do_not_desynchronise_rtu(noise):
    used, answers = split_rtu(noise + rtu(7, GOOD))
    assert answers == [Answer(7, 3, WORDS)]
    assert used == len(noise) + len(rtu(7, GOOD))


def test_late_answers_of_others_are_told_apart_not_passed_over():
    heard = rtu(8, GOOD) + rtu(7, exception_pdu(4, 2)) + rtu(7, GOOD)
    assert split_rtu(heard)[1] == [Answer(8, 3, WORDS), Answer(7, 4, b"", 2), Answer(7, 3, WORDS)]


def test_rtu_in_pieces_keeps_what_may_still_be_an_answer_and_nothing_older():
    heard, found = b"", []
    for byte in bytes(300) + rtu(7, GOOD):
        heard += bytes([byte])
        used, answers = split_rtu(heard)
        heard = heard[used:]
        found += answers
        assert len(heard) <= 256
    assert found == [Answer(7, 3, WORDS)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.binary(max_size=40), st.just(rtu(7, GOOD)[:9]), st.just(rtu(9, GOOD)))),
    st.integers(0, 65535),
)
def test_noise_makes_no_answer_and_is_bounded(pieces, number):
    """Whatever comes, an answer is reported only for a frame that is there."""
    heard, numbered = b"", b""
    for piece in pieces:
        heard, numbered = heard + piece, numbered + piece
        used, answers = split_rtu(heard)
        for one in answers:
            pdu = exception_pdu(one.function, one.code) if one.code else None
            assert rtu(one.unit, pdu or answer_pdu(one.function, one.words)) in heard
        heard = heard[used:]
        assert len(heard) <= 256
        used, answer = find_tcp(numbered, number, ASK)
        assert answer is None or number.to_bytes(2) + b"\0\0" in numbered
        assert used or len(numbered) < 4 + len(piece) or answer is None
        numbered = numbered[used:]
