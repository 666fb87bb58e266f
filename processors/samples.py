"""Readings as sorted arrays: what the arithmetic of blocks works on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from collector.imported import ORIGIN, Form, origins
from collector.reading import KEY, UTC_US, conform
from processors.book import Book
from processors.limits import Bools, Floats, Ints

SAMPLE: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "measured_at": UTC_US,
    "received_at": UTC_US,
    "energy_import_kwh": pl.Float64(),
    "reactive_import_kvarh": pl.Float64(),
    "power_kw": pl.Float64(),
    "unbalance_pct": pl.Float64(),
    "origin": ORIGIN,
    "phase_gap_kw": pl.Float32(),
    "clock_offset_s": pl.Float32(),
}
"""The columns of a reading that blocks depend on; what the step's state keeps. `origin` as of
`collector.imported`; `phase_gap_kw` by how much the phase powers miss their total."""

_KEY_SPACE = 1 << 62

VALUES = ("energy_import_kwh", "reactive_import_kvarh", "power_kw", "unbalance_pct")
CHECKS = ("phase_gap_kw", "clock_offset_s")
"""What only validation rules look at."""


def unbalance_pct() -> pl.Expr:
    """Return the voltage unbalance of a reading: negative over positive sequence, percent.

    Symmetrical components (GB/T 15543-2008) with the three phase voltages taken 120 degrees apart,
    since meters report magnitudes: U2/U1 = sqrt(a2 + b2 + c2 - ab - bc - ca) / (a + b + c).
    """
    a, b, c = (pl.col(f"voltage_{phase}_v") for phase in "abc")
    negative = (a * a + b * b + c * c - a * b - b * c - c * a).clip(lower_bound=0.0).sqrt()
    total = a + b + c
    return (pl.when(total > 0).then(negative / total * 100.0)).alias("unbalance_pct")


def _phase_gap_kw(columns: list[str]) -> pl.Expr:
    phases = [f"power_{phase}_kw" for phase in "abc"]
    if not {*phases, "power_kw"} <= set(columns):
        return pl.lit(None, dtype=pl.Float32).alias("phase_gap_kw")
    total = pl.col(phases[0]) + pl.col(phases[1]) + pl.col(phases[2])
    return (total - pl.col("power_kw")).abs().cast(pl.Float32).alias("phase_gap_kw")


def registered(readings: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Return READING rows where a counter of output has its count as its register.

    All that follows takes energy_import_kwh as the register; `blocks` names the figures rightly.
    Doing it twice changes nothing.
    """
    if not book.counting or "meter_id" not in readings.columns:
        return readings
    absent = [
        pl.lit(None, dtype=pl.Float64).alias(name)
        for name in ("energy_import_kwh", "output_count")
        if name not in readings.columns
    ]
    others = [n for n in ("reactive_import_kvarh", "power_kw") if n in readings.columns]
    counter = pl.col("meter_id").is_in(book.counting)
    return readings.with_columns(*absent).with_columns(
        register_of(book).alias("energy_import_kwh"),
        *(pl.when(~counter).then(n).alias(n) for n in others),
    )


def register_of(book: Book) -> pl.Expr:
    """Return the register of READING rows: energy, or of a counter of output its count."""
    if not book.counting:
        return pl.col("energy_import_kwh")
    counter = pl.col("meter_id").is_in(book.counting)
    return pl.when(counter).then("output_count").otherwise("energy_import_kwh")


