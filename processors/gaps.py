"""Gaps: spans without a register reading where readings were due; pure, vectorised over meters.

A *hole* is a segment of a meter's register that is longer than its `max_interpolation_gap`: the
same segments whose blocks are `estimated`, by the same arithmetic, so holes are a function of the
readings alone and do not depend on the order in which they came. A *gap* is what the ledger tells
of a hole over time: noticed while it is still open, closed when the meter speaks again (its energy
is then the register's own difference, the spread over the blocks an assumption), and recovered
when late readings fill it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from collector.imported import standing
from collector.reading import UTC_US
from processors.book import Book
from processors.changes import Changes
from processors.limits import LOOK, Floats, Ints, limits_of
from processors.register import Register, build
from processors.samples import arrange, breaks, code_of, to_samples

CONTEXT = 2 * LOOK + 2
"""Register readings on either side of a span that its holes may depend on."""

HOLE: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "missing_from": UTC_US,
    "missing_to": UTC_US,
    "energy_kwh": pl.Float64(),
    "register_before_kwh": pl.Float64(),
    "register_after_kwh": pl.Float64(),
}
"""One row a hole: the readings on either side (`missing_to` null: none yet), what the register
showed there, and its gain in between (kWh; null where the register was reset or leapt)."""

SPAN: dict[str, pl.DataType] = {"meter_id": pl.String(), "low": UTC_US, "high": UTC_US}
"""The times in which a meter's holes must be looked at anew; those of one meter do not touch."""
SLACK = timedelta(hours=1)

_UNSTATED = 3


@dataclass(frozen=True, slots=True)
class Registers:
    """The registers of some readings, accepted and rejected as the blocks have it."""

    series: Register
    book: Book

    @classmethod
    def of(cls, readings: pl.DataFrame, book: Book) -> "Registers":
        """Build them from READING rows in any order.

        Meters unknown to the book and what was withdrawn are left out. The columns of the key, and
        energy_import_kwh, are enough.
        """
        samples = arrange(code_of(standing(to_samples(readings, book)), book))
        has = ~np.isnan(samples.energy)
        code, t, broken = samples.code[has], samples.t[has], breaks(samples.origin[has])
        limits, changes = limits_of(book), Changes.of(book)
        return cls(build(code, t, samples.energy[has], limits, broken, changes), book)

    def holes(self) -> pl.DataFrame:
        """Return every hole, schema HOLE, by meter and time."""
        one = self.series
        at = np.flatnonzero(one.straddle_us > limits_of(self.book).gap_us[one.code])
        # a gap too long to be spread is in no block, but its energy is known: the raw difference
        lasting = one.straddle_us[at] > limits_of(self.book).longest_us[one.code[at]]
        told = lasting & (one.jump[at] >= 0) & ~one.broken[at]
        unstated = np.where(told, one.jump[at], np.nan)
        gain = np.where(one.slope[at] == _UNSTATED, unstated, one.gain[at])
        columns = {
            "meter_id": self.book.meters["meter_id"].gather(one.code[at]),
            "missing_from": _instants(one.t[at]),
            "missing_to": _instants(one.t[at] + one.straddle_us[at]),
            "energy_kwh": pl.Series(gain, dtype=pl.Float64).fill_nan(None),
            "register_before_kwh": one.v[at],
            "register_after_kwh": one.v[np.minimum(at + 1, max(len(one.v) - 1, 0))],
        }
        return pl.DataFrame(columns, schema=HOLE)

    def gained(self, spans: pl.DataFrame) -> pl.Series:
        """Return the register's gain over spans (kWh); null where it is not stated throughout.

        Args:
            spans: columns meter_id, start, end, of meters and instants that were read.
        """
        one = self.series
        rows = code_of(spans, self.book)
        code = rows["code"].to_numpy()
        if not len(one.t) or not len(code):
            return pl.Series([None] * len(spans), dtype=pl.Float64)
        first, last = (self._at(code, rows[name]) for name in ("start", "end"))
        total = np.concatenate(([0.0], np.cumsum(one.gain)))
        broken = np.concatenate(([0], np.cumsum(one.slope == _UNSTATED)))
        mine = (one.code[first] == code) & (one.code[last] == code) & (last >= first)
        told = mine & (broken[last] == broken[first])
        gain: Floats = np.where(told, total[last] - total[first], np.nan)
        return pl.Series(gain, dtype=pl.Float64).fill_nan(None)

    def _at(self, code: Ints, at: pl.Series) -> Ints:
        """Return the last accepted reading not after each instant."""
        t = np.clip(at.to_physical().to_numpy() - self.series.base, 0, self.series.span - 1)
        found = np.searchsorted(self.series.key, code * self.series.span + t, "right") - 1
        place: Ints = np.maximum(found, 0)
        return place


