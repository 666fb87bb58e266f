"""Simulated Modbus gateways and serial lines: real servers whose registers follow the clock."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal

import structlog

from collector.identity import shown
from collector.profiles import Profile
from collector.registers import encode
from collector.simulator.modbus_server import Line, listen, serve_device
from collector.simulator.wire_faults import Nuisance, WireFault

_log = structlog.get_logger()


class Refusal(Enum):
    """How a simulated meter fails a request."""

    SILENT = "silent"
    """No answer: the client runs into its timeout."""
    EXCEPTION = "exception"
    """Modbus exception 4, server device failure."""


Values = Mapping[str, float | None]
Show = Callable[[datetime], Values | Refusal]
"""What a meter shows at an instant, by quantity; None shows the register's sentinel."""


@dataclass(frozen=True, slots=True)
class Device:
    """One simulated slave."""

    unit: int
    profile: Profile
    show: Show
    nuisance: Nuisance | None = None
    """Its wire faults."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """One simulated link: a TCP port, or a serial device, with slaves behind it."""

    id: str
    devices: tuple[Device, ...]
    port: int = 0
    """0: any free one; for `rtu` nothing."""
    kind: Literal["tcp", "rtu", "rtu_over_tcp"] = "tcp"
    device: str = ""
    """For `rtu`: the serial device, or one end of a pair of pseudo-terminals."""
    baudrate: int = 9600


class ModbusMeters:
    """Serves gateways on a thread of its own, each on its own port of `host` or its device."""

    def __init__(
        self, gateways: Sequence[Gateway], now: Callable[[], datetime], host: str = "127.0.0.1"
    ) -> None:
        self._gateways = gateways
        self._now = now
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._opened: set[Line] = set()
        self._ends: list[Callable[[], None]] = []
        self._thread = threading.Thread(target=self._run, name="modbus-meters", daemon=True)
        self._ports: Future[dict[str, int]] = Future()

    def start(self) -> dict[str, int]:
        """Start serving; return the port of each gateway, 0 for a serial device.

        A port that is taken is replaced by a free one: point the reader at what is returned.

        Raises:
            OSError: no port can be opened on the host, or a device cannot.
        """
        self._thread.start()
        return self._ports.result(timeout=10)

    def stop(self) -> None:
        """Close all connections and ports; return when the thread has ended."""
        if self._thread.is_alive():
            with suppress(RuntimeError):  # the loop has ended by itself: start() failed
                self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._ports.set_result(self._loop.run_until_complete(self._open()))
        except OSError as error:
            self._ports.set_exception(error)
        else:
            self._loop.run_forever()
        self._loop.run_until_complete(self._close())
        self._loop.close()

    async def _open(self) -> dict[str, int]:
        return {one.id: await self._serve(one) for one in self._gateways}

    async def _serve(self, gateway: Gateway) -> int:
        slaves = {one.unit: _Slave(one, self._now) for one in gateway.devices}
        if gateway.kind == "rtu":
            line = Line(slaves, numbered=False)
            self._ends.append(serve_device(gateway.device, gateway.baudrate, line))
            return 0
        for port in dict.fromkeys((gateway.port, 0)):
            try:
                numbered = gateway.kind == "tcp"
                server = await listen(slaves, self._host, port, self._opened, numbered=numbered)
            except OSError:
                _log.warning("port taken", gateway=gateway.id, host=self._host, port=port)
                continue
            self._servers.append(server)
            return int(server.sockets[0].getsockname()[1])
        raise OSError(f"gateway {gateway.id}: no port of {self._host} can be opened")

    async def _close(self) -> None:
        for end in self._ends:
            end()
        for server in self._servers:
            server.close()
        for line in list(self._opened):
            line.hang_up()
        for _ in range(4):  # a transport closes a callback or two later
            await asyncio.sleep(0)


class _Slave:
    """A device as the server sees it."""

    def __init__(self, device: Device, now: Callable[[], datetime]) -> None:
        self._device = device
        self._now = now
        self._swapped = swapped(device.profile)
        self._ends = _ends(device.profile)
        self._identity = shown(device.profile)

    def words(self, function: int, start: int, count: int, *, swapped: bool) -> bytes | int | None:
        """Return what the registers show now: 0 between those of the profile, none beyond them."""
        values = self._device.show(self._now())
        if isinstance(values, Refusal):
            return None if values is Refusal.SILENT else 4
        wanted = [(function, address) for address in range(start, start + count)]
        if all(one in self._identity for one in wanted):
            return b"".join(self._identity[one].to_bytes(2) for one in wanted)
        first, end = self._ends[function]
        if start < first or start + count > end:
            return 2
        image = encode(self._swapped if swapped else self._device.profile, values)
        return b"".join(image.get(one, 0).to_bytes(2) for one in wanted)

    def fault(self) -> WireFault | None:
        """Return the wire fault that befalls the request that has just come."""
        nuisance = self._device.nuisance
        return nuisance.next(self._now()) if nuisance else None


def _ends(profile: Profile) -> dict[int, tuple[int, int]]:
    """Return first register and first behind the last, by function."""
    ends = {}
    for function in (3, 4):
        own = [one for one in profile.registers if profile.function_of(one) == function]
        first = min((one.span[0] for one in own), default=0)
        ends[function] = (first, max((one.span[1] for one in own), default=0))
    return ends


def swapped(profile: Profile) -> Profile:
    """Return the profile with the words of all its numbers in the other order."""
    other = {"big": "little", "little": "big"}
    registers = tuple(
        one.model_copy(update={"word_order": other[one.word_order or profile.word_order]})
        for one in profile.registers
    )
    return profile.model_copy(update={"registers": registers})
