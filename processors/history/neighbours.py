"""The register readings next to a span: the last before and the first after, however far."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl

from collector.imported import standing
from collector.reading import empty

Rows = Callable[[datetime, datetime, list[str] | None], pl.DataFrame]
"""READING rows with `measured_at` in [start, end) of some meters, in any order."""

_REACH = tuple(timedelta(hours=h) for h in (1, 24, 24 * 7, 24 * 31, 24 * 366, 24 * 3660))
"""Ever wider windows: most meters are answered from the first, a dead one costs six scans."""
_OLDEST = datetime(1970, 1, 1, tzinfo=UTC)
_NEWEST = datetime(2200, 1, 1, tzinfo=UTC)


def beside(
    rows: Rows, meters: list[str], start: datetime, end: datetime, count: int, register: pl.Expr
) -> pl.DataFrame:
    """Return the rows of the `count` instants before `start` and from `end` on, per meter.

    Only rows that carry the meter's `register` count and are returned: between two of them a meter
    may send any number of momentary values, which bound nothing. What was withdrawn is not there.
    """
    told = lambda *at: standing(rows(*at)).filter(register.is_not_null())  # noqa: E731 - two uses
    before = _nearest(told, meters, _back(start), count, nearest_last=True)
    return pl.concat([before, _nearest(told, meters, _on(end), count, nearest_last=False)])


def _nearest(
    rows: Rows,
    meters: list[str],
    windows: Iterator[tuple[datetime, datetime]],
    count: int,
    *,
    nearest_last: bool,
) -> pl.DataFrame:
    found, lacking = empty(), meters
    order = pl.col("measured_at").rank("dense", descending=nearest_last).over("meter_id")
    for start, end in windows:
        if not lacking:
            break
        found = pl.concat([found, rows(start, end, lacking)]).filter(order <= count)
        seen = found.group_by("meter_id").agg(pl.col("measured_at").n_unique())
        enough = seen.filter(pl.col("measured_at") >= count)["meter_id"].to_list()
        lacking = sorted(set(lacking) - set(enough))
    return found


def _back(at: datetime) -> Iterator[tuple[datetime, datetime]]:
    edges = [at, *(max(at - reach, _OLDEST) for reach in _REACH)]
    return ((start, end) for end, start in pairwise(edges))


def _on(at: datetime) -> Iterator[tuple[datetime, datetime]]:
    edges = [at, *(min(at + reach, _NEWEST) for reach in _REACH)]
    return pairwise(edges)