def doubtful(intervals: pl.DataFrame, active: pl.DataFrame) -> pl.DataFrame:
    """Return SPAN rows of the meters whose holes may have changed with new or revised blocks.

    Args:
        intervals: INTERVAL rows just issued.
        active: gaps that still have a hole: columns meter_id, missing_from, missing_to.
    """
    lacking = intervals.filter(pl.col("coverage") < 1).select("meter_id", low="start", high="end")
    within = intervals.select("meter_id", "start", "end").join(active, on="meter_id")
    ended = pl.col("missing_to").fill_null(pl.col("end"))
    touched = within.filter(pl.col("start") < ended, pl.col("end") > pl.col("missing_from"))
    return merged(lacking, touched.select("meter_id", low="start", high="end"))


def merged(*parts: pl.DataFrame) -> pl.DataFrame:
    """Return SPAN rows that hold all of `parts`; those of a meter closer than SLACK are one."""
    whole = pl.concat([part.select(list(SPAN)) for part in parts]).sort("meter_id", "low")
    reach = pl.col("high").cum_max().shift(1).over("meter_id")
    begins = (pl.col("low") > reach + SLACK).fill_null(value=True)
    runs = whole.with_columns(begins.cum_sum().alias("run"))
    return runs.group_by("meter_id", "run", maintain_order=True).agg(
        pl.col("low").min(), pl.col("high").max()
    ).drop("run")  # fmt: skip


def widened(spans: pl.DataFrame, active: pl.DataFrame) -> pl.DataFrame:
    """Return the spans stretched over the whole of every gap they touch, until none is cut.

    Args:
        spans: schema SPAN.
        active: gaps: columns meter_id, start, end (null: open).
    """
    wider = merged(spans)
    while True:
        both = wider.join(active, on="meter_id")
        ended = pl.col("end").fill_null(pl.col("high"))
        touched = both.filter(pl.col("start") <= pl.col("high"), ended >= pl.col("low"))
        before, wider = wider, merged(wider, touched.select("meter_id", low="start", high=ended))
        if wider.equals(before):
            return wider


def silent(marks: pl.DataFrame, book: Book, now: datetime) -> pl.DataFrame:
    """Return the holes that are open at `now`: HOLE rows whose `missing_to` is null.

    Args:
        marks: schema `marks.MARKS`: when each register was last read, and what it showed. A meter
            whose register was never read has no gap: it is `never heard`.
        book: the meters' limits.
        now: site time.
    """
    limits = book.meters.select("meter_id", "max_interpolation_gap_s")
    late = marks.join(limits, on="meter_id").filter(
        pl.lit(now, dtype=UTC_US) - pl.col("watermark")
        > pl.duration(seconds="max_interpolation_gap_s")
    )
    return late.select(
        "meter_id",
        missing_from="watermark",
        missing_to=pl.lit(None, dtype=UTC_US),
        energy_kwh=pl.lit(None, dtype=pl.Float64()),
        register_before_kwh="register_kwh",
        register_after_kwh=pl.lit(None, dtype=pl.Float64()),
    )


def _instants(us: Ints) -> pl.Series:
    return pl.Series(us, dtype=pl.Int64).cast(UTC_US)
