"""Messages between the socket and the journal: gathered into bursts, counted while under way."""

import threading
import time

from collector.rows import Message

BURST = 2000
"""Messages handed over together at most."""
_BURST_BYTES = 8_000_000
_LINGER_S = 0.005  # a message waits for company no longer than this
_LATE_S = 5.0  # what may have waited longer does not tell its time by its arrival
HOLD_BYTES = 64_000_000
"""Payload bytes under way before reading stops."""


class Load:
    """What is under way to the journal, over all connections; from any thread."""

    def __init__(self, limit: int) -> None:
        """Begin with nothing; `limit` is the most messages under way."""
        self._limit = limit
        self._lock = threading.Lock()
        self._messages = self._bytes = 0

    def add(self, messages: int, size: int) -> None:
        """Count messages that were handed over; negative: they are finished."""
        with self._lock:
            self._messages += messages
            self._bytes += size

    @property
    def messages(self) -> int:
        """How many are under way."""
        return self._messages

    @property
    def full(self) -> bool:
        """Whether no more may be read: memory is bounded, the broker keeps the rest."""
        return self._messages > self._limit or self._bytes > HOLD_BYTES


class Inbox:
    """The burst that is being gathered; of one thread."""

    def __init__(self) -> None:
        """Begin empty."""
        self.messages: list[Message] = []
        self.ids: list[int] = []
        """Of those to be acknowledged."""
        self.size = 0
        """Bytes of payload."""
        self._first_at = 0.0

    def put(self, message: Message, mid: int | None) -> None:
        """Add a message; `mid` if it must be acknowledged."""
        if not self.messages:
            self._first_at = time.monotonic()
        self.messages.append(message)
        self.size += len(message.payload)
        if mid is not None:
            self.ids.append(mid)

    def end(self) -> None:
        """Note that nothing more has come: the burst is over."""
        self._first_at = 0.0

    @property
    def full(self) -> bool:
        """Whether it must be handed over before more is read."""
        return len(self.messages) >= BURST or self.size >= _BURST_BYTES

    @property
    def due(self) -> bool:
        """Whether it is time to hand it over."""
        return bool(self.messages) and (self.full or time.monotonic() - self._first_at >= _LINGER_S)

    def take(self) -> "Inbox":
        """Return what was gathered, and begin anew."""
        taken = Inbox()
        taken.messages, taken.ids, taken.size = self.messages, self.ids, self.size
        self.messages, self.ids, self.size = [], [], 0
        return taken


class Freshness:
    """Whether what is read has just come, or may have waited; times by a monotonic clock, seconds.

    What is read came after the socket was last seen empty. Where that is long ago, we stood still,
    and what the broker held back meanwhile follows: for as long again nothing counts as fresh.
    """

    def __init__(self, now_s: float) -> None:
        """Begin with an empty socket."""
        self._empty_at_s = now_s
        self._late_until_s = now_s

    def empty(self, now_s: float) -> None:
        """Note that there was nothing to read."""
        self._empty_at_s = now_s

    def reads(self, now_s: float) -> bool:
        """Return whether what is there to be read has just come."""
        if now_s - self._empty_at_s > _LATE_S:
            self._late_until_s = now_s + _LATE_S
        return now_s >= self._late_until_s
