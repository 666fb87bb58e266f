"""One DL/T 645 line: open it, ask one question, say what went wrong."""

import asyncio
from dataclasses import dataclass

from collector.dlt645.exchange import AddressQuestion, Exchange, RefusedError
from collector.dlt645.frames import LONGEST, Frame, digits_of, encode, scan
from collector.linesettings import LineSettings
from collector.serialport import SerialPort

_BITS = 11
"""Of a byte on the line: start, eight, parity, stop."""


class PollError(Exception):
    """A meter could not be read."""

    def __init__(self, reason: str, text: str, *, answered: bool, missing: bool = False) -> None:
        super().__init__(text)
        self.reason = reason
        """`timeout`, `short_frame` or `dlt645_error`."""
        self.answered = answered
        """Whether the meter said anything: then asking it again costs no waiting."""
        self.missing = missing
        """Whether it said that it has no such data."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A complete answer."""

    payload: bytes
    began_s: float
    """Loop time at which the first request was sent."""
    ended_s: float


class _Wire(asyncio.Protocol):
    """What both kinds of line have in common: bytes in, bytes out, gone or not."""

    def __init__(self) -> None:
        self.gone = False
        self.out: asyncio.WriteTransport | SerialPort | None = None
        self._buffer = b""
        self._news = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 - a TCP connection is one
        self.out = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.lost()

    def lost(self) -> None:
        self.gone = True
        self._news.set()

    def send(self, data: bytes) -> None:
        if self.out is not None:
            self.out.write(data)

    def taken(self) -> bytes:
        """Return what came since the last call."""
        data, self._buffer = self._buffer, b""
        self._news.clear()
        return data

    async def more(self, within_s: float) -> bool:
        """Wait for bytes, or for the end of the line; False if neither comes in time."""
        try:
            await asyncio.wait_for(self._news.wait(), within_s)
        except TimeoutError:
            return False
        return True

    async def silent(self, quiet_s: float, at_most_s: float) -> None:
        """Throw away what was heard, until the line was silent for `quiet_s`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + at_most_s
        self.taken()
        while not self.gone and await self.more(quiet_s) and loop.time() < end:
            self.taken()
        self.taken()


class Link:
    """One line; must be made inside a running event loop."""

    def __init__(self, line: LineSettings) -> None:
        self._line = line
        self._wire: _Wire | None = None
        self._loop = asyncio.get_running_loop()
        self._owed = False
        """Whether a request was sent more often than it was answered, as far as is known."""
        self.last_error = ""
        """Why the last `connect` failed."""

    @property
    def connected(self) -> bool:
        """Whether the line stands, as far as is known."""
        return self._wire is not None and not self._wire.gone

    async def connect(self) -> bool:
        """Try once to open the line."""
        self.close()
        wire = _Wire()
        try:
            await self._open(wire)
        except (OSError, TimeoutError) as error:
            self.last_error = str(error) or type(error).__name__
            return False
        self._wire = wire
        await asyncio.sleep(self._line.pause_after_connect_s)
        return True

    async def _open(self, wire: _Wire) -> None:
        line = self._line
        if line.kind == "serial":
            wire.out = SerialPort(
                line.device, line.baudrate, line.parity, line.stop_bits,
                heard=wire.data_received, lost=wire.lost,
            )  # fmt: skip
            return
        make = self._loop.create_connection(lambda: wire, line.host, line.port)
        await asyncio.wait_for(make, max(line.timeout_s, 1.0))

    def close(self) -> None:
        """Hang up."""
        if self._wire is not None and self._wire.out is not None:
            self._wire.out.close()
        self._wire = None

    async def read(
        self, address: bytes, di: int, label: str, wake: int = 4, retries: int = 0
    ) -> Heard:
        """Ask one meter for one identifier, over as many frames as the answer takes.

        Args:
            address: of the meter, as it travels.
            di: identifier.
            label: what it is, for messages.
            wake: bytes FEH ahead of each request.
            retries: repetitions of a request that is not answered.

        Raises:
            PollError: no answer, a broken one, or an error word.
        """
        return await self._talk(_Question(Exchange(address, di), label, wake, retries))

    async def address(self, wake: int = 4, retries: int = 0) -> bytes:
        """Return the address of the only meter on the line, as it travels.

        Raises:
            PollError: no answer, or several at once.
        """
        question = _Question(AddressQuestion(), "who is there (AAAAAAAAAAAA)", wake, retries)
        return (await self._talk(question)).payload

    async def _talk(self, question: "_Question") -> Heard:
        await self._await_owed()
        began = self._loop.time()
        while True:
            for attempt in range(question.retries + 1):
                self._owed |= attempt > 0
                taken = await self._ask(question)
                if taken is not False:
                    break
            else:
                raise self._unanswered(question)
            if isinstance(taken, bytes):
                return Heard(taken, question.sent_s or began, self._loop.time())

    async def _await_owed(self) -> None:
        """Let a second answer go by, if the last request was repeated.

        An error word does not say what it refuses: the answer to a repetition, come late, would
        be taken for the refusal of the next item.
        """
        if self._owed and self._wire is not None:
            await self._wire.silent(1.5 * self._line.timeout_s, 3 * self._line.timeout_s)
        self._owed = False

    async def _ask(self, question: "_Question") -> bool | bytes:
        """Send the request once and wait; return what `Exchange.take` did, False if in vain."""
        line, wire = self._line, self._wire
        if wire is None or wire.gone:
            raise _lost(question, "it hung up")
        await wire.silent(max(line.pause_between_s, 0.001), line.timeout_s)
        request = encode(question.exchange.request(), question.wake)
        sent = self._loop.time()
        question.sent_s = question.sent_s or sent
        try:
            wire.send(request)
        except OSError as error:
            wire.lost()
            raise _lost(question, str(error)) from error
        begin_by = sent + line.timeout_s + len(request) * _BITS / line.baudrate
        end_by = begin_by + LONGEST * _BITS / line.baudrate
        rest = b""
        while not wire.gone:
            news = wire.taken()
            question.heard = (question.heard + news)[-LONGEST:]
            frames, rest = scan(rest + news)
            for frame in frames:
                if taken := question.take(frame):
                    question.heard = b""
                    return taken
            left = (end_by if rest else begin_by) - self._loop.time()
            if left <= 0 or not await wire.more(left):
                break
        return False

    def _unanswered(self, question: "_Question") -> PollError:
        waited = self._line.timeout_s * (question.retries + 1)
        what = f"no answer within {waited:g} s to {question.label}"
        others = question.exchange.passed_over
        if not self.connected:
            return _lost(question, "it hung up")
        if others:
            last = others[-1]
            who = f"meter {digits_of(last.address)}, control {last.control:02X}H"
            return PollError("timeout", f"{what}; heard instead: {who}", answered=False)
        if question.heard:
            broken = question.heard[-64:].hex(" ")
            what = f"broken answer {broken} to {question.label}"
            return PollError("short_frame", what, answered=False)
        return PollError("timeout", what, answered=False)


@dataclass(slots=True)
class _Question:
    """An exchange under way, and what is needed to report on it."""

    exchange: Exchange | AddressQuestion
    label: str
    wake: int
    retries: int
    heard: bytes = b""
    """The last bytes heard, for the message if nothing sound was among them."""
    sent_s: float = 0.0
    """Loop time of the first request."""

    def take(self, frame: Frame) -> bool | bytes:
        """As `Exchange.take`, errors as PollError."""
        try:
            return self.exchange.take(frame)
        except RefusedError as error:
            text = f"{self.label}: {error}"
            raise PollError("dlt645_error", text, answered=True, missing=error.missing) from error


def _lost(question: _Question, why: str) -> PollError:
    what = f"no answer to {question.label}; the line was lost: {why}"
    return PollError("timeout", what, answered=False)
