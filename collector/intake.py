"""From messages to the journal: decode, note what is bad, append, and tell when it is durable."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import polars as pl

from collector.batches import decode_batches, edge_of
from collector.decode import decode_many
from collector.health import Health
from collector.journal import Journal
from collector.metrics import Metrics
from collector.payloads.foreign import Foreign
from collector.rejects import Rejects
from collector.rows import Message, Rejected


@dataclass(frozen=True, slots=True)
class Desk:
    """What every source hands its readings to, and where it reports."""

    journal: Journal
    rejects: Rejects
    metrics: Metrics
    health: Health
    now: Callable[[], datetime]


class Acts(Protocol):
    """Keeps what people and their systems declare over the broker; a stage above implements it."""

    def knows(self, topic: str) -> bool:
        """Return whether messages of `topic` are declarations."""

    def take(
        self, messages: Sequence[Message], at: datetime, max_payload_bytes: int
    ) -> "Future[None]":
        """Return a future that is done when what is good of `messages` is durable.

        It fails where the disk did; then none of them may be acknowledged.
        """

    def close(self) -> None:
        """Finish what was taken."""


class Intake:
    """Takes batches of messages of one source."""

    def __init__(
        self,
        desk: Desk,
        known: frozenset[str],
        source: str,
        max_payload_bytes: int,
        foreign: Foreign | None = None,
        edges: Mapping[str, frozenset[str]] | None = None,
        acts: Acts | None = None,
    ) -> None:
        """Make one.

        Args:
            desk: where it reports.
            known: meters that may speak the canonical JSON.
            source: what their readings and the counters are marked with.
            max_payload_bytes: larger messages are rejected unread.
            foreign: understands the other meters' messages; None: there are none.
            edges: collectors at the edge that send batches, and the meters each may speak for.
            acts: keeps declarations; None: they are nobody's.
        """
        self._desk = desk
        self._source = source
        self._max_payload_bytes = max_payload_bytes
        self._foreign = foreign
        self.known = known
        """Meters that may speak; replaced whole when the settings are reloaded."""
        self._edges = edges or {}
        self._acts = acts
        self._messages = desk.metrics.counter("messages", "Messages received", ("source",))
        self._other_talk = desk.metrics.counter(
            "messages_ignored", "Messages of a device that hold no reading", ("source",)
        )
        self._readings = desk.metrics.counter(
            "readings", "Readings made durable in the journal", ("source",)
        )

    def take(self, messages: Sequence[Message]) -> "Future[int]":
        """Return a future that is done when every good reading of `messages` is durable.

        It fails as `Journal.append` and `Acts.take` say: then nothing of the batch may be
        acknowledged. Bad data never fails it: that is noted, and need not be sent again.
        """
        at = self._desk.now()
        acts = self._acts
        told: list[Message] = []
        if acts is not None:
            told = [one for one in messages if acts.knows(one.topic)]
            if told:
                messages = [one for one in messages if not acts.knows(one.topic)]
        frame, rejected = self._decode(messages, at)
        for one in rejected:
            self._desk.rejects.add(one.reason, self._source, one.topic, one.excerpt, at, one.count)
        self._messages.labels(self._source).inc(len(messages) + len(told))
        kept = self._desk.journal.append(frame, lambda _: self._durable(frame, at))
        if acts is None or not told:
            return kept
        return _both(kept, acts.take(told, at, self._max_payload_bytes))

    def _decode(
        self, messages: Sequence[Message], at: datetime
    ) -> tuple[pl.DataFrame, list[Rejected]]:
        others: list[Message] = []
        batches: list[Message] = []

        def claim(message: Message) -> bool:
            if edge_of(message.topic) is not None:
                batches.append(message)
                return True
            ours = self._foreign is not None and self._foreign.knows(message.topic)
            if ours:
                others.append(message)
            return ours

        limit = self._max_payload_bytes
        found = [decode_many(messages, self.known, at, self._source, limit, claim)]
        if batches:
            found.append(decode_batches(batches, self._edges, at, limit))
        if self._foreign is not None and others:
            ignored = self._foreign.ignored
            found.append(self._foreign.decode(others, at))
            self._other_talk.labels(self._source).inc(self._foreign.ignored - ignored)
        if len(found) == 1:
            return found[0].frame, found[0].rejected
        frame = pl.concat([one.frame for one in found], how="diagonal")
        return frame, [note for one in found for note in one.rejected]

    def _durable(self, frame: pl.DataFrame, at: datetime) -> None:
        self._readings.labels(self._source).inc(frame.height)
        self._desk.health.heard(frame["meter_id"].unique().to_list(), at, readings=frame)


def _both(first: "Future[int]", second: "Future[None]") -> "Future[int]":
    """Return what is done when both are, with the first's result; fails if either does."""
    whole: Future[int] = Future()

    def also(_: "Future[None]") -> None:
        error = first.exception() or second.exception()
        if error is not None:
            whole.set_exception(error)
        else:
            whole.set_result(first.result())

    first.add_done_callback(lambda _: second.add_done_callback(also))
    return whole
