"""A headless Chromium driven over its own devtools socket; one page, real rendering, real time."""

import base64
import itertools
import json
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from services import requires
from waiting import until
from websockets.sync.client import connect

OUTPUT = Path(__file__).parent / "output"
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--remote-debugging-port=0", "--remote-allow-origins=*",
)  # fmt: skip


class Page:
    """The one page of the browser."""

    def __init__(self, socket) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self.errors: list[str] = []
        """Exceptions and error logs of every page shown so far."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one devtools command and return its result."""
        wanted = next(self._ids)
        self._socket.send(json.dumps({"id": wanted, "method": method, "params": params}))
        while True:
            told = json.loads(self._socket.recv(timeout=20))
            if told.get("id") == wanted:
                assert "error" not in told, told
                return told["result"]
            self._note(told)

    def _note(self, told: dict[str, Any]) -> None:
        params = told.get("params", {})
        if told.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"])[:600])
        if told.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    def size(self, width: int, height: int) -> None:
        """Set the viewport, CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)  # fmt: skip

    def open(self, url: str, charts: int = 0) -> None:
        """Go to `url` and wait until the page is live and `charts` charts are drawn."""
        self.call("Page.navigate", url=url)
        self.wait(f"location.href === {json.dumps(url)} && !!document.querySelector('.page')")
        self.wait("[...document.querySelectorAll('.clock')].some(one => one.textContent)")
        self.wait(f"document.querySelectorAll('.chart canvas').length >= {charts}")

    def leave(self) -> None:
        """Leave the page, so that it does not call a server that has ended."""
        self.call("Page.navigate", url="about:blank")
        self.wait("location.href === 'about:blank'")
        self.errors.clear()

    def js(self, code: str) -> Any:
        """Return the value of a JavaScript expression; a promise is awaited."""
        told = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait(self, code: str, timeout_s: float = 15.0) -> None:
        """Wait until a JavaScript expression is true."""
        until(lambda: self.js(code), timeout_s, code)

    def text(self) -> str:
        """Return what a reader sees."""
        return self.js("document.body.innerText")

    def shot(self, name: str) -> bytes:
        """Save a screenshot as tests/output/<name>.png and return it."""
        self.js("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        OUTPUT.mkdir(exist_ok=True)
        (OUTPUT / f"{name}.png").write_bytes(data)
        return data


@contextmanager
def browser():
    """Run Chromium and yield its page; skips, saying so, where there is no Chromium."""
    program = requires("chromium")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        stack.callback(process.wait, 10)
        stack.callback(process.terminate)
        announced = folder / "DevToolsActivePort"
        until(lambda: announced.exists() and announced.read_text().count("\n"), 20, "chromium")
        port, path = announced.read_text().split("\n")[:2]
        socket = stack.enter_context(connect(f"ws://127.0.0.1:{port}{path}", max_size=None))
        yield Page(_Session(socket))


class _Session:
    """Speaks to the browser's first page through the browser's socket."""

    def __init__(self, socket) -> None:
        self._socket = socket
        targets = self._ask(-1, "Target.getTargets")["targetInfos"]
        page = next(one["targetId"] for one in targets if one["type"] == "page")
        attached = self._ask(-2, "Target.attachToTarget", targetId=page, flatten=True)
        self._id = attached["sessionId"]

    def _ask(self, number: int, method: str, **params: Any) -> dict[str, Any]:
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            told = json.loads(self._socket.recv(timeout=20))
            if told.get("id") == number:
                return told["result"]

    def send(self, text: str) -> None:
        self._socket.send(json.dumps(json.loads(text) | {"sessionId": self._id}))

    def recv(self, timeout: float) -> str:
        return self._socket.recv(timeout=timeout)
