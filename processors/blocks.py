"""Readings -> 15-minute blocks: the one function behind the stream, the batch and the evidence.

Energy of a block = register at its end - register at its start (linear between the readings that
straddle a boundary), so blocks add up to the register's own difference. Block demand = energy /
0.25 h. Coverage, quality and flags say what stands behind each figure; see `processors.interval`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from collector.imported import standing
from collector.reading import UTC_US
from processors import interval, register
from processors.book import Book
from processors.changes import Changes
from processors.demand import SLIPS, sliding_maximum
from processors.edits import EDIT, edited
from processors.energy import Between, between, boundaries, power_factor, reactive_gain
from processors.estimate import SHAPE, doubtful, measured, spread
from processors.flags import BIT, LIKE_DAY, flag_names
from processors.grid import BLOCK_US, Grid, Span, floor_block
from processors.interval import INTERVAL, METHOD, QUALITY
from processors.limits import Bools, Floats, Ints, Limits, limits_of
from processors.register import Register
from processors.samples import Samples, arrange, breaks, code_of, to_samples
from processors.validate import Rules, compared, doubted

HOURS = 0.25
_KEY_SPACE = 1 << 62
"""(code, time) must fit one signed 64-bit sort key."""
_NO_EDITS = pl.DataFrame(schema=EDIT)
_NO_SHAPES = pl.DataFrame(schema={name: INTERVAL[name] for name in SHAPE})


def intervals_of(
    readings: pl.DataFrame, book: Book, edits: pl.DataFrame = _NO_EDITS
) -> pl.DataFrame:
    """Return every closed block of `readings`: the whole truth about them, in one go.

    Args:
        readings: READING rows in any order, repetitions allowed; meters unknown to the book are
            left out.
        book: the meters' facts.
        edits: schema `edits.EDIT`; an edited block is never a like day.

    Returns:
        INTERVAL rows sorted by (meter_id, start), revision 0, `computed_at` null. A block is closed
        once its meter's register was read at or after the block's end.
    """
    even = edited(evenly(readings, book), edits)
    return edited(with_like_days(even, readings, measured(even), book), edits)


def evenly(readings: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Return every closed block, with the energy of all gaps spread evenly: as the step does."""
    samples = arrange(code_of(standing(to_samples(readings, book)), book))
    return blocks(samples, closed_span(samples), book)


def with_like_days(
    even: pl.DataFrame, readings: pl.DataFrame, shapes: pl.DataFrame, book: Book
) -> pl.DataFrame:
    """Return `even` with the energy of long gaps spread by like days.

    Args:
        even: `evenly(readings, book)`.
        readings: holding the readings at both ends of each gap.
        shapes: measured blocks, columns `estimate.SHAPE`, from 28 days before the gaps.
        book: the meters' facts.
    """
    meters = doubtful(even, book)["meter_id"] if even.height else None
    if meters is None or meters.is_empty() or shapes.is_empty():
        return even
    mine = readings.filter(pl.col("meter_id").is_in(meters.implode()))
    samples = arrange(code_of(standing(to_samples(mine, book)), book))
    anew = blocks(samples, closed_span(samples), book, shapes)
    rest = even.filter(~pl.col("meter_id").is_in(meters.implode()))
    return pl.concat([rest, anew]).sort("meter_id", "start")


def closed_span(samples: Samples) -> Span:
    """Return each meter's blocks from its first register reading to its last closed block."""
    has = ~np.isnan(samples.energy)
    code, t = samples.code[has], samples.t[has]
    present = np.unique(code)
    start = floor_block(t[np.searchsorted(code, present, "left")])
    end = floor_block(t[np.searchsorted(code, present, "right") - 1])
    span = Span(present, start, end)
    return span.take(end > start)


