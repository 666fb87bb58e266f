"""MQTT payloads to readings: pure, a batch of messages at a time.

Canonical topic `demandwatch/v1/<meter_id>/readings`; payload one JSON object or an array of them:
`{"measured_at": "2026-11-22T08:15:00+08:00" | epoch ms, "energy_import_kwh": 1234.5, ...}`.
A bad value rejects its reading, never its neighbours; nothing is invented and nothing is dropped
without a reason.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np
import orjson
import polars as pl

from collector.quantity import QUANTITIES
from collector.reading import UTC_US
from collector.reason import Reason
from collector.values import Mask, instants, numbers

MAX_PAYLOAD_BYTES = 1_048_576
EXCERPT_CHARS = 200
_ALLOWED = frozenset(("measured_at", "meter_id", *QUANTITIES))


class Message(NamedTuple):
    """What a broker delivered."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Rejected:
    """Bad data of one kind from one topic."""

    reason: Reason
    topic: str
    excerpt: str
    """The first of them, shortened."""
    count: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a batch of messages held."""

    frame: pl.DataFrame
    """READING without the quantities nobody mentioned; in the order of the messages."""
    rejected: list[Rejected]


@dataclass(slots=True)
class _Rows:
    """Readings as decoded, side by side with where they came from, and what was rejected."""

    values: list[dict[str, object]] = field(default_factory=list)
    meters: list[str] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)
    notes: dict[tuple[Reason, str], tuple[str, int]] = field(default_factory=dict)

    def reject(self, reason: Reason, topic: str, excerpt: str, count: int = 1) -> None:
        first, before = self.notes.get((reason, topic), (excerpt, 0))
        self.notes[reason, topic] = (first[:EXCERPT_CHARS], before + count)

    def reject_row(self, reason: Reason, index: int, key: str, value: object) -> None:
        topic = self.topics[index]
        at = self.values[index].get("measured_at")
        known = (reason, topic) in self.notes  # a flood is counted, not written out
        self.reject(reason, topic, "" if known else f"{key}={value!r:.120} at {at!r:.40}")

    def rejected(self) -> list[Rejected]:
        return [Rejected(*key, *note) for key, note in self.notes.items()]


def decode_many(
    messages: Sequence[Message],
    known: frozenset[str],
    now: datetime,
    source: str,
    max_payload_bytes: int = MAX_PAYLOAD_BYTES,
) -> Decoded:
    """Decode a batch.

    Args:
        messages: in the order of arrival.
        known: ids of the meters that may speak.
        now: instant of reception; becomes `received_at`.
        source: becomes `source`.
        max_payload_bytes: larger payloads are rejected unread.
    """
    rows = _Rows()
    meters: dict[str, str | None] = {}
    for topic, payload in messages:
        if topic not in meters:
            meters[topic] = meter_of(topic)
        meter = meters[topic]
        if meter is None:
            rows.reject(Reason.TOPIC_MISMATCH, topic, _text(payload))
        elif meter not in known:
            rows.reject(Reason.UNKNOWN_METER, topic, _text(payload))
        elif len(payload) > max_payload_bytes:
            rows.reject(Reason.TOO_LARGE, topic, f"{len(payload)} bytes: {_text(payload)}")
        else:
            _take(rows, topic, meter, payload)
    return Decoded(_frame(rows, now, source), rows.rejected())


def meter_of(topic: str) -> str | None:
    """Return the meter a canonical topic belongs to, or None if it is no such topic."""
    levels = topic.split("/")
    if len(levels) == 4 and levels[:2] == ["demandwatch", "v1"] and levels[3] == "readings":
        return levels[2]
    return None


def _take(rows: _Rows, topic: str, meter: str, payload: bytes) -> None:
    try:
        content = _parse(payload)
    except (ValueError, RecursionError) as error:
        rows.reject(Reason.NOT_JSON, topic, f"{error}: {_text(payload)}")
        return
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        rows.reject(Reason.NOT_AN_OBJECT, topic, _text(payload))
        return
    if not content:
        rows.reject(Reason.NO_QUANTITY, topic, _text(payload))
    if set(map(type, content)) - {dict}:
        strange = [one for one in content if type(one) is not dict]
        rows.reject(Reason.NOT_AN_OBJECT, topic, repr(strange[0]), len(strange))
        content = [one for one in content if type(one) is dict]
    rows.values += content
    rows.meters += [meter] * len(content)
    rows.topics += [topic] * len(content)


def _parse(payload: bytes) -> object:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        # Many devices write NaN, which is not JSON: read it, so that only its row is rejected.
        if b"NaN" in payload or b"Infinity" in payload:
            return json.loads(payload)
        raise


def _frame(rows: _Rows, now: datetime, source: str) -> pl.DataFrame:
    count = len(rows.values)
    keys: set[str] = set().union(*rows.values)
    good = np.ones(count, bool)
    if not keys <= _ALLOWED:
        _note_unknown(rows)
    if "meter_id" in keys:
        said = [
            row.get("meter_id", meter) for row, meter in zip(rows.values, rows.meters, strict=True)
        ]
        wrong = np.array([a != b for a, b in zip(said, rows.meters, strict=True)], dtype=bool)
        _note(rows, good, Reason.TOPIC_MISMATCH, wrong, "meter_id", said)
    times = [row.get("measured_at") for row in rows.values]
    micros, faults = instants(times, now)
    for reason, wrong in faults:
        _note(rows, good, reason, wrong, "measured_at", times)
    columns = {}
    silent = np.ones(count, bool)
    for name in (name for name in QUANTITIES if name in keys):
        values = [row.get(name) for row in rows.values]
        columns[name], unsaid, faults = numbers(name, values)
        silent = np.zeros(count, bool) if unsaid is None else silent & unsaid
        for reason, wrong in faults:
            _note(rows, good, reason, wrong, name, values)
    _note(rows, good, Reason.NO_QUANTITY, silent & good, "reading", rows.values)
    frame = pl.DataFrame(
        {"meter_id": pl.Series(rows.meters, dtype=pl.String), "measured_at": micros},
    ).with_columns(
        pl.col("measured_at").cast(UTC_US),
        pl.lit(now).cast(UTC_US).alias("received_at"),
        pl.lit(source).alias("source"),
        *(pl.Series(name, column).fill_nan(None) for name, column in columns.items()),
    )
    return frame if good.all() else frame.filter(pl.Series(good))


def _note(
    rows: _Rows, good: Mask, reason: Reason, wrong: Mask, key: str, values: Sequence[object]
) -> None:
    """Reject the rows `wrong` marks and clear them in `good`."""
    if not wrong.any():
        return
    good &= ~wrong
    for i in np.flatnonzero(wrong).tolist():
        rows.reject_row(reason, i, key, values[i])


def _note_unknown(rows: _Rows) -> None:
    for i, row in enumerate(rows.values):
        for key in row.keys() - _ALLOWED:
            rows.reject_row(Reason.UNKNOWN_QUANTITY, i, key, row[key])


def _text(payload: bytes) -> str:
    return payload[:EXCERPT_CHARS].decode(errors="replace")
