"""Turns: who on a bus is asked next, and when; pure, times are the caller's seconds."""

import heapq
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from collector.clock import Clock


class Patience(Protocol):
    """How long a link waits for those that do not answer; its settings."""

    @property
    def backoff_min_s(self) -> float:
        """First pause of a meter that does not answer."""

    @property
    def backoff_max_s(self) -> float:
        """Longest such pause."""


class Asked(Protocol):
    """One meter of a link."""

    @property
    def every_s(self) -> float:
        """Site seconds between two polls."""


Meter = TypeVar("Meter", bound=Asked)

_RECONNECT_S = 1.0
"""First pause after a refused connection: a gateway that restarts is back within seconds."""
_RECONNECT_MAX_S = 30.0
"""Longest such pause, however long the link is away: an attempt costs nobody anything."""
_ALIVE_ROW = 3
"""So many meters in a row that had answered before and now do not: it is the connection."""


class Turns(Generic[Meter]):
    """The order of polls on one bus.

    Meters are spread over their period at the start. A late poll is not caught up: the next is one
    period later. A meter that does not answer pauses for `backoff_min_s`, doubling to
    `backoff_max_s`; one that answers with an error keeps its period, for it costs no waiting.
    """

    def __init__(self, bus: Patience, targets: Sequence[Meter], clock: Clock, start: float) -> None:
        self.targets = targets
        self._bus = bus
        self._every = [clock.wall_seconds(one.every_s) for one in targets]
        self._queue = [(start + every * i / len(targets), i) for i, every in enumerate(self._every)]
        heapq.heapify(self._queue)
        self._silent = [0] * len(targets)
        self._row = 0
        self._fresh = 0
        self._refused = 0

    @property
    def target(self) -> Meter:
        """Whose turn is next."""
        return self.targets[self._queue[0][1]]

    @property
    def deaf(self) -> bool:
        """Whether the connection itself is suspect: half open, its far end may be gone for long.

        Nobody has answered for a whole round, or several in a row have just fallen silent.
        """
        fresh = min(_ALIVE_ROW, len(self.targets))
        return self._fresh >= fresh or self._row > max(3, len(self.targets))

    @property
    def silent(self) -> bool:
        """Whether `target` did not answer the last time: it is asked without repetitions."""
        return self._silent[self._queue[0][1]] > 0

    def next_in(self, now: float) -> float:
        """Return the seconds until the next turn; not positive: it is due."""
        return self._queue[0][0] - now

    def done(self, now: float) -> None:
        """Note an answer of `target`."""
        due, index = self._queue[0]
        self._silent[index] = self._row = self._fresh = 0
        heapq.heapreplace(self._queue, (max(due + self._every[index], now), index))

    def failed(self, now: float, *, answered: bool) -> None:
        """Note a failed poll of `target`; `answered` if it said something, if only an error."""
        if answered:
            self.done(now)
            return
        index = self._queue[0][1]
        pause = min(self._bus.backoff_min_s * 2 ** self._silent[index], self._bus.backoff_max_s)
        self._fresh += not self._silent[index]
        self._silent[index] = min(self._silent[index] + 1, 30)
        self._row += 1
        heapq.heapreplace(self._queue, (now + max(pause, self._every[index]), index))

    def connected(self, now: float) -> None:
        """Note that the link is up; after an absence the meters are spread over a period anew."""
        if self._refused:
            late = [due < now - self._every[i] for due, i in self._queue]
            self._queue = [
                (now + self._every[i] * i / len(self.targets) if far else due, i)
                for far, (due, i) in zip(late, self._queue, strict=True)
            ]
            heapq.heapify(self._queue)
        self._refused = self._row = self._fresh = 0

    def unreachable(self) -> float:
        """Note a refused connection; return the seconds to wait before the next attempt."""
        first = min(_RECONNECT_S, self._bus.backoff_min_s)
        pause = min(first * 2**self._refused, self._bus.backoff_max_s, _RECONNECT_MAX_S)
        self._refused = min(self._refused + 1, 30)
        return float(pause)
