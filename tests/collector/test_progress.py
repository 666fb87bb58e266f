import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.progress import MAX_HOLES, Hole, Progress

SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=12)


def left(progress: Progress, last: int) -> set[int]:
    return {n for one in progress.pending(last) for n in range(one.after + 1, one.through + 1)}


@given(SPANS)
def test_whatever_arrives_in_whatever_order_only_that_is_done(spans):
    progress, wanted = Progress(), set(range(1, 41))
    for after, through in spans:
        progress = progress.forwarded(after, through)
        wanted -= set(range(after + 1, through + 1))
        assert left(progress, 40) == wanted
        assert Progress.parse(progress.text()) == progress
        done = {n for one in progress.done() for n in range(one.after + 1, one.through + 1)}
        assert done == set(range(1, 41)) - wanted


@given(SPANS, st.lists(st.integers(0, 40), max_size=5))
def test_a_jump_forgets_nothing(spans, jumps):
    progress = Progress()
    for (after, through), last in zip(spans, jumps, strict=False):
        progress = progress.forwarded(after, through)
        before = left(progress, 40)
        progress = progress.jump(last)
        assert left(progress, 40) == before
        assert progress.live >= last


def test_outages_on_end_make_one_hole_and_too_many_are_taken_in_order():
    progress = Progress().jump(10).jump(20)
    assert progress.holes == (Hole(0, 20),)
    for _ in range(2 * MAX_HOLES):
        live = progress.live
        progress = progress.forwarded(live, live + 1).jump(live + 5)
    assert len(progress.holes) == MAX_HOLES


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"live": 5, "holes": [[3, 9]]}',
                                  '{"live": 5, "holes": [[2, 2]]}', '{"live": null, "holes": []}',
                                  '{"live": 5, "holes": [[-3, 2]]}'])  # fmt: skip
def test_what_is_no_cursor_is_refused(text):
    with pytest.raises(ValueError, match=r"cursor|Expecting"):
        Progress.parse(text)
