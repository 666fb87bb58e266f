"""Serves the console and the API from one thread; starts on a free port, stops within a second."""

import asyncio
import errno
import socket
import threading

import structlog
import uvicorn
from fastapi import FastAPI
from nicegui import core, ui

from dashboards import api
from dashboards.console.pages import register
from dashboards.desk import Desk
from dashboards.settings import ConsoleSettings
from dashboards.sources import Sources

_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 5.0


class PortTakenError(OSError):
    """The port, and those that may be tried after it, are in use."""


class Console:
    """The pages and the API. One a process: NiceGUI keeps one application per process."""

    def __init__(
        self,
        sources: Sources,
        settings: ConsoleSettings,
        version: str = "0",
        most_series: int = 10_000,
    ) -> None:
        self.desk = Desk(sources, settings, most_series)
        self._settings = settings
        self._version = version
        self._port = settings.port
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Address of the City page; valid once started."""
        host = self._settings.host
        return f"http://{'127.0.0.1' if host in ('0.0.0.0', '') else host}:{self._port}"  # noqa: S104 - shown, not bound

    def start(self) -> None:
        """Bind, serve in a thread, and return once requests are answered.

        Raises:
            PortTakenError: no port may be had; the text says which were tried.
            RuntimeError: the server ended while it started; the log says why.
        """
        app = application(self.desk, self._version)
        self._socket = _bind(self._settings)
        self._port = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(
            target=asyncio.run, args=(self._server.serve([self._socket]),), name="console"
        )
        self._thread.start()
        if not self._server.up.wait(_START_TIMEOUT_S) or not self._server.started:
            self.stop()
            raise RuntimeError("the console did not start; see the log")
        structlog.get_logger().info("console is up", url=self.url)

    def stop(self) -> None:
        """Close all connections and end the thread; safe to call twice."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_STOP_TIMEOUT_S)
        if self._socket is not None:
            self._socket.close()


class _Server(uvicorn.Server):
    """Tells when it is up, or over before it was."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.up.set()


def application(desk: Desk, version: str) -> FastAPI:
    """Return the ASGI application: the API, and the pages behind it."""
    app = api.app(desk, version)
    # NiceGUI's application outlives a server in tests that start several; Starlette refuses new
    # middleware once it has answered, so its stack is built anew.
    core.app.middleware_stack = None
    core.app.user_middleware.clear()
    register(desk)
    ui.run_with(
        app,
        title="demandwatch",
        dark=True,
        tailwind=False,
        binding_refresh_interval=None,
        show_welcome_message=False,
        favicon=_ICON,
    )
    return app


_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" '
    'rx="3" fill="#111921"/><path d="M2 11h3V7h3v2h3V4h3" fill="none" stroke="#62d2c3" '
    'stroke-width="1.6"/><path d="M2 3.5h12" stroke="#ff5b52" stroke-width="1.2"/></svg>'
)


def _bind(settings: ConsoleSettings) -> socket.socket:
    """Return a listening socket on the first port that is free."""
    tried = range(settings.port, settings.port + settings.try_next_ports + 1)
    for port in tried:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((settings.host, port))
        except OSError as problem:
            made.close()
            if problem.errno != errno.EADDRINUSE:
                raise
        else:
            return made
    told = str(tried[0]) if len(tried) == 1 else f"{tried[0]} to {tried[-1]}"
    raise PortTakenError(
        errno.EADDRINUSE, f"port {told} on {settings.host} is in use: set dashboards.console.port"
    )
