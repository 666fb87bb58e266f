"""A broker for demonstrations and replays: Mosquitto if it is on PATH, else one in this process.

The embedded one (amqtt) speaks MQTT 3.1.1 only and keeps nothing on disk; real installations run
a broker of their own.
"""

import asyncio
import logging
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing, suppress
from pathlib import Path
from typing import Literal, Protocol

from amqtt.broker import Broker as Amqtt

_START_S = 10.0
_PATHS = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
"""Where packages put Mosquitto although users' PATH often lacks it."""


class Broker(Protocol):
    """A running broker on this machine."""

    name: str
    host: str
    port: int
    protocol: Literal["5", "3.1.1"]
    """Newest MQTT version it speaks."""

    def stop(self) -> None:
        """End it; return when its port is closed."""


def open_broker(folder: Path, port: int = 0, *, embedded: bool = False) -> Broker:
    """Start a broker on 127.0.0.1 that lets anyone in, and wait until it listens.

    Args:
        folder: for its settings, log and store; made if absent.
        port: wanted port; if it is taken, or 0, a free one: see the result's `port`.
        embedded: never Mosquitto.

    Raises:
        RuntimeError: it did not start; with its own words.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:{_PATHS}")
    if found and not embedded:
        return Mosquitto(found, folder, _free(port))
    return EmbeddedBroker(_free(port))


class Mosquitto:
    """Mosquitto as a child process; its queue survives its restart."""

    name = "mosquitto"
    host = "127.0.0.1"
    protocol: Literal["5", "3.1.1"] = "5"

    def __init__(self, binary: str, folder: Path, port: int) -> None:
        self.port = port
        config = folder / "mosquitto.conf"
        lines = [
            f"listener {port} {self.host}",
            "allow_anonymous true",
            "set_tcp_nodelay true",
            "persistence true",
            f"persistence_location {folder.resolve()}/",
            "max_queued_messages 0",
            "max_inflight_messages 0",
        ]
        if os.getuid() == 0:  # it would drop to a user that cannot write here
            lines.append("user root")
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._log = folder / "mosquitto.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a fixed command, no shell
                [binary, "-c", str(config)],
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: we stop it when we are done with it
            )
        try:
            _await_port(port, lambda: self._process.poll() is None)
        except RuntimeError as error:
            self.stop()
            said = self._log.read_text(encoding="utf-8", errors="replace").strip()
            raise RuntimeError(f"mosquitto did not start: {said or error}") from error
        except BaseException:  # Ctrl-C: it would outlive us
            self.stop()
            raise

    def stop(self) -> None:
        """Terminate it and wait."""
        self._process.terminate()
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(3)


class EmbeddedBroker:
    """amqtt on a thread of its own."""

    name = "amqtt"
    host = "127.0.0.1"
    protocol: Literal["5", "3.1.1"] = "3.1.1"

    def __init__(self, port: int) -> None:
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._ready: Future[None] = Future()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="amqtt", daemon=True)
        self._thread.start()
        self._ready.result(_START_S)

    def stop(self) -> None:
        """Shut it down and wait for its thread."""
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(5)

    def _run(self) -> None:
        for name in ("amqtt", "transitions"):  # they tell every packet and every change of state
            logging.getLogger(name).setLevel(logging.ERROR)
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:  # noqa: BLE001 - handed to whoever waits in __init__
            if not self._ready.done():
                self._ready.set_exception(RuntimeError(f"the embedded broker failed: {error}"))
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        plugin = "amqtt.plugins.authentication.AnonymousAuthPlugin"
        bind = f"{self.host}:{self.port}"
        broker = Amqtt(
            {
                "listeners": {"default": {"type": "tcp", "bind": bind}},
                "plugins": {plugin: {"allow_anonymous": True}},
            },
            loop=self._loop,
        )
        await broker.start()
        self._ready.set_result(None)
        await self._over.wait()
        await broker.shutdown()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


def _free(port: int) -> int:
    for wanted in (port, 0):
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", wanted))
            return int(probe.getsockname()[1])
    raise RuntimeError("no free port on 127.0.0.1")


def _await_port(port: int, alive: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and alive():
        with closing(socket.socket()) as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")
