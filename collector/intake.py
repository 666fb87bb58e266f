"""From messages to the journal: decode, note what is bad, append, and tell when it is durable."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from collector.decode import Message, decode_many
from collector.health import Health
from collector.journal import Journal
from collector.metrics import Metrics
from collector.payloads.foreign import Foreign
from collector.rejects import Rejects
from collector.rows import Rejected


@dataclass(frozen=True, slots=True)
class Desk:
    """What every source hands its readings to, and where it reports."""

    journal: Journal
    rejects: Rejects
    metrics: Metrics
    health: Health
    now: Callable[[], datetime]


class Intake:
    """Takes batches of messages of one source."""

    def __init__(
        self,
        desk: Desk,
        known: frozenset[str],
        source: str,
        max_payload_bytes: int,
        foreign: Foreign | None = None,
    ) -> None:
        """Make one.

        Args:
            desk: where it reports.
            known: meters that may speak the canonical JSON.
            source: what their readings and the counters are marked with.
            max_payload_bytes: larger messages are rejected unread.
            foreign: understands the other meters' messages; None: there are none.
        """
        self._desk = desk
        self._source = source
        self._max_payload_bytes = max_payload_bytes
        self._foreign = foreign
        self.known = known
        """Meters that may speak; replaced whole when the settings are reloaded."""
        self._messages = desk.metrics.counter("messages", "Messages received", ("source",))
        self._other_talk = desk.metrics.counter(
            "messages_ignored", "Messages of a device that hold no reading", ("source",)
        )
        self._readings = desk.metrics.counter(
            "readings", "Readings made durable in the journal", ("source",)
        )

    def take(self, messages: Sequence[Message]) -> "Future[int]":
        """Return a future that is done when every good reading of `messages` is durable.

        It fails as `Journal.append` says: then nothing of the batch may be acknowledged. Bad data
        never fails it: that is noted, and need not be sent again.
        """
        at = self._desk.now()
        frame, rejected = self._decode(messages, at)
        for one in rejected:
            self._desk.rejects.add(one.reason, self._source, one.topic, one.excerpt, at, one.count)
        self._messages.labels(self._source).inc(len(messages))
        return self._desk.journal.append(frame, lambda _: self._durable(frame, at))

    def _decode(
        self, messages: Sequence[Message], at: datetime
    ) -> tuple[pl.DataFrame, list[Rejected]]:
        others: list[Message] = []

        def claim(message: Message) -> bool:
            ours = self._foreign is not None and self._foreign.knows(message.topic)
            if ours:
                others.append(message)
            return ours

        limit = self._max_payload_bytes
        decoded = decode_many(messages, self.known, at, self._source, limit, claim)
        if self._foreign is None or not others:
            return decoded.frame, decoded.rejected
        ignored = self._foreign.ignored
        more = self._foreign.decode(others, at)
        self._other_talk.labels(self._source).inc(self._foreign.ignored - ignored)
        frame = pl.concat([decoded.frame, more.frame], how="diagonal")
        return frame, decoded.rejected + more.rejected

    def _durable(self, frame: pl.DataFrame, at: datetime) -> None:
        self._readings.labels(self._source).inc(frame.height)
        self._desk.health.heard(frame["meter_id"].unique().to_list(), at, readings=frame)
