"""What readers multiply by is noted when it changes, and never changed."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from collector.multiplied import Multiplied
from collector.polls import Ratios
from processors.history.ratiobook import RatioBook

T0 = datetime(2026, 3, 2, 16, tzinfo=UTC)
DAY = timedelta(days=1)


def how(ct, *behind):
    return Multiplied("modbus", frozenset(behind), Ratios((0,), (ct,), (1.0,)))


def test_only_what_changed_is_noted_and_a_clock_set_back_hides_nothing(tmp_path):
    at = [T0]
    with closing(RatioBook(tmp_path / "ratios.db", lambda: at[0])) as book:
        told = [("m", how(40.0, "power_kw")), ("n", how(40.0))]
        assert [book.note(told), book.note(told)] == [1, 0], "n is not multiplied"
        at[0] = T0 + DAY
        assert book.note([("m", how(60.0, "power_kw"))]) == 1
        at[0] = T0 + DAY / 2
        assert book.note([("m", how(80.0, "power_kw"))]) == 1
        at[0] = T0 + 2 * DAY
        assert book.note([("m", how(80.0, "power_kw"))]) == 1, "60 seemed to be in force again"
        assert book.note([("m", how(80.0))]) == 1, "it is multiplied no longer"
        assert book.note([("m", how(80.0))]) == 0
        assert book.notes()["noted_at"].to_list() == [
            T0, T0 + DAY, T0 + DAY / 2, T0 + 2 * DAY, T0 + 2 * DAY
        ]  # fmt: skip
    with closing(sqlite3.connect(tmp_path / "ratios.db")) as raw:
        for sql in ("DELETE FROM ratios", "UPDATE ratios SET steps = ''"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                raw.execute(sql)
