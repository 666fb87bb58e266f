"""One Modbus link: connect, read a block, say what went wrong; the only user of pymodbus."""

import asyncio

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException, ModbusIOException
from pymodbus.framer import FramerType
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse

from collector.registers import Block
from collector.settings import BusSettings

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

_FRAMERS = {"tcp": FramerType.SOCKET, "rtu_over_tcp": FramerType.RTU}


class PollError(Exception):
    """A block could not be read."""

    def __init__(self, reason: str, text: str, *, answered: bool) -> None:
        super().__init__(text)
        self.reason = reason
        """`timeout`, `short_frame` or `modbus_exception`."""
        self.answered = answered
        """Whether the meter said anything: then asking it again costs no waiting."""


class _Holding(ReadHoldingRegistersResponse):
    """The answer to function 3, its words kept as they came.

    pymodbus unpacks them one by one, and writes every answer out for its debug log whether that is
    wanted or not: a third of a poll's time. Many polls are unpacked together, in `readings_of`.
    """

    raw = b""

    def decode(self, data: bytes) -> None:
        self.raw = data[1 : 1 + data[0]]
        if len(self.raw) < data[0]:
            raise ModbusIOException(f"{data[0]} bytes announced, {len(self.raw)} came")

    def __str__(self) -> str:
        return f"{len(self.raw)} bytes"


class _Input(_Holding):
    """The answer to function 4."""

    function_code = 4


class Link:
    """A connection to one gateway; must be made inside a running event loop.

    pymodbus numbers its requests and drops answers that carry another number, so an answer later
    than the timeout is never taken for the next request's.
    """

    def __init__(self, bus: BusSettings) -> None:
        self._bus = bus
        self._heard = b""
        self._spoken_at = 0.0
        self._client = AsyncModbusTcpClient(
            bus.host,
            port=bus.port,
            framer=_FRAMERS[bus.kind],
            timeout=bus.timeout_s,
            retries=bus.retries,
            reconnect_delay=0,  # the reader decides when to try again
            trace_packet=self._note,
        )
        self._client.register(_Holding)
        self._client.register(_Input)
        # by default pymodbus hangs up after some silent requests: one dead meter would cut off all
        self._client.set_max_no_responses(1_000_000_000)

    @staticmethod
    def check(bus: BusSettings) -> None:
        """Refuse kinds of link that are not served.

        Raises:
            ValueError: with what is allowed.
        """
        if bus.kind not in _FRAMERS:
            allowed = ", ".join(_FRAMERS)
            raise ValueError(
                f"bus {bus.id}: kind {bus.kind!r} is not served yet; allowed: {allowed}"
            )

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return self._client.connected

    async def connect(self) -> bool:
        """Try once to connect, for at most the bus's timeout."""
        if not await self._client.connect():
            return False
        await asyncio.sleep(self._bus.pause_after_connect_s)
        return True

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    async def read(self, block: Block, unit: int) -> bytes:
        """Return the block's words as the protocol carries them, most significant byte first.

        Raises:
            PollError: no answer, an exception, or fewer words than asked for.
        """
        if self._bus.pause_between_s:
            await self._pause()
        ask = self._client.read_holding_registers
        if block.function == 4:
            ask = self._client.read_input_registers
        self._heard = b""
        try:
            answer = await ask(block.start, count=block.count, device_id=unit)
        except ModbusException as error:
            raise self._unanswered(block, unit) from error
        finally:
            if self._bus.pause_between_s:
                self._spoken_at = asyncio.get_running_loop().time()
        if answer.isError():
            code = answer.exception_code
            what = (
                f"unit {unit}: exception {code}, {_EXCEPTIONS.get(code, 'unknown')}; {_at(block)}"
            )
            raise PollError("modbus_exception", what, answered=True)
        words = answer.raw if isinstance(answer, _Holding) else b""
        if len(words) != 2 * block.count:
            what = f"unit {unit}: {len(words)} bytes, asked for {_at(block)}"
            raise PollError("short_frame", what, answered=True)
        return words

    def _unanswered(self, block: Block, unit: int) -> PollError:
        if self._heard:
            what = f"unit {unit}: broken answer {self._heard[:64].hex(' ')} to {_at(block)}"
            return PollError("short_frame", what, answered=False)
        lost = "" if self.connected else "; the connection was lost"
        waited = self._bus.timeout_s * (self._bus.retries + 1)
        what = f"unit {unit}: no answer within {waited:g} s to {_at(block)}{lost}"
        return PollError("timeout", what, answered=False)

    async def _pause(self) -> None:
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, self._spoken_at + self._bus.pause_between_s - now))

    def _note(self, sending: bool, data: bytes) -> bytes:
        if not sending:
            self._heard = data
        return data


def _at(block: Block) -> str:
    return f"{block.count} registers from {block.start} by function {block.function}"
