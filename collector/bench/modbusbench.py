"""One Modbus meter on the bench: is it there, what does it say, how much does it say at once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from collector.bench.look import Answered, Reading, middle
from collector.identity import Identified, block_of, identify
from collector.profiles import MAX_REGISTERS, Profile
from collector.registers import Block, Plan
from collector.settings import BusSettings
from collector.sources.modbuslink import Link, PollError


class UnreachableError(OSError):
    """The link cannot be opened."""


@dataclass(frozen=True, slots=True)
class Slave:
    """Whom to ask, and how patiently."""

    unit: int
    timeout_s: float = 1.0
    retries: int = 0


class ModbusBench:
    """An open link; made by `open_modbus`."""

    def __init__(self, link: Link, bus: BusSettings, now: Callable[[], datetime]) -> None:
        self._link, self._bus, self._now = link, bus, now

    async def ask(self, block: Block, slave: Slave) -> Answered:
        """Send one request; what goes wrong is part of the answer."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        words, error, refused = None, "", False
        try:
            words = (await self._link.read(block, slave, slave.retries)).hex().upper()
        except PollError as failure:
            error, refused = str(failure), failure.answered
            if not self._link.connected and not await self._link.connect():
                raise UnreachableError(f"{self._bus.where}: {error}") from failure
        took = (loop.time() - began) * 1000
        return Answered(
            function=block.function, start=block.start, count=block.count,
            words=words, error=error, refused=refused, took_ms=round(took, 3),
        )  # fmt: skip

    async def present(self, slave: Slave, function: int = 3) -> Answered | None:
        """Return the answer to the shortest request there is, be it a refusal; None: silence."""
        found = await self.ask(Block(function, 0, 1), slave)
        return found if found.words is not None or found.refused else None

    async def read(
        self, layout: Plan, slave: Slave, known: Mapping[Block, Answered] | None = None
    ) -> Reading:
        """Read a whole map.

        A request that the meter refuses is followed by one for each of its parts, so that the hole
        is known by name. A meter that stays silent is not asked on.

        Args:
            layout: the map and its requests.
            slave: whom.
            known: answers to requests made a moment ago, which need not be repeated.
        """
        began, answers = self._now(), list[Answered]()
        for block in layout.blocks:
            found = (known or {}).get(block) or await self.ask(block, slave)
            answers.append(found)
            if found.refused:
                for part in _parts(layout.profile, block):
                    answers.append((known or {}).get(part) or await self.ask(part, slave))
            elif found.words is None:
                break
        return Reading(at=middle(began, self._now()), answers=tuple(answers))

    async def identify(self, profile: Profile, slave: Slave) -> list[Identified]:
        """Return what the meter says of itself where the profile tells to look."""
        found = []
        for one in profile.identity:
            answer = await self.ask(block_of(profile, one), slave)
            data = bytes.fromhex(answer.words or "")
            words = [int.from_bytes(data[i : i + 2]) for i in range(0, len(data), 2)]
            told = identify(profile, one, words) if words else None
            if told is not None:
                found.append(told)
        return found

    async def longest(self, block: Block, slave: Slave) -> tuple[int, str]:
        """Return how many registers from `block.start` come in one answer, and what stops more.

        Found by halving between what is known to come and the protocol's 125; a refusal may be for
        the number, or for a register behind the map that does not exist: the reason tells no more
        than the meter does.
        """
        low, high, why = block.count, min(MAX_REGISTERS, 65536 - block.start) + 1, ""
        while high - low > 1:
            tried = (low + high) // 2
            answer = await self.ask(Block(block.function, block.start, tried), slave)
            if answer.words is None:
                high, why = tried, answer.error
            else:
                low = tried
        return low, why or "the protocol's limit"


@asynccontextmanager
async def open_modbus(bus: BusSettings, now: Callable[[], datetime]) -> AsyncIterator[ModbusBench]:
    """Open the link.

    Raises:
        UnreachableError: it cannot be opened.
        ValueError: its TLS files cannot be used.
    """
    link = Link(bus)
    if not await link.connect():
        link.close()
        raise UnreachableError(f"{bus.where}: accepts no connection")
    try:
        yield ModbusBench(link, bus, now)
    finally:
        link.close()


def _parts(profile: Profile, block: Block) -> Sequence[Block]:
    """Return the spans of the map that a request joined; none if it is a single one."""
    found = [
        Block(function, first, end - first)
        for function, first, end in sorted(profile.spans().values())
        if function == block.function and block.start <= first < block.start + block.count
    ]
    return found if len(found) > 1 else ()