def to_samples(readings: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Return READING rows as SAMPLE rows; non-finite values become null."""
    readings = registered(readings, book)
    full = readings if "voltage_a_v" in readings.columns else conform(readings)
    absent = [
        pl.lit(None, dtype=pl.Float64).alias(name)
        for name in ("energy_import_kwh", "reactive_import_kvarh", "power_kw", "clock_offset_s")
        if name not in full.columns
    ]
    origin = origins(full["source"]) if "source" in full.columns else None
    made = pl.lit(0, dtype=ORIGIN).alias("origin") if origin is None else origin
    gap, clock = _phase_gap_kw(full.columns), pl.col("clock_offset_s").cast(pl.Float32)
    return full.with_columns(*absent).select(*list(SAMPLE)[:6], unbalance_pct(), made, gap, clock)


@dataclass(frozen=True, slots=True)
class Samples:
    """Distinct samples sorted by (code, t); NaN where a sample does not say."""

    code: Ints
    """Row of the meter in the book."""
    t: Ints
    """Microseconds, UTC."""
    energy: Floats
    reactive: Floats
    power: Floats
    unbalance: Floats
    phase_gap: npt.NDArray[np.float32]
    clock: npt.NDArray[np.float32]
    origin: npt.NDArray[np.int32]
    """Of the energy; as of `collector.imported`."""
    corrected: Bools
    """The instant was told more than once, with different values; the latest received stands."""
    repeated: bool = False
    """Some instant was told more than once."""

    def take(self, rows: npt.NDArray[np.bool_]) -> "Samples":
        """Return the samples where `rows` is true."""
        return Samples(
            self.code[rows],
            self.t[rows],
            self.energy[rows],
            self.reactive[rows],
            self.power[rows],
            self.unbalance[rows],
            self.phase_gap[rows],
            self.clock[rows],
            self.origin[rows],
            self.corrected[rows],
        )


def code_of(frame: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Return `frame` without meters the book does not know, with `code` (Int64), the book's row."""
    codes = frame["meter_id"].cast(book.ids, strict=False).to_physical().cast(pl.Int64)
    coded = frame.with_columns(codes.alias("code"))
    return coded.filter(pl.col("code").is_not_null()) if codes.null_count() else coded


def arrange(coded: pl.DataFrame) -> Samples:
    """Sort SAMPLE rows with their `code` by meter and time, and settle repeated instants.

    The same values again change nothing; of different values the later received stands, column by
    column, and the instant is marked corrected.
    """
    coded = in_order(coded)
    code, t = coded["code"].to_numpy(), coded["measured_at"].to_physical().to_numpy()
    twin = (code[1:] == code[:-1]) & (t[1:] == t[:-1])
    corrected = np.zeros(len(code), dtype=bool)
    repeated = bool(twin.any())
    if repeated:
        coded, corrected = _settle(coded, twin)
        code = coded["code"].to_numpy()
        t = coded["measured_at"].to_physical().to_numpy()
    energy, reactive, power, unbalance, gap, clock = (
        coded[name].fill_null(float("nan")).to_numpy() for name in (*VALUES, *CHECKS)
    )
    origin = coded["origin"].to_numpy()
    values = (energy, reactive, power, unbalance, gap, clock)
    return Samples(code, t, *values, origin, corrected, repeated)


def in_order(coded: pl.DataFrame) -> pl.DataFrame:
    """Sort by (code, measured_at); as one integer key where it fits, several times as fast."""
    at = coded["measured_at"].to_physical()
    if coded.is_empty():
        return coded
    if at.is_sorted():  # as readings arrive: a stable sort by meter is enough
        return coded[np.argsort(coded["code"].to_numpy(), kind="stable")]
    first, width = at.min(), at.max() - at.min() + 1  # type: ignore[operator]  # a series of integers
    if (coded["code"].max() + 1) * width >= _KEY_SPACE:  # type: ignore[operator]  # same
        return coded.sort("code", "measured_at")
    key = coded["code"] * width + (at - first)
    return coded.with_columns(key.alias("key")).sort("key").drop("key")


def _settle(coded: pl.DataFrame, repeated: Bools) -> tuple[pl.DataFrame, Bools]:
    """Merge repeated instants; only they are grouped, the others pass through."""
    twin = np.zeros(len(coded), dtype=bool)
    twin[1:] |= repeated
    twin[:-1] |= repeated
    told = pl.col("energy_import_kwh").is_not_null()
    once = coded.filter(~twin).with_columns(corrected=pl.lit(value=False))
    merged = (
        coded.filter(twin)
        .sort("code", "measured_at", "received_at", *VALUES, *CHECKS)
        .group_by("code", "measured_at", maintain_order=True)
        .agg(
            pl.col("meter_id").first(),
            pl.col("received_at").last(),
            *(pl.col(name).drop_nulls().last() for name in (*VALUES, *CHECKS)),
            pl.col("origin").filter(told).last().fill_null(0),
            corrected=pl.any_horizontal(
                pl.col(name).drop_nulls().n_unique() > 1 for name in VALUES
            ),
        )
    )
    whole = pl.concat([once, merged.select(once.columns)]).sort("code", "measured_at")
    return whole, whole["corrected"].to_numpy()


def breaks(origin: npt.NDArray[np.int32]) -> Bools:
    """Return which readings show another register than the reading before them.

    The sum of imported interval values is a register of its own, and so is each run of it.
    """
    if not origin.any():
        return np.zeros(len(origin), dtype=bool)
    form = origin % 4
    of_intervals = (form == Form.INTERVAL) | (form == Form.START)
    broken: Bools = form == Form.START
    broken[1:] |= of_intervals[1:] != of_intervals[:-1]
    return broken


def distinct(samples: pl.DataFrame) -> pl.DataFrame:
    """Drop exact repetitions (same key, same values), keeping the latest received of each."""
    return (
        samples.group_by(*KEY, *VALUES, *CHECKS, "origin", maintain_order=True)
        .agg(pl.col("received_at").max())
        .select(list(SAMPLE))
    )
