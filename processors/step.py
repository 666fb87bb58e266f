"""The step: (state, readings, book, now) -> (state, result). Pure, vectorised over meters.

A meter's blocks close when its own register is read at or after their end; no other meter and no
clock takes part, so a gateway that was away for two days delays nobody and a replay gives the same
intervals. What arrives behind a meter's watermark is handed back as `late`: the caller settles it
with `processors.late.revise`, from history, by the same arithmetic.
"""

import io
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from collector.imported import Form, standing
from collector.reading import UTC_US
from processors import interval
from processors.blocks import blocks
from processors.book import Book
from processors.estimate import doubtful
from processors.grid import BLOCK_US, Span, floor_block
from processors.limits import LOOK, Bools, Ints
from processors.marks import LATE, MARKS, advance, heard
from processors.samples import CHECKS, SAMPLE, Samples, arrange, code_of, distinct, to_samples

MOST_CHUNKS = 64
"""Small batches are gathered once so many lie side by side: each costs every later look."""
IDLE_US = 6 * 3_600_000_000
"""How long gauges are held for a register that is not heard; beyond, `late` settles the blocks."""


@dataclass(frozen=True, slots=True)
class State:
    """Everything the step remembers; serialises to Arrow."""

    pending: pl.DataFrame
    """SAMPLE rows of each meter's running block, and the context before it."""
    marks: pl.DataFrame
    """Schema MARKS."""

    @classmethod
    def empty(cls) -> "State":
        """Return the state before the first reading."""
        return cls(pl.DataFrame(schema=SAMPLE), pl.DataFrame(schema=MARKS))

    def to_arrow(self) -> bytes:
        """Serialise as two Arrow IPC streams, one behind the other, led by the first one's size."""
        first, second = io.BytesIO(), io.BytesIO()
        self.pending.rechunk().write_ipc_stream(first, compression="lz4")
        self.marks.rechunk().write_ipc_stream(second, compression="lz4")
        body = first.getvalue()
        return len(body).to_bytes(8, "little") + body + second.getvalue()

    @classmethod
    def from_arrow(cls, blob: bytes) -> "State":
        """Restore what `to_arrow` wrote.

        Raises:
            ValueError: the blob is cut short or is of another schema.
        """
        size = int.from_bytes(blob[:8], "little")
        if len(blob) < 8 + size:
            raise ValueError("state snapshot is cut short")
        pending = pl.read_ipc_stream(io.BytesIO(blob[8 : 8 + size]))
        if set(CHECKS) - set(pending.columns):  # of a version before they were looked at
            pending = pending.with_columns(pl.lit(None, SAMPLE[n]).alias(n) for n in CHECKS)
        marks = pl.read_ipc_stream(io.BytesIO(blob[8 + size :]))
        if pending.schema != pl.Schema(SAMPLE) or marks.schema != pl.Schema(MARKS):
            raise ValueError("state snapshot is of another version")
        return cls(pending, marks)


@dataclass(frozen=True, slots=True)
class Result:
    """What one step found."""

    intervals: pl.DataFrame
    """Blocks closed by this step: INTERVAL, revision 0, `computed_at` = the step's `now`."""
    late: pl.DataFrame
    """Schema LATE: spans for `processors.late.revise`."""
    unknown: int
    """Readings of meters that the book does not know; left out."""
    touched: pl.Series
    """meter_id of each meter that was heard in this step."""


def step(state: State, readings: pl.DataFrame, book: Book, now: datetime) -> tuple[State, Result]:
    """Take in readings and close the blocks they complete.

    Args:
        state: what the last step returned.
        readings: READING rows of any meters, in any order, repetitions allowed.
        book: the meters' facts; may differ from the last step's.
        now: stamps `computed_at`; nothing else depends on it.
    """
    fresh = to_samples(readings, book)
    coded = code_of(fresh, book)
    known = coded.drop("code")
    count, behind = len(known), _behind(known, state)
    undo = _withdrawals(known, state.pending)
    if undo is None:
        pending = pl.concat([state.pending, known])
    else:
        pending = standing(pl.concat([state.pending, known, undo]))
        known = standing(pl.concat([known, undo]))
        coded = code_of(known, book)
    marks = advance(state.marks, heard(coded, state.marks, book), behind)
    if undo is not None:
        pending = pl.concat([pending, _ahead(undo, marks)])
    if pending.n_chunks() > MOST_CHUNKS:
        pending = pending.rechunk()
    closing = marks.filter(pl.col("closed_after") > pl.col("closed_before").fill_null(0))
    kept, out = _close(pending, closing, book)
    away = closing.filter(pl.col("closed_after") - pl.col("closed_before") > IDLE_US)
    resumed = away.select("meter_id", first="last_heard", last="watermark")
    uneasy = marks.filter("uneasy").select("meter_id", first="oldest", last="newest")
    result = Result(
        intervals=out.with_columns(computed_at=pl.lit(now, dtype=UTC_US)),
        late=_merged(behind, uneasy, resumed, doubtful(out, book)),
        unknown=len(fresh) - count,
        touched=known["meter_id"].unique(),
    )
    return State(kept, marks.select(list(MARKS))), result


