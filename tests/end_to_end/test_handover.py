"""Verdicts left for the running system: kept once, through crashes, and never half of them."""

import polars as pl

from demandwatch.handover import Handover, hand_over

ROWS = pl.DataFrame({"verdict_id": ["a", "b"]})


def test_what_is_handed_over_is_kept_once(tmp_path):
    kept = []
    box = Handover(tmp_path, lambda rows: kept.append(rows) or rows.height)
    assert box.take() == 0
    hand_over(tmp_path, ROWS.head(1))
    hand_over(tmp_path, ROWS.tail(1))
    assert box.take() == 2
    assert {rows["verdict_id"].item() for rows in kept} == {"a", "b"}
    assert box.take() == 0


def test_what_could_not_be_kept_waits(tmp_path):
    hand_over(tmp_path, ROWS)

    def full(_rows):
        raise OSError("no space left")

    try:
        Handover(tmp_path, full).take()
    except OSError:
        assert Handover(tmp_path, lambda rows: rows.height).take() == 2
    else:
        raise AssertionError("the supervisor must see it")


def test_half_a_file_is_not_taken_and_a_damaged_one_is_set_aside(tmp_path):
    hand_over(tmp_path, ROWS)
    (whole,) = (tmp_path / "handover").iterdir()
    (tmp_path / "handover" / "x.part").write_bytes(whole.read_bytes()[:20])
    whole.write_bytes(b"PAR1 and nothing else")
    assert Handover(tmp_path, lambda rows: rows.height).take() == 0
    assert {path.suffix for path in (tmp_path / "handover").iterdir()} == {".part", ".damaged"}
