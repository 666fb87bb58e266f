"""MQTT payloads to readings: pure, a batch of messages at a time.

Canonical topic `demandwatch/v1/<meter_id>/readings`; payload one JSON object or an array of them:
`{"measured_at": "2026-11-22T08:15:00+08:00" | epoch ms, "energy_import_kwh": 1234.5, ...}`.
A bad value rejects its reading, never its neighbours; nothing is invented and nothing is dropped
without a reason.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime

import orjson

from collector.reason import Reason
from collector.rows import EXCERPT_CHARS, Decoded, Message, Rejected, Rows

__all__ = ["Decoded", "Message", "Rejected", "decode_many", "meter_of"]

MAX_PAYLOAD_BYTES = 1_048_576


def decode_many(
    messages: Sequence[Message],
    known: frozenset[str],
    now: datetime,
    source: str,
    max_payload_bytes: int = MAX_PAYLOAD_BYTES,
    foreign: Callable[[Message], bool] = lambda _: False,
) -> Decoded:
    """Decode a batch.

    Args:
        messages: in the order of arrival.
        known: ids of the meters that may speak.
        now: instant of reception; becomes `received_at`.
        source: becomes `source`.
        max_payload_bytes: larger payloads are rejected unread.
        foreign: takes a message on another topic; False if the topic is nobody's.
    """
    rows = Rows()
    meters: dict[str, str | None] = {}
    for message in messages:
        topic, payload, _ = message
        if topic not in meters:
            meters[topic] = meter_of(topic)
        meter = meters[topic]
        if len(payload) > max_payload_bytes:
            rows.reject(Reason.TOO_LARGE, topic, f"{len(payload)} bytes: {text_of(payload)}")
        elif meter is None:
            if not foreign(message):
                rows.reject(Reason.TOPIC_MISMATCH, topic, text_of(payload))
        elif meter not in known:
            rows.reject(Reason.UNKNOWN_METER, topic, text_of(payload))
        else:
            _take(rows, topic, meter, payload)
    return Decoded(rows.frame(now, source), rows.rejected())


def meter_of(topic: str) -> str | None:
    """Return the meter a canonical topic belongs to, or None if it is no such topic."""
    levels = topic.split("/")
    if len(levels) == 4 and levels[:2] == ["demandwatch", "v1"] and levels[3] == "readings":
        return levels[2]
    return None


def _take(rows: Rows, topic: str, meter: str, payload: bytes) -> None:
    try:
        content = parse(payload)
    except (ValueError, RecursionError) as error:
        rows.reject(Reason.NOT_JSON, topic, f"{error}: {text_of(payload)}")
        return
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        rows.reject(Reason.NOT_AN_OBJECT, topic, text_of(payload))
        return
    if not content:
        rows.reject(Reason.NO_QUANTITY, topic, text_of(payload))
    if set(map(type, content)) - {dict}:
        strange = [one for one in content if type(one) is not dict]
        rows.reject(Reason.NOT_AN_OBJECT, topic, repr(strange[0]), len(strange))
        content = [one for one in content if type(one) is dict]
    rows.values += content
    rows.meters += [meter] * len(content)
    rows.topics += [topic] * len(content)


def parse(payload: bytes) -> object:
    """Return what a JSON payload says.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested without end.
    """
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        # Many devices write NaN, which is not JSON: read it, so that only its row is rejected.
        if b"NaN" in payload or b"Infinity" in payload:
            return json.loads(payload)
        raise


def text_of(payload: bytes) -> str:
    """Return the beginning of a payload as text, for an excerpt."""
    return payload[:EXCERPT_CHARS].decode(errors="replace")
