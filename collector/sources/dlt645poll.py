"""One meter's poll on a DL/T 645 line: its items one after the other, then its clock."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from collector.clock import Clock
from collector.dlt645.bcd import NotBcdError
from collector.dlt645.items import Item
from collector.dlt645.meterclock import DATE, TIME, offset_s
from collector.dlt645.readings import Answer, Poll, Target
from collector.polls import micros
from collector.sources.dlt645link import Heard, Link, PollError

_REFUSALS = 3
_AGAIN_S = 3600.0
"""What a meter refuses `_REFUSALS` times in a row is asked for again after this."""


@dataclass(slots=True)
class _Memory:
    """What is remembered of one meter between polls; times are the loop's seconds."""

    refusals: Counter[str] = field(default_factory=Counter)
    not_before: dict[str, float] = field(default_factory=dict)
    """Item -> when it may be asked for again."""
    clock_at: float = 0.0
    """When the clock is due."""


class Asker:
    """Polls the meters of one line; must be made inside a running event loop.

    A poll is all or nothing: if one item gets no answer the reading is not made of the others. But
    an item that the meter refuses is left out of its reading, and so is the clock's offset if the
    clock cannot be read.
    """

    def __init__(self, clock: Clock, note: Callable[[Target, str, str], None]) -> None:
        """Remember nothing yet.

        Args:
            clock: site time.
            note: told of what was left out of a reading: meter, reason, text.
        """
        self._clock = clock
        self._note = note
        self._loop = asyncio.get_running_loop()
        self._memory: dict[str, _Memory] = {}

    async def poll(self, link: Link, target: Target, retries: int) -> Poll:
        """Read one meter, each request repeated at most `retries` times.

        Raises:
            PollError: an item was not answered, or every one was refused.
        """
        began = self._loop.time()
        memory = self._memory.setdefault(target.meter_id, _Memory())
        answers: list[Answer] = []
        first: Heard | None = None
        for item in target.items:
            if memory.not_before.get(item.name, 0.0) > self._loop.time():
                continue
            try:
                heard = [
                    await self._read(link, target, di, item.label(di), retries) for di in item.dis
                ]
            except PollError as error:
                if not error.answered:
                    raise
                self._refused(target, item, error, memory)
                continue
            memory.refusals[item.name] = 0
            first = first or heard[0]
            answers.append(Answer(item, tuple(one.payload for one in heard)))
        if first is None:
            raise PollError("dlt645_error", "every item is refused", answered=True)
        at_us = micros(self._clock.now()) - self._since_us(first)
        offset = await self._offset(link, target, memory, retries)
        return Poll(target, at_us, tuple(answers), offset, (self._loop.time() - began) * 1000)

    async def _read(self, link: Link, target: Target, di: int, label: str, retries: int) -> Heard:
        return await link.read(target.address, di, label, target.wake_bytes, retries)

    def _since_us(self, heard: Heard) -> int:
        """Return the site microseconds that passed since the middle of an exchange."""
        middle = (heard.began_s + heard.ended_s) / 2
        return round((self._loop.time() - middle) * self._clock.speed * 1e6)

    async def _offset(
        self, link: Link, target: Target, memory: _Memory, retries: int
    ) -> float | None:
        """Read the meter's clock if it is due; None if it is not, or cannot be told."""
        if memory.clock_at > self._loop.time():
            return None
        memory.clock_at = self._loop.time() + self._clock.wall_seconds(target.clock_every_s)
        try:
            date = await self._read(link, target, DATE, f"date ({DATE:08X})", retries)
            # not repeated: it would be unknown which of the requests was answered, and when
            time = await self._read(link, target, TIME, f"time ({TIME:08X})", 0)
            at_us = micros(self._clock.now()) - self._since_us(time)
            found = offset_s(date.payload, time.payload, at_us, target.zone)
        except (NotBcdError, PollError) as error:
            reason = "not_bcd" if isinstance(error, NotBcdError) else "dlt645_error"
            self._note(target, reason, f"clock: {error}")
            memory.clock_at = max(memory.clock_at, self._again_at("clock", memory))
            return None
        memory.refusals["clock"] = 0
        return found

    def _refused(self, target: Target, item: Item, error: PollError, memory: _Memory) -> None:
        """Note an item the meter refuses; ask for it again later if it keeps refusing."""
        memory.not_before[item.name] = self._again_at(item.name, memory)
        self._note(target, error.reason, str(error))

    def _again_at(self, what: str, memory: _Memory) -> float:
        """Return when to ask again for what was not told: soon, but three times in a row."""
        memory.refusals[what] += 1
        if memory.refusals[what] < _REFUSALS:
            return self._loop.time()
        memory.refusals[what] = 0
        return self._loop.time() + _AGAIN_S
