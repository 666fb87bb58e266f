"""Serves what an edge says of itself: /metrics, /healthz, /readyz, /status; standard library only.

/healthz answers while the process lives; /readyz is 503 with the reasons while something is wrong.
"""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from collector.metrics import CONTENT_TYPE

Status = Callable[[], Mapping[str, object]]


class StatusServer:
    """One port of one address."""

    def __init__(self, host: str, port: int, status: Status, metrics: Callable[[], bytes]) -> None:
        """Bind the port.

        Args:
            host: address to listen on.
            port: 0 takes a free one.
            status: what /status shows; its `problems` (a mapping) decide /readyz.
            metrics: what /metrics shows.

        Raises:
            OSError: the port is taken.
        """
        handler = type("Handler", (_Handler,), {"status": staticmethod(status),
                                                "metrics": staticmethod(metrics)})  # fmt: skip
        self._server = ThreadingHTTPServer((host, port), handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="status"
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    status: Status
    metrics: Callable[[], bytes]
    timeout = 5

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/metrics":
            self._answer(200, CONTENT_TYPE, self.metrics())
        elif path in {"/status", "/healthz", "/readyz"}:
            found = self.status()
            code = 503 if path == "/readyz" and found["problems"] else 200
            shown = found if path == "/status" else {"problems": found["problems"]}
            body = json.dumps(shown, ensure_ascii=False, indent=2).encode()
            self._answer(code, "application/json; charset=utf-8", body)
        else:
            self._answer(404, "text/plain", b"/metrics /healthz /readyz /status\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
        """Say nothing: a scrape every few seconds is no news."""

    def _answer(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
