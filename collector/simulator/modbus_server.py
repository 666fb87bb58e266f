"""A Modbus server for simulated meters, down to the frames: over TCP, RTU over TCP, serial lines.

Written out, because a server that keeps to the rules cannot break them on request.
"""

import asyncio
import os
import termios
import tty
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple, Protocol

from collector.modbusframes import answer_pdu, crc16, exception_pdu
from collector.simulator.wire_faults import Wire, WireFault, framed, spoiled

_REQUEST = 8
"""Bytes of an RTU request for registers."""


class Request(NamedTuple):
    """One request heard."""

    transaction: int
    unit: int
    pdu: bytes


class Slave(Protocol):
    """What the server asks a simulated meter."""

    def words(self, function: int, start: int, count: int, *, swapped: bool) -> bytes | int | None:
        """Return the registers' bytes; an exception code; or None for silence."""

    def fault(self) -> WireFault | None:
        """Return the wire fault that befalls the request that has just come."""


class Line(asyncio.Protocol):
    """One connection to a server: requests in, answers out."""

    def __init__(
        self, slaves: Mapping[int, Slave], *, numbered: bool, opened: set["Line"] | None = None
    ) -> None:
        """Prepare to answer.

        Args:
            slaves: by unit; for others there is silence, as on a line.
            numbered: frames of Modbus TCP, else RTU.
            opened: keeps this line while it is connected.
        """
        self._slaves = slaves
        self._opened = set() if opened is None else opened
        self._numbered = numbered
        self._heard = b""
        self._held: list[bytes] = []
        self._write: Callable[[bytes], object] = len
        self._close: Callable[[], object] = int

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note where answers go."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self.attach(transport.write, transport.close)
        self._opened.add(self)

    def attach(self, write: Callable[[bytes], object], close: Callable[[], object]) -> None:
        """Answer by `write`, hang up by `close`."""
        self._write, self._close = write, close

    def connection_lost(self, _error: Exception | None) -> None:
        """Say no more."""
        self._write = len
        self._opened.discard(self)

    def hang_up(self) -> None:
        """Close the connection."""
        self._close()

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        split = _split_tcp if self._numbered else _split_rtu
        used = 0
        self._heard += data
        for used, request in split(self._heard):  # noqa: B007 - the last one is wanted below
            if request is not None:
                self._answer(request)
        self._heard = self._heard[used:]

    def _answer(self, request: Request) -> None:
        before, self._held = self._held, []
        for late in before:
            self._write(late)
        slave = self._slaves.get(request.unit)
        fault = slave.fault() if slave else None
        kind = fault.kind if fault else None
        pdu = self._pdu(slave, request, fault) if slave else None
        if kind is Wire.HANG_UP:
            self._close()
        if pdu is None or kind in {Wire.TIMEOUT, Wire.HANG_UP}:
            return
        sent = (self._numbered, request.transaction, request.unit, pdu)
        frame = framed(*sent) if kind is None else spoiled(kind, *sent)
        if kind is Wire.OUT_OF_ORDER:
            self._held.append(frame)
        elif kind is Wire.LATE and fault is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(fault.delay_s, lambda: self._write(frame))
        else:
            self._write(frame)

    @staticmethod
    def _pdu(slave: Slave, request: Request, fault: WireFault | None) -> bytes | None:
        function = request.pdu[0]
        if fault and fault.kind is Wire.EXCEPTION:
            return exception_pdu(function, fault.code)
        if function not in {3, 4} or len(request.pdu) != 5:
            return exception_pdu(function, 1)
        start, count = int.from_bytes(request.pdu[1:3]), int.from_bytes(request.pdu[3:5])
        if not 1 <= count <= 125:
            return exception_pdu(function, 3)
        swapped = bool(fault and fault.kind is Wire.SWAPPED_WORDS)
        said = slave.words(function, start, count, swapped=swapped)
        if said is None:
            return None
        return (
            exception_pdu(function, said) if isinstance(said, int) else answer_pdu(function, said)
        )


def _split_tcp(heard: bytes) -> Iterator[tuple[int, Request | None]]:
    at = 0
    while len(heard) >= at + 8:
        end = at + 6 + int.from_bytes(heard[at + 4 : at + 6])
        if end > len(heard):
            return
        yield end, Request(int.from_bytes(heard[at : at + 2]), heard[at + 6], heard[at + 7 : end])
        at = end


def _split_rtu(heard: bytes) -> Iterator[tuple[int, Request | None]]:
    """Requests of 8 bytes whose check fits; anything else, other masters' writes too, is noise."""
    at = 0
    while len(heard) >= at + _REQUEST:
        frame = heard[at : at + _REQUEST]
        if crc16(frame[:-2]) == frame[-2:]:
            at += _REQUEST
            yield at, Request(0, frame[0], frame[1:-2])
        else:
            at += 1
            yield at, None


def serve_device(device: str, baudrate: int, line: Line) -> Callable[[], None]:
    """Serve a serial device (8N1) on the running loop; return what ends it.

    Raises:
        OSError: it cannot be opened.
    """
    loop = asyncio.get_running_loop()
    port = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(port)
    shape = termios.tcgetattr(port)
    shape[4] = shape[5] = getattr(termios, f"B{baudrate}")
    termios.tcsetattr(port, termios.TCSANOW, shape)

    def end() -> None:
        loop.remove_reader(port)
        line.connection_lost(None)
        os.close(port)

    line.attach(partial(os.write, port), int)
    loop.add_reader(port, lambda: line.data_received(_heard(port)))
    return end


def _heard(port: int) -> bytes:
    try:
        return os.read(port, 4096)
    except OSError:  # the other end is away: nothing is said
        return b""


async def listen(
    slaves: Mapping[int, Slave], host: str, port: int, opened: set[Line], *, numbered: bool
) -> asyncio.Server:
    """Serve TCP connections, any number at a time; `opened` holds those that stand.

    Raises:
        OSError: the port is taken.
    """
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: Line(slaves, numbered=numbered, opened=opened), host, port
    )
