"""One Modbus connection on pymodbus: TCP, TLS, serial; the only user of pymodbus among sources."""

import ssl
from collections.abc import Callable

from pymodbus.client import (
    AsyncModbusSerialClient,
    AsyncModbusTcpClient,
    AsyncModbusTlsClient,
)
from pymodbus.exceptions import ConnectionException, ModbusException
from pymodbus.framer import FramerRTU, FramerSocket, FramerType
from pymodbus.pdu import ModbusPDU

from collector.modbusframes import Answer, Ask
from collector.settings import BusSettings

Find = Callable[[bytes, int], tuple[int, Answer | None]]
"""(bytes heard, transaction) -> how many need not be shown again, and the answer if it is there."""

_NEVER = 1_000_000_000


class NoAnswerError(Exception):
    """Nobody answered in time, or the connection was lost."""

    def __init__(self, heard: bytes) -> None:
        super().__init__()
        self.heard = heard
        """What came, if not an answer."""


class _Found(ModbusPDU):
    """An answer in the clothes pymodbus expects; its words stay as they came.

    pymodbus would unpack them one by one: a third of a poll's time. Many polls are unpacked
    together, in `readings_of`.
    """

    def __init__(self, answer: Answer, unit: int, transaction: int) -> None:
        self.answer, self.dev_id, self.transaction_id = answer, unit, transaction


class _Ear:
    """Replaces a framer's search for answers by ours, whatever the framing.

    pymodbus' own takes an answer numbered 0 for any, one over RTU for the next, cuts a TLS record
    short, and throws away all it has when two long answers come at once.
    """

    find: Find
    heard = b""

    def handleFrame(  # noqa: N802 - pymodbus' name
        self, data: bytes, exp_devid: int, exp_tid: int
    ) -> tuple[int, ModbusPDU | None]:
        """Return the bytes used and the answer, if it is whole."""
        self.heard = data
        used, answer = self.find(data, exp_tid)
        return used, None if answer is None else _Found(answer, exp_devid, exp_tid)


class _Numbered(_Ear, FramerSocket):
    """Frames with a header: TCP and TLS."""


class _Unnumbered(_Ear, FramerRTU):
    """Frames with a check: RTU."""


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
        self._client = _client(bus, context)
        self._context = self._client.ctx
        frames = _Unnumbered if bus.unnumbered else _Numbered
        self._ear = frames(self._context.framer.decoder)
        self._ear.find = find
        self._context.framer = self._ear
        self._context.trace_connect = self._turned
        self._context.max_buffer_size = 1 << 16  # beyond it pymodbus throws all away; `find` bounds
        self._last = transaction
        # by default pymodbus hangs up after some silent requests: one dead meter would cut off all
        self._client.set_max_no_responses(_NEVER)
        self._context.count_until_disconnect = _NEVER

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return bool(self._client.connected)

    @property
    def transaction(self) -> int:
        """Number of the last request."""
        return max(self._last, self._context.next_tid)

    async def connect(self) -> bool:
        """Try once, for at most the bus's timeout."""
        if not await self._client.connect():
            return False
        self._context.next_tid = self._last if self._last < 60_000 else 0
        return True

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    async def ask(self, what: Ask, timeout_s: float, retries: int) -> Answer:
        """Send a request, repeat it if need be, and return its answer.

        Raises:
            NoAnswerError: none came within `timeout_s`, `retries` + 1 times; or the link broke.
        """
        client = self._client
        self._context.comm_params.timeout_connect = timeout_s
        self._context.retries = retries
        read = client.read_holding_registers
        if what.function == 4:
            read = client.read_input_registers
        self._ear.heard = b""
        try:
            answer = await read(what.start, count=what.count, device_id=what.unit)
        except ModbusException as error:
            raise NoAnswerError(self._ear.heard) from error
        assert isinstance(answer, _Found)  # noqa: S101 - our framer makes nothing else
        return answer.answer

    def _turned(self, connected: bool) -> None:
        """Tell the request under way that the connection is lost; pymodbus lets it time out."""
        waiting = self._context.response_future
        if not connected and not waiting.done():
            waiting.set_exception(ConnectionException("the connection was lost"))
            waiting.exception()  # seen: nobody may be waiting


def _client(
    bus: BusSettings, context: ssl.SSLContext | None
) -> AsyncModbusTcpClient | AsyncModbusTlsClient | AsyncModbusSerialClient:
    # reconnect_delay=0: the reader decides when to try again
    if bus.kind == "rtu":
        return AsyncModbusSerialClient(
            bus.device,
            baudrate=bus.baudrate,
            parity=bus.parity,
            stopbits=bus.stop_bits,
            timeout=bus.timeout_s,
            reconnect_delay=0,
        )
    if context is not None:
        return AsyncModbusTlsClient(
            bus.host, port=bus.port, sslctx=context, timeout=bus.timeout_s, reconnect_delay=0
        )
    framer = FramerType.RTU if bus.unnumbered else FramerType.SOCKET
    return AsyncModbusTcpClient(
        bus.host, port=bus.port, framer=framer, timeout=bus.timeout_s, reconnect_delay=0
    )
