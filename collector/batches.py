"""Batches of readings on their way from an edge to its upper side: pure.

Topic `demandwatch/v1/_batch/<edge id>`. Payload: `DWB1`, the number of readings and the CRC-32 of
what follows (both big-endian, 32 bits), then an Arrow IPC stream of READING rows, zstd-compressed.
`received_at` stays the edge's: redelivered or late, a batch never outranks what the edge heard
after it, and "the later received wins" holds whatever the order of arrival.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from io import BytesIO

import polars as pl

from collector import arrowguard
from collector.quantity import QUANTITIES
from collector.reading import KEY_SCHEMA, READING, UTC_US
from collector.reason import Reason
from collector.rows import Decoded, Message, Rejected
from collector.values import EARLIEST, FUTURE_TOLERANCE

_PREFIX = "demandwatch/v1/_batch/"
_MAGIC = b"DWB1"
_HEAD = struct.Struct("!4sII")


MAX_UNPACKED = 128_000_000
"""Bytes a batch may unpack to: 50,000 readings of all quantities with their register words."""


class BatchError(ValueError):
    """The payload is no batch of ours."""


def topic_of(edge: str) -> str:
    """Return the topic an edge publishes to."""
    return _PREFIX + edge


def edge_of(topic: str) -> str | None:
    """Return the edge a topic belongs to, None if it is no batch topic."""
    return topic.removeprefix(_PREFIX) if topic.startswith(_PREFIX) else None


def encode_batch(frame: pl.DataFrame) -> bytes:
    """Return the payload for READING rows; columns nobody filled are left out."""
    counts = frame.null_count().row(0)
    filled = [
        name
        for name, nulls in zip(frame.columns, counts, strict=True)
        if nulls < frame.height or name in KEY_SCHEMA
    ]
    body = BytesIO()
    frame.select(filled).write_ipc_stream(body, compression="zstd")
    data = body.getvalue()
    return _HEAD.pack(_MAGIC, frame.height, zlib.crc32(data)) + data


def decode_batch(payload: bytes, known: frozenset[str], now: datetime, topic: str) -> Decoded:
    """Decode and check one batch; a bad reading costs itself, a bad payload the batch.

    Args:
        payload: as `encode_batch` made it.
        known: ids of the meters this edge may speak for.
        now: the upper side's present, to tell the future.
        topic: where it came from, for the notes.
    """
    try:
        frame = _frame(payload)
    except BatchError as error:
        return Decoded(_nothing(), [Rejected(Reason.BAD_BATCH, topic, str(error), 1)])
    rejected = []
    foreign = [name for name in frame.columns if name not in READING]
    if foreign:
        what = f"columns {', '.join(foreign)[:150]}"
        rejected.append(Rejected(Reason.UNKNOWN_QUANTITY, topic, what, len(foreign)))
        frame = frame.drop(foreign)
    quantities = [name for name in frame.columns if name in QUANTITIES]
    good = pl.lit(value=True)
    for reason, column, wrong in _faults(known, now, quantities):
        bad = frame.filter(good & wrong.fill_null(value=False))
        if bad.height:
            rejected.append(Rejected(reason, topic, _excerpt(bad, column), bad.height))
            good &= ~wrong.fill_null(value=False)
    present = pl.lit(now, dtype=UTC_US)
    kept = frame.filter(good).with_columns(
        pl.min_horizontal(pl.col("received_at").fill_null(present), present).alias("received_at"),
        pl.col("source").fill_null("edge"),
    )
    return Decoded(kept, rejected)


def decode_batches(
    messages: Sequence[Message],
    edges: Mapping[str, frozenset[str]],
    now: datetime,
    max_payload_bytes: int,
) -> Decoded:
    """Decode messages of batch topics.

    Args:
        messages: in the order of arrival.
        edges: the meters each edge may speak for.
        now: instant of reception.
        max_payload_bytes: larger payloads are rejected unread.
    """
    found: list[Decoded] = []
    for one in messages:
        topic, payload = one.topic, one.payload
        edge = edge_of(topic) or ""
        if edge not in edges:
            note = Rejected(Reason.TOPIC_MISMATCH, topic, f"no edge {edge} is known here", 1)
        elif len(payload) > max_payload_bytes:
            note = Rejected(Reason.TOO_LARGE, topic, f"{len(payload)} bytes", 1)
        else:
            found.append(decode_batch(payload, edges[edge], now, topic))
            continue
        found.append(Decoded(_nothing(), [note]))
    frame = pl.concat([_nothing(), *(each.frame for each in found)], how="diagonal")
    return Decoded(frame, [note for each in found for note in each.rejected])


def _frame(payload: bytes) -> pl.DataFrame:
    if payload[:3] != _MAGIC[:3] or len(payload) < _HEAD.size:
        raise BatchError(f"does not begin as a batch does: {payload[:16]!r}")
    magic, rows, crc = _HEAD.unpack_from(payload)
    if magic != _MAGIC:
        raise BatchError(f"version {magic[3:]!r} of the batch format is not understood here")
    data = memoryview(payload)[_HEAD.size :]
    if zlib.crc32(data) != crc:
        raise BatchError("the check sum is wrong: the payload is damaged")
    try:
        arrowguard.check(data, rows, MAX_UNPACKED)
        frame = pl.read_ipc_stream(BytesIO(data))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise BatchError(f"not an Arrow stream: {str(error)[:120]}") from error
    wrong = [name for name, kind in frame.schema.items() if READING.get(name, kind) != kind]
    wrong += [name for name in KEY_SCHEMA if name not in frame.schema]
    if wrong or frame.height != rows:
        raise BatchError(f"not READING rows: {', '.join(wrong) or f'{frame.height} of {rows}'}")
    return frame


def _faults(
    known: frozenset[str], now: datetime, quantities: Sequence[str]
) -> Iterator[tuple[Reason, str, pl.Expr]]:
    """Yield what may be wrong with a row: reason, column to show, where it is so."""
    at = pl.col("measured_at")
    meter = pl.col("meter_id")
    yield (
        Reason.UNKNOWN_METER,
        "meter_id",
        meter.is_null() | ~meter.is_in(pl.Series(list(known), dtype=pl.String).implode()),
    )
    yield Reason.NO_TIME, "measured_at", at.is_null()
    yield Reason.TIME_IN_FUTURE, "measured_at", at > now + FUTURE_TOLERANCE
    yield Reason.TIME_BEFORE_2000, "measured_at", at < EARLIEST
    for name in quantities:
        value, quantity = pl.col(name), QUANTITIES[name]
        yield Reason.NOT_FINITE, name, ~value.is_finite()
        yield Reason.OUT_OF_RANGE, name, ~value.is_between(quantity.low, quantity.high)
    silent = [pl.col(name).is_null() for name in quantities] or [pl.lit(value=True)]
    silent.append(~pl.col("source").fill_null("").str.starts_with("import-undo:"))
    yield Reason.NO_QUANTITY, "measured_at", pl.all_horizontal(silent)


def _excerpt(bad: pl.DataFrame, column: str) -> str:
    """Show the first bad row; instants as integers, for these may lie beyond any calendar."""
    first = bad.head(1).with_columns(pl.col(UTC_US).to_physical()).row(0, named=True)
    shown = f"{column}={first[column]!r:.80}"
    return f"{shown} of {first['meter_id']!r:.80} at {first['measured_at']} us"


def _nothing() -> pl.DataFrame:
    return pl.DataFrame(schema=KEY_SCHEMA)