def _withdrawals(known: pl.DataFrame, pending: pl.DataFrame) -> pl.DataFrame | None:
    """Return the withdrawals of imported readings, None if there is none."""
    found = [
        frame.filter(pl.col("origin") % 4 == Form.UNDO)
        for frame in (known, pending)
        if (frame["origin"] != 0).any()
    ]
    undo = pl.concat(found) if found else known.clear()
    return undo.unique() if undo.height else None


def _ahead(undo: pl.DataFrame, marks: pl.DataFrame) -> pl.DataFrame:
    """Return the withdrawals whose reading may still come and not be late."""
    both = undo.join(marks.select("meter_id", "watermark"), on="meter_id", how="left")
    still = pl.col("watermark").is_null() | (pl.col("measured_at") > pl.col("watermark"))
    return both.filter(still).select(list(SAMPLE))


def _behind(known: pl.DataFrame, state: State) -> pl.DataFrame:
    """Return LATE rows for readings not after their meter's watermark, repetitions aside."""
    if known.is_empty() or state.marks.is_empty():
        return pl.DataFrame(schema=LATE)
    if known["measured_at"].min() > state.marks["watermark"].max():  # type: ignore[operator]  # instants
        return pl.DataFrame(schema=LATE)
    old = known.join(state.marks, on="meter_id").filter(
        pl.col("measured_at") <= pl.col("watermark")
    )
    if old.is_empty():
        return pl.DataFrame(schema=LATE)
    values = [name for name in SAMPLE if name != "received_at"]
    new = old.join(state.pending, on=values, how="anti", nulls_equal=True)
    return _span(new)


def _span(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by("meter_id").agg(
        pl.col("measured_at").min().alias("first"), pl.col("measured_at").max().alias("last")
    )


def _merged(*parts: pl.DataFrame) -> pl.DataFrame:
    whole = pl.concat(parts)
    return whole.group_by("meter_id").agg(pl.col("first").min(), pl.col("last").max())


def _close(
    pending: pl.DataFrame, closing: pl.DataFrame, book: Book
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Compute the blocks of the meters that close some; return (kept, intervals)."""
    if closing.is_empty():
        return pending, interval.empty()
    coded = code_of(_without_idle(pending), book)
    span_rows = code_of(closing, book).sort("code")
    closes = np.zeros(book.meters.height, dtype=bool)
    closes[span_rows["code"].to_numpy()] = True
    mask = closes[coded["code"].to_numpy()]
    mine, rest = coded.filter(mask), coded.filter(~mask)
    samples = arrange(mine)
    span = _span_of(span_rows, samples)
    out = blocks(samples, span, book)
    kept = _prune(mine, samples, span, book)
    if samples.repeated:
        kept = distinct(kept)
    names = list(SAMPLE)
    return pl.concat([rest.select(names), kept.select(names)]).rechunk(), out


def _without_idle(pending: pl.DataFrame) -> pl.DataFrame:
    """Drop gauge-only samples left behind by a register that has long not been heard."""
    gauge = pl.col("energy_import_kwh").is_null()
    if not pending.select(gauge.any()).item():
        return pending
    newest = pl.col("measured_at").max().over("meter_id")
    return pending.filter(
        ~gauge | (newest - pl.col("measured_at") <= pl.duration(microseconds=IDLE_US))
    )


def _span_of(closing: pl.DataFrame, samples: Samples) -> Span:
    """Return the newly closed blocks of each meter, from its first reading at the earliest."""
    has = ~np.isnan(samples.energy)
    code, t = samples.code[has], samples.t[has]
    mine = closing["code"].to_numpy()
    first = floor_block(t[np.searchsorted(code, mine, "left")])
    start = closing["closed_before"].fill_null(np.iinfo(np.int64).min).to_numpy()
    return Span(mine, np.maximum(start, first), closing["closed_after"].to_numpy())


def _prune(mine: pl.DataFrame, samples: Samples, span: Span, book: Book) -> pl.DataFrame:
    """Keep the running block, the 15 minutes before it, and 2 x LOOK register readings more."""
    has = ~np.isnan(samples.energy)
    code, t = samples.code[has], samples.t[has]
    edge = span.end - BLOCK_US
    low = np.searchsorted(code, span.code, "left")
    place = _first_not_before(code, t, span.code, edge)
    oldest = np.zeros(book.meters.height, dtype=np.int64)
    oldest[span.code] = np.minimum(t[np.maximum(place - 2 * LOOK, low)], edge)
    at = mine["measured_at"].to_physical().to_numpy()
    return mine.filter(at >= oldest[mine["code"].to_numpy()])


def _first_not_before(code: Ints, t: Ints, wanted: Ints, edge: Ints) -> Ints:
    """Return, per wanted meter, the index of its first row at or after `edge`."""
    edges = np.zeros(int(wanted[-1]) + 1, dtype=np.int64)
    edges[wanted] = edge
    earlier: Bools = t < edges[code]
    low = np.searchsorted(code, wanted, "left")
    total = np.concatenate(([0], np.cumsum(earlier)))
    high = np.searchsorted(code, wanted, "right")
    found: Ints = low + (total[high] - total[low])
    return found
