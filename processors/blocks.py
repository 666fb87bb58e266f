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
from processors.demand import MINUTE_US, SLIPS, sliding_maximum
from processors.grid import BLOCK_US, Grid, Span, floor_block
from processors.interval import INTERVAL, QUALITY
from processors.register import Floats, Ints, Limits, Register, plausible_gain_kwh
from processors.samples import Samples, arrange, breaks, code_of, to_samples

HOURS = 0.25
SEAM_US = 16
"""Microseconds a block may lack and be whole: runs of imported intervals leave one at each seam."""
_FLAGS = (
    *register.EVENTS,
    *("gap_spread", "partial", "corrected_reading", "block_demand_only", "sliding_incomplete"),
)
_BIT = {name: 1 << place for place, name in enumerate(_FLAGS)}
_KEY_SPACE = 1 << 62
"""(code, time) must fit one signed 64-bit sort key."""


def limits_of(book: Book) -> Limits:
    """Return the book's per-meter bounds as arrays indexed by the meter's row in the book."""
    frame = book.meters
    rated = frame["rated_power_kw"].fill_null(register.DEFAULT_RATED_KW).to_numpy()
    modulus = frame["register_modulus_kwh"].fill_null(float("nan")).to_numpy()
    gap = frame["max_interpolation_gap_s"].to_numpy() * 1_000_000
    return Limits(rated, modulus, gap)


