"""Simulated lines of DL/T 645 meters: real serial ports and TCP servers, with faults on request."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from collector.dlt645.frames import scan
from collector.serialport import SerialPort
from collector.simulator.dlt645_answers import Answerer, Meter


@dataclass(frozen=True, slots=True)
class Line:
    """One simulated line with its meters."""

    id: str
    meters: tuple[Meter, ...]
    device: str = ""
    """Serial port to serve at, e.g. one end of a pair of pseudo-terminals; empty: TCP."""
    port: int = 0
    """TCP port; 0: any free one."""
    baudrate: int = 2400
    parity: str = "E"


class Dlt645Meters:
    """Serves lines on a thread of its own."""

    def __init__(
        self, lines: Sequence[Line], now: Callable[[], datetime], host: str = "127.0.0.1"
    ) -> None:
        self._lines = lines
        self._now = now
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._ports: list[SerialPort] = []
        self._servers: list[asyncio.Server] = []
        self._clients: set[asyncio.WriteTransport] = set()
        self._thread = threading.Thread(target=self._run, name="dlt645-meters", daemon=True)
        self._started: Future[dict[str, int]] = Future()

    def start(self) -> dict[str, int]:
        """Start serving; return the TCP port of each line that has one.

        Raises:
            OSError: a port cannot be opened.
        """
        self._thread.start()
        return self._started.result(timeout=10)

    def stop(self) -> None:
        """Close all connections and ports; return when the thread has ended."""
        if self._thread.is_alive():
            with suppress(RuntimeError):  # the loop has ended by itself: start() failed
                self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._started.set_result(self._loop.run_until_complete(self._open()))
        except OSError as error:
            self._started.set_exception(error)
        else:
            self._loop.run_forever()
        self._loop.run_until_complete(self._close())
        self._loop.close()

    async def _open(self) -> dict[str, int]:
        found = {}
        for line in self._lines:
            if line.device:
                self._ports.append(self._serial(line))
                continue
            server = await self._loop.create_server(
                lambda line=line: _Connection(Answerer(line.meters, self._now), self._clients),  # type: ignore[misc]  # mypy cannot infer a lambda with a default
                self._host,
                line.port,
            )
            self._servers.append(server)
            found[line.id] = int(server.sockets[0].getsockname()[1])
        return found

    def _serial(self, line: Line) -> SerialPort:
        speaker = _Speaker(Answerer(line.meters, self._now))
        port = SerialPort(
            line.device, line.baudrate, line.parity, 1, heard=speaker.heard, lost=speaker.lost
        )
        speaker.write = port.write
        return port

    async def _close(self) -> None:
        for port in self._ports:
            port.close()
        for server in self._servers:
            server.close()
        for client in tuple(self._clients):
            client.abort()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in callbacks


class _Speaker:
    """Hears requests and sends the answers, each after its pause."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
        self._rest = b""
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False
        self.write: Callable[[bytes], None] | None = None

    def heard(self, data: bytes) -> None:
        frames, self._rest = scan(self._rest + data)
        for frame in frames:
            for pause_s, answer in self._answerer.answer(frame):
                task = asyncio.get_running_loop().create_task(self._send(pause_s, answer))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def lost(self) -> None:
        self._over = True

    async def _send(self, pause_s: float, answer: bytes) -> None:
        await asyncio.sleep(pause_s)
        if not self._over and self.write is not None:
            with suppress(OSError):  # nobody listens any more
                self.write(answer)


class _Connection(asyncio.Protocol):
    """One client of a TCP line."""

    def __init__(self, answerer: Answerer, clients: set[asyncio.WriteTransport]) -> None:
        self._speaker = _Speaker(answerer)
        self._clients = clients
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 - a TCP connection is one
        self._transport = transport
        self._clients.add(transport)
        self._speaker.write = transport.write

    def data_received(self, data: bytes) -> None:
        self._speaker.heard(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._speaker.lost()
        if self._transport is not None:
            self._clients.discard(self._transport)
