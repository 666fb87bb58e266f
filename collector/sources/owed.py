"""Owed answers: which request of an unnumbered line an answer belongs to; pure.

RTU frames carry no number. An answer that comes after its timeout looks like the answer to the next
request, if unit, function and length agree, and a value would move into another register. So each
request that was not answered stays in a book, and an answer counts only if no other request in the
book can have caused it. What makes that decidable is order: a meter answers its requests in the
order they were sent (it may leave some out). An answer that fits an older request therefore strikes
that one and all before it off the book, and is not believed; an answer that can only belong to
the latest strikes all.
"""

from collections import Counter, deque
from collections.abc import Iterator

from collector.modbusframes import Answer, Ask

_KEPT = 64
"""Unanswered requests remembered of a unit. An answer would have to come 64 requests late to slip
by, each of them timed out and spaced by the back-off: hours."""


class Owed:
    """The book of one line."""

    def __init__(self) -> None:
        self._open: dict[int, deque[Ask]] = {}
        self._now: Ask | None = None
        self.strays: Counter[int] = Counter()
        """Answers that no open request explains, by unit: something on the line answers twice, or
        somebody else asks."""

    def doubtful(self, ask: Ask) -> bool:
        """Return whether an answer to `ask` could be an older one's."""
        return any(_alike(ask, one) for one in self._open.get(ask.unit, ()))

    def probe(self, ask: Ask) -> Ask:
        """Return a harmless request whose answer cannot be taken for that of any open one.

        It reads a part of the same block; if all lengths are owed, the meter's other table.
        """
        for function, count in _probes(ask):
            found = Ask(ask.unit, function, ask.start, count, ask.turn)
            if not self.doubtful(found):
                return found
        return Ask(ask.unit, 7 - ask.function, ask.start, 1, ask.turn)

    def sent(self, ask: Ask) -> None:
        """Note that `ask` goes out; it is the one whose answer is waited for."""
        self._now = ask
        self._open.setdefault(ask.unit, deque(maxlen=_KEPT)).append(ask)

    def over(self) -> None:
        """Note that nobody waits any more."""
        self._now = None

    def heard(self, answer: Answer) -> bool:
        """Enter an answer; return whether it is certainly the one waited for.

        Repetitions of one request are one: whichever is answered, the value is of that block, and
        was read since the first was sent.
        """
        queue = self._open.get(answer.unit, deque())
        for index, one in enumerate(queue):
            if answer.fits(one):
                for _ in range(index + 1):
                    queue.popleft()
                if one != self._now:
                    return False
                self._now = None
                return True
        self.strays[answer.unit] += not answer.code
        return False


def _alike(one: Ask, other: Ask) -> bool:
    return (one.function, one.count) == (other.function, other.count)


def _probes(ask: Ask) -> Iterator[tuple[int, int]]:
    """Even lengths first: a meter may refuse to cut a number of two words in half."""
    other = 7 - ask.function
    shorter = [*range(ask.count - 2, 1, -2), *range(ask.count - 1, 0, -2)]
    yield from ((ask.function, count) for count in shorter[:1])
    yield other, 1
    yield from ((ask.function, count) for count in shorter[1:])
    yield from ((other, count) for count in range(2, 9))
