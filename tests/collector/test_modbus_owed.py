"""Whose answer is it? The book of owed answers against meters that answer late, or never."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.modbusframes import Answer, Ask
from collector.sources.owed import Owed

A, B, C = Ask(1, 3, 0, 10, 1), Ask(1, 3, 50, 10, 2), Ask(1, 3, 100, 4, 3)


def words(ask):
    """An answer that says which request it is to."""
    return Answer(ask.unit, ask.function, ask.start.to_bytes(2) * ask.count)


def test_an_answer_in_time_is_the_requests():
    owed = Owed()
    owed.sent(A)
    assert owed.heard(words(A))
    assert not owed.doubtful(B)


def test_after_a_timeout_a_block_of_the_same_shape_is_in_doubt_another_is_not():
    owed = Owed()
    owed.sent(A)
    owed.over()
    assert owed.doubtful(B)
    assert not owed.doubtful(C)
    assert not owed.doubtful(Ask(2, 3, 50, 10))


def test_an_answer_that_may_be_an_older_requests_is_not_believed():
    owed = Owed()
    owed.sent(A)
    owed.sent(B)
    assert not owed.heard(words(A))
    assert owed.heard(words(B))


def test_any_later_answer_clears_what_came_before():
    owed = Owed()
    owed.sent(A)
    probe = owed.probe(B)
    owed.sent(probe)
    assert not owed.heard(words(A))
    assert owed.heard(words(probe))
    assert not owed.doubtful(B)


def test_a_late_answer_that_comes_while_another_meter_is_asked_clears_the_doubt():
    owed = Owed()
    owed.sent(A)
    owed.sent(Ask(2, 3, 0, 10))
    assert not owed.heard(words(A))
    assert not owed.doubtful(B)


def test_whichever_repetition_is_answered_the_value_is_of_that_block_but_one_stays_owed():
    owed = Owed()
    owed.sent(A)
    owed.sent(A)
    assert owed.heard(words(A))
    assert owed.doubtful(B)


def test_an_exception_that_may_be_an_older_requests_is_not_believed():
    owed = Owed()
    owed.sent(A)
    owed.sent(C)
    assert not owed.heard(Answer(1, 3, b"", 2))
    assert owed.heard(Answer(1, 3, b"", 2))


def test_an_answer_nobody_asked_for_is_counted():
    owed = Owed()
    owed.sent(A)
    assert owed.heard(words(A))
    assert not owed.heard(words(A))
    assert owed.strays[1] == 1


@pytest.mark.parametrize("count", [1, 2, 3, 10, 125])
def test_a_probe_is_told_from_everything_owed(count):
    owed = Owed()
    ask = Ask(1, 3, 0, count)
    owed.sent(ask)
    for _ in range(8):
        probe = owed.probe(ask)
        assert not owed.doubtful(probe)
        assert 1 <= probe.count <= 125
        owed.sent(probe)


BLOCKS = [Ask(1, 3, 0, 10), Ask(1, 3, 50, 10), Ask(1, 3, 100, 4), Ask(1, 4, 0, 10), Ask(1, 3, 7, 1)]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_value_ever_moves_to_another_block(data):
    """A meter answers in order, leaves some requests out, delays others for as long as it likes.

    The reader does what the link does: it clears doubts by probes, and repeats.
    """
    owed, line = Owed(), []

    def ask(what):
        """Send; the meter answers some of what lies on the line; return what is believed."""
        owed.sent(what)
        line.append(what)
        found = None
        for _ in range(data.draw(st.integers(0, len(line)))):
            one = line.pop(0)
            fate = data.draw(st.sampled_from(["answer", "answer", "skip", "exception"]))
            if fate == "skip":
                continue
            said = words(one) if fate == "answer" else Answer(one.unit, one.function, b"", 2)
            if owed.heard(said) and not said.code:
                assert said.words == words(what).words
                found = said
        owed.over()
        return found

    for turn in range(data.draw(st.integers(1, 12))):
        block = data.draw(st.sampled_from(BLOCKS))
        wanted = Ask(block.unit, block.function, block.start, block.count, turn)
        for _ in range(2):
            if owed.doubtful(wanted):
                ask(owed.probe(wanted))
        if not owed.doubtful(wanted):
            any(ask(wanted) for _ in range(2))


def test_the_model_meter_is_believed_when_it_is_prompt():
    owed = Owed()
    for turn, block in enumerate(BLOCKS * 3):
        ask = Ask(block.unit, block.function, block.start, block.count, turn)
        assert not owed.doubtful(ask)
        owed.sent(ask)
        assert owed.heard(words(ask))
