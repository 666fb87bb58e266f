"""Energy of a long gap, spread by what the meter itself used on like days before it.

A gap's energy is the register's difference and stays it; only its spread is assumed. Up to
`linear_hours` it is even. Beyond, a quarter hour weighs as the mean of the last LIKE_DAYS days of
the same type on which the meter was measured in that local quarter hour, within LOOKBACK before the
gap. A gap of which one quarter hour has fewer than LEAST_DAYS like days is spread evenly.

Day types are working days (Monday to Friday) and rest days, in the meter's time zone. The method is
the like-day profile of utilities' estimation rules (VEE); its numbers are this product's own.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from collector.reading import UTC_US
from processors.book import Book
from processors.grid import BLOCK_US, Grid, floor_block
from processors.interval import Quality
from processors.limits import Bools, Floats, Ints
from processors.register import LONG, Register

LIKE_DAYS = 4
LEAST_DAYS = 2
LOOKBACK = timedelta(days=28)
_LOOKBACK_US = LOOKBACK // timedelta(microseconds=1)
SHAPE = ("meter_id", "start", "energy_kwh")
"""What is needed of the measured blocks."""
_SPAN = (("meter_id", "meter_id"), ("first", "start"), ("last", "end"))


def measured(intervals: pl.DataFrame) -> pl.DataFrame:
    """Return the blocks (columns SHAPE) that measurement supports whole."""
    whole = (pl.col("coverage") == 1.0) & pl.col("energy_kwh").is_not_null()
    known = pl.col("quality").is_in([Quality.MEASURED.value, Quality.INTERPOLATED.value])
    return intervals.filter(whole & known).select(SHAPE)


def doubtful(intervals: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Return the meters whose estimated blocks may lie in a gap that is not spread evenly.

    Returns:
        Schema `marks.LATE`: the span of those blocks.
    """
    guessed = intervals["quality"] == Quality.ESTIMATED.value
    if not guessed.any():
        return pl.DataFrame(schema={n: intervals.schema[m] for n, m in _SPAN})
    found = intervals.filter(guessed)
    spans = found.group_by("meter_id").agg(
        pl.col("start").min().alias("first"), pl.col("end").max().alias("last")
    )
    rules = book.meters.select("meter_id", book.rules["linear_s"])
    long = (pl.col("last") - pl.col("first")).dt.total_seconds() > pl.col("linear_s")
    return spans.join(rules, on="meter_id").filter(long).select("meter_id", "first", "last")


@dataclass(frozen=True, slots=True)
class Spread:
    """How the spread by like days differs from the even one, per wanted block of a grid."""

    energy: Floats
    """kWh to add; sums to 0 over each gap."""
    reactive: Floats
    """kvarh to add; NaN where the gap's reactive energy is not known."""
    like: Bools
    """The block holds a part of such a gap."""


def spread(
    series: Register, told: Floats, grid: Grid, book: Book, shapes: pl.DataFrame
) -> Spread | None:
    """Return the spread by like days, None if no gap has it.

    Args:
        series: the registers.
        told: reactive register at each reading of `series`.
        grid: the blocks asked for.
        book: time zones and the rule `estimation`.
        shapes: measured blocks (columns SHAPE) of the meters, from LOOKBACK before their gaps.
    """
    if shapes.is_empty():
        return None
    at = np.flatnonzero(series.slope == LONG)
    # NaN where the rule is off: no gap is longer
    at = at[series.straddle_us[at] > book.numbers["linear_s"][series.code[at]] * 1e6]
    if not at.size:
        return None
    parts = _parts(series, at)
    parts.weight[:] = _weights(series, at, parts, book, shapes)
    total = np.bincount(parts.gap, weights=parts.weight, minlength=at.size)
    usable = (np.nan_to_num(total) > 0)[parts.gap]
    share = np.divide(parts.weight, total[parts.gap], where=usable, out=np.zeros(len(usable)))
    even = parts.overlap / series.straddle_us[at][parts.gap]
    rows = grid.rows_of(series.code[at][parts.gap], parts.start)
    mine = usable & (rows >= 0)
    energy, reactive = np.zeros(len(grid.code)), np.zeros(len(grid.code))
    like = np.zeros(len(grid.code), dtype=bool)
    differs = (share - even)[mine]
    np.add.at(energy, rows[mine], (series.gain[at][parts.gap])[mine] * differs)
    np.add.at(reactive, rows[mine], (told[at + 1] - told[at])[parts.gap][mine] * differs)
    like[rows[mine]] = True
    wanted = grid.wanted
    return Spread(energy[wanted], reactive[wanted], like[wanted]) if like.any() else None