def intervals_of(readings: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Return every closed block of `readings`: the whole truth about them, in one go.

    Args:
        readings: READING rows in any order, repetitions allowed; meters unknown to the book are
            left out.
        book: the meters' facts.

    Returns:
        INTERVAL rows sorted by (meter_id, start), revision 0, `computed_at` null. A block is closed
        once its meter's register was read at or after the block's end.
    """
    samples = arrange(code_of(standing(to_samples(readings)), book))
    return blocks(samples, closed_span(samples), book)


def closed_span(samples: Samples) -> Span:
    """Return each meter's blocks from its first register reading to its last closed block."""
    has = ~np.isnan(samples.energy)
    code, t = samples.code[has], samples.t[has]
    present = np.unique(code)
    start = floor_block(t[np.searchsorted(code, present, "left")])
    end = floor_block(t[np.searchsorted(code, present, "right") - 1])
    span = Span(present, start, end)
    return span.take(end > start)


def blocks(samples: Samples, span: Span, book: Book) -> pl.DataFrame:
    """Return the blocks of `span` as INTERVAL rows, revision 0 and `computed_at` null.

    Args:
        samples: with the context around the span: 15 minutes and `register.LOOK` readings before
            it, `register.LOOK` readings after it.
        span: from no earlier than the block of each meter's first register reading to no later
            than its last register reading.
        book: the book that numbered the samples.
    """
    if not len(span.code):
        return interval.empty()
    width = int(samples.t.max() - samples.t.min()) + 2
    if len(span.code) > 1 and (int(span.code[-1]) + 2) * width >= _KEY_SPACE:
        half = span.code[len(span.code) // 2]
        low = blocks(samples.take(samples.code < half), span.take(span.code < half), book)
        high = blocks(samples.take(samples.code >= half), span.take(span.code >= half), book)
        return pl.concat([low, high])
    return _Job.of(samples, span, book).frame()


@dataclass(frozen=True, slots=True)
class _Job:
    """One vectorised computation over all meters of a span."""

    samples: Samples
    grid: Grid
    limits: Limits
    energy: Register
    names: pl.Series

    @classmethod
    def of(cls, samples: Samples, span: Span, book: Book) -> "_Job":
        limits = limits_of(book)
        has = ~np.isnan(samples.energy)
        code, t, broken = samples.code[has], samples.t[has], breaks(samples.origin[has])
        energy = register.build(code, t, samples.energy[has], limits, broken)
        return cls(samples, Grid.of(span), limits, energy, book.meters["meter_id"])

    def frame(self) -> pl.DataFrame:
        code, start = self.grid.code[self.grid.wanted], self.grid.start[self.grid.wanted]
        points = boundaries(self.energy, self.grid)
        figures = between(self.energy, self.grid, points)
        energy, bits = figures.amount, figures.bits
        kw = energy / HOURS
        top, at, stated = sliding_maximum(self.energy, self.grid)
        below = ~(top >= kw)
        bits |= np.where(stated <= 1, _BIT["block_demand_only"], 0)
        bits |= np.where((stated > 1) & (stated < SLIPS), _BIT["sliding_incomplete"], 0)
        bits |= self._event_bits()
        reactive = np.where(np.isnan(energy), np.nan, self._reactive(points))
        columns: dict[str, Any] = {
            "meter_id": self.names.gather(code),
            "start": _instants(start),
            "end": _instants(start + BLOCK_US),
            "energy_kwh": energy,
            "demand_kw": kw,
            "max_demand_kw": np.where(below, kw, top),
            "max_demand_at": _instants(np.where(below, start + BLOCK_US, at)),
            "reactive_kvarh": reactive,
            "power_factor": power_factor(energy, reactive),
            "voltage_unbalance_pct": self._mean(self.samples.unbalance),
            "coverage": figures.coverage,
            "quality": pl.Series(figures.quality.astype(np.uint8)).replace_strict(
                dict(enumerate(QUALITY.categories)), return_dtype=QUALITY
            ),
            "flags": flag_names(bits),
            "revision": np.zeros(len(code), dtype=np.int32),
        }
        frame = pl.DataFrame(columns).with_columns(computed_at=pl.lit(None, dtype=UTC_US))
        known = pl.col("energy_kwh").is_not_nan()
        return frame.with_columns(
            pl.when(known).then("max_demand_at"), pl.col(pl.Float64).fill_nan(None)
        ).select(pl.col(name).cast(kind) for name, kind in INTERVAL.items())

    def _reactive(self, points: register.Points) -> Floats:
        """Return reactive import energy (kvarh) of each wanted block.

        Its value at a boundary comes from the two readings that straddle it for the energy; NaN
        unless both carry it, where the register fell inside the block, or where it jumped by more
        than the connection can carry (a reset that was taken back).
        """
        told = self.samples.reactive[np.flatnonzero(~np.isnan(self.samples.energy))]
        told = told[self.energy.rows]
        here = told[points.at]
        beyond = told[np.minimum(points.at + 1, len(told) - 1)]
        value = np.where(points.share > 0, here + (beyond - here) * points.share, here)
        gained: Floats = value[self.grid.wanted] - value[self.grid.wanted - 1]
        if self.energy.broken.any():
            first, last = (points.at[self.grid.wanted - n] for n in (1, 0))
            gained -= _jumped(self.energy, _across(self.energy, told), first, last)
        rated = self.limits.rated_kw[self.grid.code[self.grid.wanted]]
        most = plausible_gain_kwh(rated, np.array([BLOCK_US]))
        gained[(gained < 0) | (gained > most)] = np.nan
        return gained

    def _mean(self, values: Floats) -> Floats:
        """Return the mean over the readings inside each wanted block, NaN where there is none."""
        has = ~np.isnan(values)
        rows = self.grid.rows_of(self.samples.code[has], self.samples.t[has])
        inside = rows >= 0
        size = len(self.grid.code)
        total = np.bincount(rows[inside], weights=values[has][inside], minlength=size)
        count = np.bincount(rows[inside], minlength=size)
        mean: Floats = np.full(size, np.nan)
        np.divide(total, count, out=mean, where=count > 0)
        return mean[self.grid.wanted]

    def _event_bits(self) -> Ints:
        """Return the flag bits of what happened to readings inside each wanted block."""
        code, t, kind = self.energy.events
        fixed = self.samples.corrected
        code = np.concatenate((code, self.samples.code[fixed]))
        t = np.concatenate((t, self.samples.t[fixed]))
        bit = np.concatenate(
            (np.left_shift(1, kind), np.full(int(fixed.sum()), _BIT["corrected_reading"]))
        )
        bits = np.zeros(len(self.grid.code), dtype=np.int64)
        rows = self.grid.rows_of(code, t) if len(code) else code
        np.bitwise_or.at(bits, rows[rows >= 0], bit[rows >= 0])
        return bits[self.grid.wanted]


@dataclass(frozen=True, slots=True)
class Between:
    """What a register gained in each wanted block of a grid."""

    amount: Floats
    """kWh; NaN where nothing can be stated."""
    coverage: Floats
    quality: Ints
    """Index into `interval.Quality`."""
    bits: Ints


def boundaries(series: Register, grid: Grid) -> register.Points:
    """Return the register at the end of every row of the grid, held to its first reading."""
    rows = np.diff(np.append(grid.lead, len(grid.start)))
    first = series.t[np.searchsorted(series.code, grid.span.code, "left")]
    return register.evaluate(
        series, grid.code, np.maximum(grid.start + BLOCK_US, np.repeat(first, rows))
    )


def between(series: Register, grid: Grid, p: register.Points) -> Between:
    """Return the register's gain over each wanted block, with what supports it."""
    now, before = grid.wanted, grid.wanted - 1
    measured = p.covered_us[now] - p.covered_us[before]
    measured = np.where(measured >= BLOCK_US - SEAM_US, BLOCK_US, measured)
    long = p.long_us[now] - p.long_us[before]
    gained = p.v[now] - p.v[before] - _jumped(series, series.jump, p.at[before], p.at[now])
    missing = (measured == 0) & (long == 0)
    coarse = (p.straddle_us[now] > MINUTE_US) | (p.straddle_us[before] > MINUTE_US)
    short = ~missing & (measured + long < BLOCK_US)
    return Between(
        amount=np.where(missing, np.nan, gained),
        coverage=measured / BLOCK_US,
        quality=np.select([missing, long > 0, coarse], [3, 2, 1], default=0),
        bits=(long > 0) * np.int64(_BIT["gap_spread"]) + short * np.int64(_BIT["partial"]),
    )


def _jumped(series: Register, jump: Floats, first: Ints, last: Ints) -> Floats:
    """Return the sum of `jump` over the segments that end inside each block; jumps are rare."""
    total = np.zeros(len(first))
    for row in np.flatnonzero(series.jumps[first] != series.jumps[last]).tolist():
        total[row] = jump[first[row] : last[row]].sum()
    return total


def _across(series: Register, told: Floats) -> Floats:
    """Return what another register gained from one reading to the next, 0 but over breaks."""
    return np.where(series.broken, np.append(np.diff(told), 0.0), 0.0)


def power_factor(active: Floats, reactive: Floats) -> Floats:
    """Return Wp / sqrt(Wp^2 + Wq^2) after (83)水电财字第215号; NaN where it cannot be stated."""
    apparent = np.hypot(active, reactive)
    factor: Floats = np.full(len(active), np.nan)
    np.divide(active, apparent, out=factor, where=apparent > 0)
    return factor


def flag_names(bits: Ints) -> pl.Series:
    """Return each bit set as a list of flag names."""
    names = {int(one): [name for name, bit in _BIT.items() if one & bit] for one in np.unique(bits)}
    order = {one: place for place, one in enumerate(names)}
    table = pl.Series(list(names.values()), dtype=pl.List(pl.String()))
    return table.gather(pl.Series(bits).replace_strict(order, return_dtype=pl.UInt32))


def _instants(t: Ints) -> pl.Series:
    return pl.Series(t, dtype=pl.Int64).cast(UTC_US)
