"""One Modbus link: read a block of a meter, or say what went wrong; whatever the line carries.

TCP and TLS number their requests. Serial lines, and those behind serial servers, do not: there the
book of owed answers (`owed.py`) keeps a late one from being taken for the next request's.
"""

import asyncio
import ssl
from typing import Protocol

from collector.modbusframes import Answer, Ask, find_tcp, split_rtu
from collector.registers import Block
from collector.settings import BusSettings
from collector.sources.modbusclient import Connection, NoAnswerError
from collector.sources.owed import Owed

_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}
"""Modbus Application Protocol V1.1b3, section 7."""
_SILENCE = {10, 11}
"""Exceptions of a gateway that has itself waited in vain for the meter."""
_WARY_S = 60.0
"""After an unanswered request: real seconds in which each reading is confirmed by a probe."""
_PROBES = 2
"""Requests spent on finding out whether a late answer is still under way, before giving up."""


class PollError(Exception):
    """A block could not be read."""

    def __init__(self, reason: str, text: str, *, answered: bool) -> None:
        super().__init__(text)
        self.reason = reason
        """A word of `collector.reason`."""
        self.answered = answered
        """Whether the meter said anything: then asking it again costs no waiting."""


class Asked(Protocol):
    """A meter of the bus, as far as the link is concerned."""

    @property
    def unit(self) -> int:
        """Its address."""

    @property
    def timeout_s(self) -> float:
        """Longest wait for one answer."""

    @property
    def retries(self) -> int:
        """Repetitions of a request that was not answered."""


