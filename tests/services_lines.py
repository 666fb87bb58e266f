"""Lines for tests: a serial cable of pseudo-terminals, and a gateway told what to say, by bytes."""

import contextlib
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from services import end, requires
from waiting import until


@dataclass
class Cable:
    """Two serial devices joined by socat; can be pulled and plugged again."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def ends(self) -> tuple[str, str]:
        """The two devices."""
        return str(self.folder / "here"), str(self.folder / "there")

    def plug(self) -> None:
        """Make both devices."""
        told = [f"pty,raw,echo=0,link={one}" for one in self.ends]
        self.process = subprocess.Popen([requires("socat"), *told])
        until(lambda: all(Path(one).exists() for one in self.ends), what="pseudo-terminals")

    def pull(self) -> None:
        """Take both away."""
        if self.process is not None:
            end(self.process)
            self.process = None


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    """A serial cable."""
    made = Cable(tmp_path)
    made.plug()
    yield made
    made.pull()


Talk = Callable[[bytes, Callable[[bytes], None]], object]
"""(request, send): says something, or not; returns False to hang up."""


@pytest.fixture
def raw() -> Iterator[Callable[..., int]]:
    """Start gateways that do as a test says: raw(talk, size of a request) -> port."""
    servers: list[socketserver.ThreadingTCPServer] = []

    def serve(
        talk: Talk, size: int = 8, port: int = 0, context: ssl.SSLContext | None = None
    ) -> int:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    if context is not None:
                        self.request = context.wrap_socket(self.request, server_side=True)
                    while request := self.request.recv(size):
                        if talk(request, self.request.sendall) is False:
                            return

            def finish(self) -> None:
                self.request.close()

        server = socketserver.ThreadingTCPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return int(server.server_address[1])

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()
