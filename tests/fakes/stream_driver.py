"""Drives the step as the engine does, with history in memory; for tests that compare arrivals."""

from datetime import UTC, datetime, timedelta

import polars as pl

from collector.imported import standing
from collector.reading import UTC_US, conform, empty
from processors import interval
from processors.book import BOOK, Book
from processors.late import revise
from processors.step import State, step


def book_of(meters, **facts):
    """A book of meters of one site, all with the same facts."""
    row = {
        "site_id": "s1",
        "district": "nanshan",
        "timezone": "Asia/Shanghai",
        "is_main": True,
        "rated_power_kw": None,
        "register_modulus_kwh": None,
        "max_interpolation_gap_s": 1800,
    } | facts
    return Book(pl.DataFrame([{"meter_id": m} | row for m in meters], schema=BOOK).sort("meter_id"))


def readings_of(rows, received=None):
    """READING rows of (meter, measured_at, energy[, reactive[, voltage_a]])."""
    columns = [
        "meter_id",
        "measured_at",
        "energy_import_kwh",
        "reactive_import_kvarh",
        "voltage_a_v",
    ]
    width = len(rows[0]) if rows else 3
    frame = pl.DataFrame(rows, schema=columns[:width], orient="row")
    if "voltage_a_v" in frame.columns:
        frame = frame.with_columns(voltage_b_v=220.0, voltage_c_v=221.0)
    stamp = pl.col("measured_at") if received is None else pl.lit(received)
    return conform(
        frame.with_columns(
            pl.col("measured_at").cast(UTC_US),
            stamp.cast(UTC_US).alias("received_at"),
            source=pl.lit("test"),
        )
    )


def latest(intervals):
    """The latest revision of each block."""
    return (
        intervals.sort("computed_at", "revision")
        .group_by("meter_id", "start", maintain_order=True)
        .last()
        .select(list(interval.INTERVAL))
    )


class MemoryPast:
    """History in memory; obeys `processors.late.Past`."""

    def __init__(self):
        self.rows = empty()
        self.blocks = interval.empty()

    def readings(self, start, end, meters=None):
        at = pl.col("measured_at")
        return self.rows.filter((at >= start) & (at < end) & pl.col("meter_id").is_in(meters))

    def neighbours(self, meters, start, end, count):
        mine = standing(self.rows).filter(
            pl.col("meter_id").is_in(meters), pl.col("energy_import_kwh").is_not_null()
        )
        instants = mine.select("meter_id", "measured_at").unique().sort("measured_at")
        before = instants.filter(pl.col("measured_at") < start).group_by("meter_id").tail(count)
        after = instants.filter(pl.col("measured_at") > end).group_by("meter_id").head(count)
        return standing(self.rows).join(
            pl.concat([before, after]), on=["meter_id", "measured_at"], how="semi"
        )

    def intervals(self, start, end, meters=None):
        at = pl.col("start")
        return latest(self.blocks).filter(
            (at >= start) & (at < end) & pl.col("meter_id").is_in(meters)
        )


class Stream:
    """One engine's worth of state."""

    def __init__(self, book):
        self.book, self.past, self.state = book, MemoryPast(), State.empty()
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def take(self, readings):
        """One micro-batch."""
        self.now += timedelta(seconds=1)
        self.past.rows = pl.concat([self.past.rows, readings])
        self.state, result = step(self.state, readings, self.book, self.now)
        self.past.blocks = pl.concat([self.past.blocks, result.intervals])
        self.now += timedelta(seconds=1)
        fixed = revise(result.late, self.state.marks, self.past, self.book, self.now)
        self.past.blocks = pl.concat([self.past.blocks, fixed])
        return result, fixed

    def restart(self):
        """Lose the process, keep the snapshot."""
        self.state = State.from_arrow(self.state.to_arrow())

    def latest(self):
        """What history would answer now."""
        return latest(self.past.blocks)
