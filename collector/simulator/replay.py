"""Replay of recorded readings through the real sources: over MQTT at once, over Modbus by clock."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from collector.polls import micros
from collector.quantity import COUNTERS, QUANTITIES
from collector.simulator.modbus_meters import Refusal
from collector.simulator.publisher import Publisher, payload_of, topic_of
from collector.simulator.shapes import Floats, Ints

_TIME = "%Y-%m-%dT%H:%M:%S%.6f+00:00"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay has sent, all of it acknowledged by the broker."""

    readings: int
    messages: int
    seconds: float


def publish(
    frame: pl.DataFrame,
    publisher: Publisher,
    per_message: int = 50,
    progress: Callable[[int], None] | None = None,
) -> Replayed:
    """Publish READING rows as fast as the broker takes them, in order of time within each meter.

    Args:
        frame: READING rows; nulls are left out of the payload.
        publisher: connected; stays connected.
        per_message: readings a message.
        progress: told the number of readings of each message sent.

    Raises:
        TimeoutError: the broker stopped acknowledging.
    """
    began = time.monotonic()
    messages = 0
    for meter_id, rows in _batches(frame, per_message):
        publisher.publish(topic_of(meter_id), payload_of(rows))
        messages += 1
        if progress is not None:
            progress(len(rows))
    if not publisher.settle(60.0):
        raise TimeoutError("the broker has acknowledged nothing for a minute")
    return Replayed(frame.height, messages, time.monotonic() - began)


def _batches(frame: pl.DataFrame, size: int) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """Yield (meter, rows) oldest first, so that meters advance together."""
    filled = [name for name in QUANTITIES if name in frame.columns and frame[name].count()]
    rows = (
        frame.sort("meter_id", "measured_at")
        .with_columns(batch=pl.int_range(pl.len()).over("meter_id") // size)
        .with_columns(begins=pl.col("measured_at").min().over("meter_id", "batch"))
        .sort("begins", "meter_id", "measured_at", maintain_order=True)
    )
    nulls = any(rows[name].null_count() for name in filled)
    told = rows.select(
        "meter_id", "batch", pl.col("measured_at").dt.strftime(_TIME), *map(pl.col, filled)
    )
    for (meter_id, _), group in told.group_by("meter_id", "batch", maintain_order=True):
        found = group.drop("meter_id", "batch").to_dicts()
        if nulls:
            found = [{k: v for k, v in row.items() if v is not None} for row in found]
        yield str(meter_id), found


class Recording:
    """One meter's recorded registers as a simulated meter shows them between two readings.

    Counters run linearly between recorded values, as the energy between them is all that is known;
    gauges hold the last. Before the first and after the last reading the meter is silent.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        """Take READING rows of one meter.

        Raises:
            ValueError: rows of several meters, or none.
        """
        if frame["meter_id"].n_unique() != 1:
            raise ValueError("a recording is of exactly one meter")
        rows = frame.sort("measured_at")
        self._at: Ints = rows["measured_at"].dt.epoch("us").to_numpy()
        self._columns: dict[str, Floats] = {
            name: rows[name].fill_null(float("nan")).to_numpy()
            for name in QUANTITIES
            if name in rows.columns and rows[name].count()
        }

    def show(self, at: datetime) -> Mapping[str, float | None] | Refusal:
        """Return what the meter shows at `at`."""
        now = micros(at)
        if not self._at[0] <= now <= self._at[-1]:
            return Refusal.SILENT
        last = int(np.searchsorted(self._at, now, side="right")) - 1
        found = {}
        for name, column in self._columns.items():
            value = column[last]
            if name in COUNTERS and last + 1 < len(column):
                share = (now - self._at[last]) / (self._at[last + 1] - self._at[last])
                value += (column[last + 1] - value) * share
            found[name] = None if np.isnan(value) else float(value)
        return found
