"""The order of `computed_at`: what a sink has not seen, and what memory takes up at the start."""

from datetime import datetime, timedelta

import polars as pl

from processors.history.delta import Table
from processors.history.recent import FIRST, LAST, SLOT, Recent
from processors.history.tables import by_time

_REVISION = ["meter_id", "start", "computed_at", "revision"]
_TICK = timedelta(microseconds=1)


def newest(table: Table) -> datetime:
    """Return the greatest `computed_at` on disk."""
    return _latest(table.files())


def onward(rows: pl.DataFrame, last: datetime) -> tuple[pl.DataFrame, datetime]:
    """Return `rows` with every `computed_at` after `last`, and the new last."""
    at = pl.col("computed_at")
    later = rows.with_columns(pl.when(at > last).then(at).otherwise(pl.lit(last + _TICK)))
    latest = later["computed_at"].max()
    return later.cast({"computed_at": rows.schema["computed_at"]}), _instant(latest)


def load(table: Table, recent: Recent) -> None:
    """Fill memory with the newest intervals on disk, as many as it may hold."""
    files = table.files()
    if files.is_empty():
        return
    last = _instant(files["max.start"].max())
    floor = last.replace(hour=0, minute=0, second=0, microsecond=0) - recent.span
    sizes = files.filter(pl.col("part") >= floor.date()).group_by("part").agg(pl.sum("rows"))
    for part, _rows in sizes.sort("part").iter_rows():
        kept = sizes.filter(pl.col("part") >= part)["rows"].sum()
        if kept <= recent.max_rows or part == last.date():
            floor = max(floor, datetime.combine(part, floor.timetz()))
            break
    recent.floor = floor
    recent.evicted = _latest(files.filter(pl.col("min.start") < floor))
    recent.hold(by_time(table, files, "start", floor, last + SLOT, None))


def keys(table: Table, after: datetime) -> pl.DataFrame:
    """Return meter_id, start, computed_at of the rows on disk computed after `after`."""
    newer = table.files().filter(pl.col("max.computed_at") > after)
    columns = ("meter_id", "start", "computed_at")
    return table.read(newer, pl.col("computed_at") > after, columns)


def first(rows: pl.DataFrame, limit: int) -> pl.DataFrame:
    """Return about `limit` rows in order of `computed_at`, none of which is split."""
    ordered = rows.sort("computed_at", "meter_id", "start")
    if ordered.height <= limit:
        return ordered
    return ordered.filter(pl.col("computed_at") <= ordered["computed_at"][limit - 1])


def from_disk(
    table: Table, files: pl.DataFrame, held: pl.DataFrame, after: datetime, limit: int
) -> pl.DataFrame:
    """Return the first rows after `after`, of the files and of `held`, which may overlap.

    Files are taken by their least `computed_at` until they hold enough rows before the next file
    begins, so that years behind are caught up with a few files at a time.
    """
    at = pl.col("computed_at")
    newer = files.filter(pl.col("max.computed_at") > after).sort("min.computed_at")
    taken = 0
    while True:
        taken = _enough(newer, taken, limit)
        whole = taken >= newer.height
        horizon = LAST if whole else _instant(newer["min.computed_at"][taken])
        rows = table.read(newer.head(taken), (at > after) & (at < horizon))
        both = pl.concat([rows, held.filter(at < horizon)]).unique(_REVISION)
        if whole or both.height:
            return first(both, limit)


def _enough(files: pl.DataFrame, taken: int, limit: int) -> int:
    """Return how many files to take: at least one more, until they hold `limit` rows.

    Files that begin with the same commit are taken together: none of them ends before the next.
    """
    begins = files["min.computed_at"]
    total, count = files["rows"].head(taken).sum(), taken
    while count < files.height and (
        count == taken or total < limit or begins[count] == begins[count - 1]
    ):
        total += files["rows"][count]
        count += 1
    return count


def _latest(files: pl.DataFrame) -> datetime:
    return FIRST if files.is_empty() else _instant(files["max.computed_at"].max())


def _instant(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError(f"expected an instant, got {value!r}")
    return value