@dataclass(frozen=True, slots=True)
class _Parts:
    """The blocks of each gap, gap by gap."""

    gap: Ints
    start: Ints
    overlap: Ints
    """Microseconds of the block inside the gap."""
    weight: Floats


def _parts(series: Register, at: Ints) -> _Parts:
    begin, end = series.t[at], series.t[at] + series.straddle_us[at]
    first = floor_block(begin)
    count = (floor_block(end - 1) - first) // BLOCK_US + 1
    gap = np.repeat(np.arange(at.size), count)
    place = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    start = first[gap] + place * BLOCK_US
    overlap = np.minimum(start + BLOCK_US, end[gap]) - np.maximum(start, begin[gap])
    return _Parts(gap, start, overlap, np.zeros(len(gap)))


def _weights(series: Register, at: Ints, parts: _Parts, book: Book, shapes: pl.DataFrame) -> Floats:
    """Return each part's weight: mean like energy x its share of the block; NaN: too few days."""
    code = series.code[at]
    names = book.meters["meter_id"]
    asked = pl.DataFrame(
        {
            "part": np.arange(len(parts.gap)),
            "meter_id": names.gather(code[parts.gap]),
            "start": pl.Series(parts.start).cast(UTC_US),
            "gap_start": pl.Series(series.t[at][parts.gap]).cast(UTC_US),
        }
    )
    known = shapes.filter(pl.col("meter_id").is_in(names.gather(np.unique(code)).implode()))
    placed = _placed(known, book).rename({"start": "then"})
    both = _placed(asked, book).join(placed, on=["meter_id", "slot", "rest"])
    ended = pl.col("then").dt.offset_by("15m") <= pl.col("gap_start")
    near = pl.col("then").to_physical() >= pl.col("gap_start").to_physical() - _LOOKBACK_US
    like = (
        both.filter(ended & near)
        .sort("part", "then")
        .group_by("part", maintain_order=True)
        .agg(pl.col("energy_kwh").tail(LIKE_DAYS))
        .filter(pl.col("energy_kwh").list.len() >= LEAST_DAYS)
        .with_columns(pl.col("energy_kwh").list.mean())
    )
    weight: Floats = np.full(len(parts.gap), np.nan)
    weight[like["part"].to_numpy()] = like["energy_kwh"].to_numpy()
    return weight * parts.overlap / BLOCK_US


def _placed(rows: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Add the local quarter hour (`slot`, minutes of the day) and whether it is a `rest` day."""
    zoned = rows.join(book.meters.select("meter_id", "timezone"), on="meter_id")
    parts = []
    for (zone,), part in zoned.partition_by("timezone", as_dict=True, include_key=False).items():
        local = pl.col("start").dt.convert_time_zone(str(zone))
        slot = local.dt.hour().cast(pl.Int32) * 60 + local.dt.minute()
        parts.append(part.with_columns(slot=slot, rest=local.dt.weekday() >= 6))
    none = {"slot": pl.lit(None, pl.Int32), "rest": pl.lit(None, pl.Boolean)}
    return pl.concat(parts) if parts else zoned.drop("timezone").with_columns(**none)