class Link:
    """The way to the meters of one bus; needs a running event loop."""

    def __init__(self, bus: BusSettings) -> None:
        """Prepare the link; nothing is opened yet."""
        self._bus = bus
        self._unnumbered, self._pause_s = bus.unnumbered, bus.pause_s
        self._owed = Owed()
        self._ask = Ask(0, 3, 0, 0)
        self._turn = 0
        self._spoken_at = 0.0
        self._wary: dict[int, float] = {}
        self._used = False
        # not from 1: a gateway may still hold an answer for the process before this one
        self._transaction = int(asyncio.get_running_loop().time() * 1000) % 50_000
        self._connection: Connection | None = None

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return self._connection is not None and self._connection.connected

    async def connect(self) -> bool:
        """Try once to connect, for at most the bus's timeout.

        Raises:
            ValueError: a certificate or key cannot be used; they are read each time, for they are
                renewed.
        """
        self.close()
        find = self._find_rtu if self._unnumbered else self._find_tcp
        made = Connection(self._bus, context_of(self._bus), find, self._transaction)
        if not await made.connect():
            return False
        self._connection = made
        pause = self._bus.pause_after_connect_s
        if self._unnumbered and not self._used:
            # answers to a process before this one, of which the book knows nothing
            pause = max(pause, self._bus.timeout_s)
        self._used = True
        await asyncio.sleep(pause)
        return True

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._transaction = self._connection.transaction
            self._connection.close()
            self._connection = None

    async def settle(self, block: Block, meter: Asked) -> None:
        """Make sure that the next answer of `meter` will be to the next request.

        Raises:
            PollError: that cannot be had just now.
        """
        if not self._unnumbered:
            if self._pause_s:
                await self._pause()
            return
        ask = Ask(meter.unit, block.function, block.start, block.count)
        for _ in range(_PROBES):
            if not self._owed.doubtful(ask):
                await self._pause()
                return
            await self._try(self._owed.probe(ask), meter)
        if self._owed.doubtful(ask):
            what = f"unit {meter.unit}: cannot be told from a late answer: {_at(block)}"
            raise PollError("timeout", what, answered=False)

    async def confirm(self, meter: Asked, strays: int) -> None:
        """Make sure that a reading just made is sound: that no answer of `meter` is left over.

        The book trusts that a meter answers in order. Should one not, an older answer has taken the
        place of a newer, which then comes unasked: a last probe flushes it out. It is sent only
        within a minute of an unanswered request.

        Args:
            meter: who was read.
            strays: `strays` of its unit before the reading.

        Raises:
            PollError: more answers than requests came, or the probe found no end.
        """
        if not self._unnumbered:
            return
        now = asyncio.get_running_loop().time()
        if now < self._wary.get(meter.unit, now):
            last = self._ask
            await self._try(self._owed.probe(last), meter)
        if self.strays(meter.unit) != strays:
            what = f"unit {meter.unit}: more answers than requests; none of them is believed"
            raise PollError("stray_answer", what, answered=True)

    async def read(self, block: Block, meter: Asked, retries: int) -> bytes:
        """Return the block's words as the protocol carries them, most significant byte first.

        A connection lost on the way is made anew once: there are gateways that hang up after
        each answer.

        Args:
            block: what to read.
            meter: whom to ask.
            retries: repetitions if it does not answer.

        Raises:
            PollError: no answer, an exception, or fewer words than asked for.
        """
        if self._unnumbered:
            await self.settle(block, meter)
        self._turn += 1
        ask = Ask(meter.unit, block.function, block.start, block.count, self._turn)
        try:
            answer = await self._insist(ask, meter, retries)
        except NoAnswerError as error:
            raise self._unanswered(block, meter, error, retries) from error
        if answer.code:
            why = _EXCEPTIONS.get(answer.code, "unknown")
            what = f"unit {meter.unit}: exception {answer.code}, {why}; {_at(block)}"
            raise PollError("modbus_exception", what, answered=answer.code not in _SILENCE)
        if len(answer.words) != 2 * block.count:
            what = f"unit {meter.unit}: {len(answer.words)} bytes, asked for {_at(block)}"
            raise PollError("short_frame", what, answered=True)
        return answer.words

    def strays(self, unit: int) -> int:
        """Return how many answers of `unit` have come that nobody had asked for."""
        return self._owed.strays[unit]

    async def _insist(self, ask: Ask, meter: Asked, retries: int) -> Answer:
        send = self._repeat if self._unnumbered else self._numbered
        try:
            return await send(ask, meter, retries)
        except NoAnswerError:
            if self.connected or not await self.connect():
                raise
            return await send(ask, meter, 0)

    async def _numbered(self, ask: Ask, meter: Asked, retries: int) -> Answer:
        """Send a request that carries a number: its answer cannot be taken for another's."""
        if self._pause_s:
            await self._pause()
        if self._connection is None:
            raise NoAnswerError(b"")
        self._ask = ask
        try:
            return await self._connection.ask(ask, meter.timeout_s, retries)
        finally:
            if self._pause_s:
                self._spoken_at = asyncio.get_running_loop().time()

    async def _repeat(self, ask: Ask, meter: Asked, retries: int) -> Answer:
        while True:  # each repetition is a request of its own in the book
            try:
                return await self._unnumbered_once(ask, meter)
            except NoAnswerError:
                retries -= 1
                if retries < 0 or not self.connected:
                    raise

    async def _unnumbered_once(self, ask: Ask, meter: Asked) -> Answer:
        if self._pause_s:
            await self._pause()
        if self._connection is None:
            raise NoAnswerError(b"")
        self._ask = ask
        self._owed.sent(ask)
        try:
            wait = meter.timeout_s + self._bus.wire_s(ask.count)
            return await self._connection.ask(ask, wait, 0)
        except NoAnswerError:
            self._wary[ask.unit] = asyncio.get_running_loop().time() + _WARY_S
            raise
        finally:
            self._owed.over()
            self._spoken_at = asyncio.get_running_loop().time()

    async def _pause(self) -> None:
        """Keep the line silent, and throw away what comes unasked meanwhile."""
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, self._spoken_at + self._pause_s - now))

    async def _try(self, ask: Ask, meter: Asked) -> None:
        """Ask, and do not mind what comes of it: the book has learnt from it."""
        try:
            await self._insist(ask, meter, 0)
        except NoAnswerError as error:
            if not error.heard:  # a dead meter costs one timeout, not several
                block = Block(ask.function, ask.start, ask.count)
                raise self._unanswered(block, meter, error, 0) from error

    def _find_tcp(self, heard: bytes, transaction: int) -> tuple[int, Answer | None]:
        return find_tcp(heard, transaction, self._ask)

    def _find_rtu(self, heard: bytes, _transaction: int) -> tuple[int, Answer | None]:
        used, answers = split_rtu(heard)
        mine = [answer for answer in answers if self._owed.heard(answer)]
        return used, mine[0] if mine else None

    def _unanswered(
        self, block: Block, meter: Asked, error: NoAnswerError, retries: int
    ) -> PollError:
        if error.heard:
            what = f"unit {meter.unit}: no sound answer but {error.heard[:64].hex(' ')}"
            return PollError("short_frame", f"{what} to {_at(block)}", answered=False)
        lost = "" if self.connected else "; the connection was lost"
        waited = meter.timeout_s * (retries + 1)
        what = f"unit {meter.unit}: no answer within {waited:g} s to {_at(block)}{lost}"
        return PollError("timeout", what, answered=False)


def context_of(bus: BusSettings) -> ssl.SSLContext | None:
    """Return the TLS context of a bus; None if its kind needs none.

    Raises:
        ValueError: a certificate or key cannot be used.
    """
    if bus.kind != "tls":
        return None
    own = bus.tls
    try:
        context = ssl.create_default_context(cafile=own.ca if own else None)
        if own is not None and own.cert is not None:
            context.load_cert_chain(own.cert, own.key)
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"bus {bus.id}: tls: {error}") from error
    return context


def _at(block: Block) -> str:
    return f"{block.count} registers from {block.start} by function {block.function}"
