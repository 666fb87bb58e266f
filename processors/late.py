"""Late data: compute anew, from history, the blocks that a late or corrected reading touches."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

import polars as pl

from collector.imported import Form, origins, standing
from collector.reading import UTC_US
from processors import interval
from processors.blocks import evenly, with_like_days
from processors.book import Book
from processors.edits import EDIT, edited
from processors.estimate import LOOKBACK, doubtful, measured
from processors.interval import BLOCK, INTERVAL, Method, Quality
from processors.limits import LOOK
from processors.marks import LATE
from processors.samples import registered

_REACH = 4 * LOOK
"""Readings on either side that a changed reading can bear upon: what it makes rejected, what that
makes a neighbour of what, and the reading beyond."""
_CONTEXT = 2 * _REACH
_FIGURES = [
    name for name in INTERVAL if name not in {"meter_id", "start", "end", "revision", "computed_at"}
]


NO_EDITS = pl.DataFrame(schema=EDIT)


class Past(Protocol):
    """What revision asks of history."""

    def readings(
        self, start: datetime, end: datetime, meters: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """Return READING rows with start <= measured_at < end, as received."""

    def neighbours(
        self, meters: Sequence[str], start: datetime, end: datetime, count: int
    ) -> pl.DataFrame:
        """Return each meter's `count` register readings before `start` and after `end`.

        What was withdrawn is no reading.
        """

    def intervals(
        self, start: datetime, end: datetime, meters: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """Return the latest revision of INTERVAL rows with start <= start < end."""


def revise(
    late: pl.DataFrame,
    marks: pl.DataFrame,
    past: Past,
    book: Book,
    now: datetime,
    edits: pl.DataFrame = NO_EDITS,
) -> pl.DataFrame:
    """Return the INTERVAL rows that differ from what was issued, as new revisions.

    Args:
        late: schema `marks.LATE`.
        marks: schema `marks.MARKS`; blocks beyond a meter's watermark are still running.
        past: history, holding every reading already taken in.
        book: the meters' facts.
        now: stamps `computed_at`.
        edits: schema `edits.EDIT`; what they state stands above what readings give.
    """
    heard = late.join(marks.select("meter_id"), on="meter_id", how="semi")
    if heard.is_empty():
        return interval.empty()
    first = _round(heard, marks, past, book, now, interval.empty(), edits)
    later = leaning(first, past, book)
    if later.is_empty():
        return first
    second = _round(later, marks, past, book, now, first, edits)
    # a block of both rounds was computed in the second with what the first one found
    return pl.concat([first.join(second, on=["meter_id", "start"], how="anti"), second])


def _round(
    late: pl.DataFrame,
    marks: pl.DataFrame,
    past: Past,
    book: Book,
    now: datetime,
    news: pl.DataFrame,
    edits: pl.DataFrame,
) -> pl.DataFrame:
    """Return what differs around `late`; `news` are revisions that history does not hold yet."""
    groups = _by_span(late).partition_by("day", maintain_order=True)
    return pl.concat(_revise(group, marks, past, book, now, news, edits) for group in groups)


def leaning(revised: pl.DataFrame, past: Past, book: Book) -> pl.DataFrame:
    """Return the later long gaps (schema LATE) that may lean on revised blocks as like days."""
    if revised.is_empty():
        return pl.DataFrame(schema=LATE)
    low, high = _bounds(revised, "start", "end")
    meters = revised["meter_id"].unique()
    issued = past.intervals(low, high + LOOKBACK, meters.to_list())
    firsts = revised.group_by("meter_id").agg(pl.col("start").min().alias("since"))
    later = issued.join(firsts, on="meter_id").filter(pl.col("start") >= pl.col("since"))
    return doubtful(later, book).select(list(LATE))


def _by_span(late: pl.DataFrame) -> pl.DataFrame:
    """Group meters whose spans lie in the same days, so that one read of history serves them."""
    first, last = (pl.col(name).dt.truncate("1d") for name in ("first", "last"))
    return late.with_columns(pl.concat_str(first.to_physical(), last.to_physical()).alias("day"))


def _revise(
    group: pl.DataFrame,
    marks: pl.DataFrame,
    past: Past,
    book: Book,
    now: datetime,
    news: pl.DataFrame,
    edits: pl.DataFrame,
) -> pl.DataFrame:
    meters = group["meter_id"].to_list()
    low, high = _bounds(group, "first", "last")
    around = registered(past.neighbours(meters, low, high, _CONTEXT), book)
    inside = registered(past.readings(low, high + timedelta(microseconds=1), meters), book)
    known = standing(pl.concat([around, inside])).unique()
    reach = _affected(group, known, marks)
    start, end = _bounds(reach, "from", "to")
    margin = registered(past.readings(start - 2 * BLOCK, end + 2 * BLOCK, meters), book)
    issued = _over(past.intervals(start, end, meters), news)
    readings = pl.concat([known, margin]).unique()
    even = edited(evenly(readings, book), edits)
    shapes = _shapes(even, reach, past, book, news)
    asked = _inside(edited(with_like_days(even, readings, shapes, book), edits), reach)
    void = _void(issued.join(reach.join(_undone(inside), on="meter_id"), on="meter_id"), asked)
    return _changed(pl.concat([asked, void]), issued, now)


def _inside(rows: pl.DataFrame, reach: pl.DataFrame) -> pl.DataFrame:
    both = rows.join(reach, on="meter_id")
    return both.filter(pl.col("start") >= pl.col("from"), pl.col("end") <= pl.col("to")).select(
        list(INTERVAL)
    )


def _over(issued: pl.DataFrame, news: pl.DataFrame) -> pl.DataFrame:
    """Return `issued` with revisions in the place of what they revise."""
    if news.is_empty():
        return issued
    mine = news.join(issued.select("meter_id", "start"), on=["meter_id", "start"], how="semi")
    return pl.concat([issued.join(mine, on=["meter_id", "start"], how="anti"), mine])


def _shapes(
    even: pl.DataFrame, reach: pl.DataFrame, past: Past, book: Book, news: pl.DataFrame
) -> pl.DataFrame:
    """Return the measured blocks that long gaps in `even` may lean on.

    From history, but for the span that is computed anew, where `even` is the truth.
    """
    gaps = doubtful(even, book)
    if gaps.is_empty():
        return measured(even.clear())
    low, high = _bounds(gaps, "first", "last")
    meters = gaps["meter_id"].to_list()
    old = _over(past.intervals(low - LOOKBACK - BLOCK, high, meters), news)
    anew = _inside(even.filter(pl.col("meter_id").is_in(meters)), reach)
    return measured(_over(old, anew)).vstack(
        measured(anew.join(old, on=["meter_id", "start"], how="anti"))
    )


def _undone(inside: pl.DataFrame) -> pl.DataFrame:
    """Return the meters (one column, meter_id) of which an import was undone inside the span."""
    origin = origins(inside["source"])
    rows = inside.clear() if origin is None else inside.filter(origin % 4 == Form.UNDO)
    return rows.select("meter_id").unique()


def _void(issued: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """Return the issued blocks that no reading bears out any more: missing, with no figure.

    Args:
        issued: INTERVAL rows with the span `from`, `to` that is computed anew.
        asked: INTERVAL rows that were.
    """
    gone = issued.filter(pl.col("start") >= pl.col("from"), pl.col("end") <= pl.col("to")).join(
        asked, on=["meter_id", "start"], how="anti"
    )
    blank = {n: pl.lit(None) for n in _FIGURES} | {
        "coverage": pl.lit(0.0),
        "quality": pl.lit(Quality.MISSING.value),
        "flags": pl.lit([], dtype=pl.List(pl.String)),
        "method": pl.lit(Method.NONE.value),
    }
    return gone.with_columns(**blank).select(pl.col(n).cast(kind) for n, kind in INTERVAL.items())


def _bounds(frame: pl.DataFrame, first: str, last: str) -> tuple[datetime, datetime]:
    low, high = frame.select(pl.col(first).min(), pl.col(last).max()).row(0)
    return low, high


def _affected(group: pl.DataFrame, known: pl.DataFrame, marks: pl.DataFrame) -> pl.DataFrame:
    """Return, per meter, the block span that the late readings can change, closed blocks only."""
    instants = (
        known.filter(pl.col("energy_import_kwh").is_not_null())
        .select("meter_id", "measured_at")
        .unique()
        .join(group.select("meter_id", "first", "last"), on="meter_id")
    )
    at = pl.col("measured_at")
    before = at.filter(at < pl.col("first")).sort(descending=True).head(_REACH).last()
    after = at.filter(at > pl.col("last")).sort().head(_REACH).last()
    beside = instants.group_by("meter_id").agg(before.alias("before"), after.alias("after"))
    spans = group.select("meter_id", "first", "last").join(beside, on="meter_id", how="left")
    size = f"{int(BLOCK.total_seconds())}s"
    return spans.join(marks, on="meter_id").select(
        "meter_id",
        pl.min_horizontal("before", "first").dt.truncate(size).alias("from"),
        pl.min_horizontal(
            pl.max_horizontal("after", "last").dt.truncate(size) + 2 * BLOCK,
            pl.col("watermark").dt.truncate(size),
        ).alias("to"),
    )


def _changed(asked: pl.DataFrame, issued: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Return the asked-for blocks whose figures differ from the issued ones, numbered on."""
    same = [*_FIGURES, "meter_id", "start"]
    plain = asked.with_columns(pl.col("flags").list.join(","))
    told = issued.with_columns(pl.col("flags").list.join(","))
    new = plain.join(told.select(same), on=same, how="anti", nulls_equal=True)
    numbered = (
        new.select("meter_id", "start")
        .join(asked, on=["meter_id", "start"])
        .join(
            issued.select("meter_id", "start", pl.col("revision").alias("last_revision")),
            on=["meter_id", "start"],
            how="left",
        )
    )
    return numbered.with_columns(
        (pl.col("last_revision") + 1).fill_null(0).cast(pl.Int32).alias("revision"),
        pl.lit(now, dtype=UTC_US).alias("computed_at"),
    ).select(list(INTERVAL))
