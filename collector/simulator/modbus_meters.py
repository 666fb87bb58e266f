"""Simulated Modbus TCP gateways: real servers whose registers follow the clock."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import structlog
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from collector.profiles import Profile
from collector.registers import encode

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


@dataclass(frozen=True, slots=True)
class Gateway:
    """One simulated gateway: a TCP port with slaves behind it."""

    id: str
    devices: tuple[Device, ...]
    port: int = 0
    """0: any free one."""


class ModbusMeters:
    """Serves gateways on a thread of its own, each on its own port of `host`."""

    def __init__(
        self, gateways: Sequence[Gateway], now: Callable[[], datetime], host: str = "127.0.0.1"
    ) -> None:
        self._gateways = gateways
        self._now = now
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._servers: list[ModbusTcpServer] = []
        self._thread = threading.Thread(target=self._run, name="modbus-meters", daemon=True)
        self._ports: Future[dict[str, int]] = Future()

    def start(self) -> dict[str, int]:
        """Start serving; return the port of each gateway.

        A port that is taken is replaced by a free one: point the reader at what is returned.

        Raises:
            OSError: no port can be opened on the host.
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
        for port in dict.fromkeys((gateway.port, 0)):
            server = ModbusTcpServer(
                [_device(one, self._now) for one in gateway.devices] + [_nobody()],
                address=(self._host, port),
                ignore_missing_devices=True,
            )
            try:
                await server.serve_forever(background=True)
            except RuntimeError:  # what pymodbus makes of "address in use"
                _log.warning("port taken", gateway=gateway.id, host=self._host, port=port)
                continue
            self._servers.append(server)
            listener = server.transport
            assert isinstance(listener, asyncio.Server)  # noqa: S101 - pymodbus types it wider
            return int(listener.sockets[0].getsockname()[1])
        raise OSError(f"gateway {gateway.id}: no port of {self._host} can be opened")

    async def _close(self) -> None:
        for server in self._servers:
            await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus leaves it bare
        for _ in range(4):  # a request just received reaches its task after three callbacks
            await asyncio.sleep(0)
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


def _device(device: Device, now: Callable[[], datetime]) -> SimDevice:
    async def refresh(
        function: int,
        start: int,
        _address: int,
        _count: int,
        registers: list[int],
        _written: object,
    ) -> ExcCodes | None:
        shown = device.show(now())
        if shown is Refusal.SILENT:
            raise NoSuchIdException
        if shown is Refusal.EXCEPTION:
            return ExcCodes.DEVICE_FAILURE
        assert not isinstance(shown, Refusal)  # noqa: S101 - both members are handled above
        for (of, address), word in encode(device.profile, shown).items():
            if of == function:
                registers[address - start] = word
        return None

    return SimDevice(device.unit, _memory(device.profile), action=refresh)


def _memory(
    profile: Profile,
) -> tuple[list[SimData], list[SimData], list[SimData], list[SimData]]:
    """Return coils, discrete inputs, holding and input registers; unused ones read 0."""
    areas = {
        3: [SimData(0, datatype=DataType.REGISTERS)],
        4: [SimData(0, datatype=DataType.REGISTERS)],
    }
    for function in areas:
        own = [span[1:] for span in profile.spans().values() if span[0] == function]
        if own:
            first, end = min(low for low, _ in own), max(high for _, high in own)
            areas[function] = [SimData(first, count=end - first, datatype=DataType.REGISTERS)]
    bits = [SimData(0, values=False, datatype=DataType.BITS)]
    return bits, list(bits), areas[3], areas[4]


def _nobody() -> SimDevice:
    """Stands for every unit no slave has: a gateway that gets no answer gives none."""

    async def refuse(*_: object) -> ExcCodes | None:
        raise NoSuchIdException

    return SimDevice(0, SimData(0, count=65536, datatype=DataType.REGISTERS), action=refuse)