def blocks(
    samples: Samples, span: Span, book: Book, shapes: pl.DataFrame = _NO_SHAPES
) -> pl.DataFrame:
    """Return the blocks of `span` as INTERVAL rows, revision 0 and `computed_at` null.

    Args:
        samples: with the context around the span: 15 minutes and `limits.LOOK` readings before it,
            `limits.LOOK` readings after it.
        span: from no earlier than the block of each meter's first register reading to no later
            than its last register reading.
        book: the book that numbered the samples.
        shapes: as of `with_like_days`; empty: gaps are spread evenly.
    """
    if not len(span.code):
        return interval.empty()
    width = int(samples.t.max() - samples.t.min()) + 2
    if len(span.code) > 1 and (int(span.code[-1]) + 2) * width >= _KEY_SPACE:
        half = span.code[len(span.code) // 2]
        one, two = samples.code < half, span.code < half
        sides = ((samples.take(one), span.take(two)), (samples.take(~one), span.take(~two)))
        return pl.concat([blocks(*side, book, shapes) for side in sides])
    return _Job.of(samples, span, book, shapes).frame()


@dataclass(frozen=True, slots=True)
class _Job:
    """One vectorised computation over all meters of a span."""

    samples: Samples
    grid: Grid
    limits: Limits
    energy: Register
    told: Floats
    """The reactive register at each reading of `energy`."""
    book: Book
    shapes: pl.DataFrame
    rules: Rules
    rows: Ints
    """Row of the grid that holds each sample, -1 where none does."""

    @classmethod
    def of(cls, samples: Samples, span: Span, book: Book, shapes: pl.DataFrame) -> "_Job":
        limits = limits_of(book)
        has = ~np.isnan(samples.energy)
        code, t, broken = samples.code[has], samples.t[has], breaks(samples.origin[has])
        changes = Changes.of(book)
        energy = register.build(code, t, samples.energy[has], limits, broken, changes)
        told = np.append(samples.reactive[has], np.nan)[energy.rows]  # row -1: declared
        grid, rules = Grid.of(span), Rules.of(book)
        rows = grid.rows_of(samples.code, samples.t)
        return cls(samples, grid, limits, energy, told, book, shapes, rules, rows)

    def frame(self) -> pl.DataFrame:
        code, start = self.grid.code[self.grid.wanted], self.grid.start[self.grid.wanted]
        figures, reactive = self._energies()
        energy = figures.amount
        kw = energy / HOURS
        top, at, stated = sliding_maximum(self.energy, self.grid)
        below = ~(top >= kw)
        bits = figures.bits | self._bits(figures, code)
        counts = self.book.numbers["counts"][code] > 0
        bits |= np.where(~counts & (stated <= 1), BIT["block_demand_only"], 0)
        bits |= np.where(~counts & (stated > 1) & (stated < SLIPS), BIT["sliding_incomplete"], 0)
        columns: dict[str, Any] = {
            "meter_id": self.book.meters["meter_id"].gather(code),
            "start": _instants(start),
            "end": _instants(start + BLOCK_US),
            "energy_kwh": energy,
            "demand_kw": kw,
            "max_demand_kw": np.where(below, kw, top),
            "max_demand_at": _instants(np.where(below, start + BLOCK_US, at)),
            "reactive_kvarh": reactive,
            "power_factor": power_factor(energy, reactive),
            "voltage_unbalance_pct": self._mean(self.samples.unbalance)[0],
            "coverage": figures.coverage,
            "quality": _named(figures.quality, QUALITY),
            "flags": flag_names(bits),
            "revision": np.zeros(len(code), dtype=np.int32),
            "method": _named(_methods(bits, energy), METHOD),
            "output_count": np.full(len(code), np.nan),
        }
        if counts.any():
            _count(columns, counts)
        frame = pl.DataFrame(columns).with_columns(computed_at=pl.lit(None, dtype=UTC_US))
        known = pl.col("energy_kwh").is_not_nan()
        return frame.with_columns(
            pl.when(known).then("max_demand_at"), pl.col(pl.Float64).fill_nan(None)
        ).select(pl.col(name).cast(kind) for name, kind in INTERVAL.items())

    def _energies(self) -> tuple[Between, Floats]:
        """Return what the blocks gained, long gaps spread, and their reactive energy."""
        points = boundaries(self.energy, self.grid)
        figures = between(self.energy, self.grid, points, self.limits)
        reactive = reactive_gain(self.energy, self.told, self.grid, self.limits, points)
        found = spread(self.energy, self.told, self.grid, self.book, self.shapes)
        if found is not None:
            np.copyto(figures.amount, np.maximum(figures.amount + found.energy, 0.0))
            figures.bits[found.like] |= BIT[LIKE_DAY]
            reactive = reactive + found.reactive
        reactive[np.isnan(figures.amount)] = np.nan
        return figures, reactive

    def _bits(self, figures: Between, code: Ints) -> Ints:
        """Return the flags of events and of validation rules in each wanted block."""
        bits = self._event_bits()
        if np.isnan(self.samples.power).all():
            return bits
        power, count = self._mean(np.maximum(self.samples.power, 0.0))
        return bits | compared(figures, code, power, count, self.rules)

    def _mean(self, values: Floats) -> tuple[Floats, Ints]:
        """Return the mean over the readings inside each wanted block (NaN: none), and the count."""
        size, wanted = len(self.grid.code), self.grid.wanted
        mean: Floats = np.full(size, np.nan)
        known = ~np.isnan(values)
        if not known.any():
            return mean[wanted], np.zeros(len(wanted), dtype=np.int64)
        known &= self.rows >= 0
        rows = self.rows[known]
        total = np.bincount(rows, weights=values[known], minlength=size)
        count = np.bincount(rows, minlength=size)
        np.divide(total, count, out=mean, where=count > 0)
        return mean[wanted], count[wanted]

    def _event_bits(self) -> Ints:
        """Return the flag bits of what happened to readings inside each wanted block."""
        code, t, kind = self.energy.events
        parts = [(code, t, np.left_shift(1, kind))]
        fixed = [(self.samples.corrected, BIT["corrected_reading"])]
        for mask, bit in (*fixed, *doubted(self.samples, self.rules)):
            at = np.flatnonzero(mask)
            parts.append((self.samples.code[at], self.samples.t[at], np.full(at.size, bit)))
        code, t, told = (np.concatenate(column) for column in zip(*parts, strict=True))
        bits = np.zeros(len(self.grid.code), dtype=np.int64)
        rows = self.grid.rows_of(code, t) if len(code) else code
        np.bitwise_or.at(bits, rows[rows >= 0], told[rows >= 0])
        return bits[self.grid.wanted]


def _count(columns: dict[str, Any], counts: Bools) -> None:
    """Name what counters of output counted as such: it is no energy."""
    columns["output_count"] = np.where(counts, columns["energy_kwh"], np.nan)
    for name in ("energy_kwh", "demand_kw", "max_demand_kw", "reactive_kvarh", "power_factor"):
        columns[name] = np.where(counts, np.nan, columns[name])


def _methods(bits: Ints, energy: Floats) -> Ints:
    """Return the index into `interval.Method` of each block: the least certain one counts."""
    chosen = [bits & BIT[name] != 0 for name in (LIKE_DAY, "gap_spread", "declared")]
    return np.select([np.isnan(energy), *chosen], [0, 2, 1, 3], default=0)


def _named(index: Ints, kind: pl.Enum) -> pl.Series:
    return pl.Series(index.astype(np.uint8)).replace_strict(
        dict(enumerate(kind.categories)), return_dtype=kind
    )


def _instants(t: Ints) -> pl.Series:
    return pl.Series(t, dtype=pl.Int64).cast(UTC_US)
