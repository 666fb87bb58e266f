"""One Modbus connection on pymodbus: TCP, TLS, serial; the only user of pymodbus among sources.

Taken of pymodbus is its transport: connecting, and bytes to and fro. The turn - a request, its
repetitions, the wait for an answer - is ours, as the search for the answer is: one timer and one
future, where pymodbus goes round the event loop once more and unpacks the words one by one.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pymodbus.transport import CommParams, CommType, ModbusProtocol

from collector.modbusframes import Answer, Ask, read_pdu, rtu, tcp
from collector.settings import BusSettings

Find = Callable[[bytes, int], tuple[int, Answer | None]]
"""(bytes heard, transaction) -> how many need not be shown again, and the answer if it is there."""

_LAST_TRANSACTION = 65_000
"""Numbers begin anew after it."""


class NoAnswerError(Exception):
    """Nobody answered in time, or the connection was lost."""

    def __init__(self, heard: bytes) -> None:
        super().__init__()
        self.heard = heard
        """What came, if not an answer."""


class _Wire(ModbusProtocol):
    """Carries requests, and shows what comes back to `find`."""

    def __init__(self, params: CommParams, find: Find) -> None:
        super().__init__(params, is_server=False)
        self.max_buffer_size = 1 << 16  # beyond it pymodbus throws all away; `find` bounds
        self.transaction = 0
        self.heard = b""
        self._find = find
        self._waiting: asyncio.Future[Answer] = self.loop.create_future()
        self._waiting.cancel()  # nobody

    async def turn(self, frame: bytes, timeout_s: float) -> Answer:
        """Send a request and return its answer.

        Raises:
            TimeoutError: none came within `timeout_s`.
            ConnectionError: the connection was lost.
        """
        waiting: asyncio.Future[Answer] = self.loop.create_future()
        self._waiting = waiting
        timer = self.loop.call_later(timeout_s, _expire, waiting)
        try:
            self.send(frame)
            return await waiting
        finally:
            timer.cancel()

    def callback_data(
        self,
        data: bytes,
        addr: tuple[Any, ...] | None = None,  # noqa: ARG002 - pymodbus' signature
    ) -> int:
        """Look for the answer; also while nobody waits: `find` may keep a book of late ones."""
        self.heard = data
        used, answer = self._find(data, self.transaction)
        if answer is not None and not self._waiting.done():
            self._waiting.set_result(answer)
        return used

    def callback_connected(self) -> None:
        """Nothing to do: `connect` tells."""

    def callback_disconnected(self, exc: Exception | None) -> None:  # noqa: ARG002 - as above
        """Tell the request under way; it would wait in vain."""
        if not self._waiting.done():
            self._waiting.set_exception(ConnectionError("the connection was lost"))

    def callback_new_connection(self) -> ModbusProtocol:
        """Refuse: this is no server."""
        raise NotImplementedError


def _expire(waiting: "asyncio.Future[Answer]") -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())


class Connection:
    """One connection, made once; after it is lost another is made. Needs a running loop."""

    def __init__(
        self, bus: BusSettings, context: ssl.SSLContext | None, find: Find, transaction: int
    ) -> None:
        """Prepare to connect.

        Args:
            bus: where to.
            context: for kind `tls`.
            find: looks for the answer in what is heard.
            transaction: number of the last request sent on an earlier connection: a gateway that
                keeps an answer to that for us shall not find its number in use again.
        """
        self._wire = _Wire(_params(bus, context), find)
        self._unnumbered = bus.unnumbered
        self.transaction = transaction
        """Number of the last request."""

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return self._wire.transport is not None

    async def connect(self) -> bool:
        """Try once, for at most the bus's timeout."""
        connected = False
        try:
            connected = await self._wire.connect()
        finally:
            if not connected:  # cancelled or late: what was half made would stay open
                self._wire.close()
        return connected

    def close(self) -> None:
        """Hang up."""
        self._wire.close()

    async def ask(self, what: Ask, timeout_s: float, retries: int) -> Answer:
        """Send a request, repeat it if need be, and return its answer.

        Repetitions carry the same number: whichever is answered, the answer is to this request.

        Raises:
            NoAnswerError: none came within `timeout_s`, `retries` + 1 times; or the link broke.
        """
        wire, number = self._wire, self.transaction + 1
        wire.heard = b""
        if not self.connected:
            raise NoAnswerError(b"")
        self.transaction = wire.transaction = number if number <= _LAST_TRANSACTION else 1
        pdu = read_pdu(what)
        frame = rtu(what.unit, pdu) if self._unnumbered else tcp(wire.transaction, what.unit, pdu)
        try:
            for _ in range(retries + 1):
                with suppress(TimeoutError):
                    return await wire.turn(frame, timeout_s)
        except ConnectionError as error:
            raise NoAnswerError(wire.heard) from error
        raise NoAnswerError(wire.heard)


def _params(bus: BusSettings, context: ssl.SSLContext | None) -> CommParams:
    # no reconnect_delay: the reader decides when to try again
    if bus.kind == "rtu":
        return CommParams(
            comm_name=bus.id,
            comm_type=CommType.SERIAL,
            host=bus.device,
            timeout_connect=bus.timeout_s,
            baudrate=bus.baudrate,
            bytesize=8,
            parity=bus.parity,
            stopbits=bus.stop_bits,
        )
    return CommParams(
        comm_name=bus.id,
        comm_type=CommType.TCP if context is None else CommType.TLS,
        host=bus.host,
        port=bus.port,
        timeout_connect=bus.timeout_s,
        sslctx=context,
    )
