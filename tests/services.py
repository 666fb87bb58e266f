"""Real servers for tests: on 127.0.0.1, a free port and a temporary folder, ended with the test."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from waiting import until

NO_SKIPS = os.environ.get("DEMANDWATCH_NO_SKIPS") == "1"


def skip(reason: str) -> None:
    """Skip the test and say why; where skips are forbidden, fail it."""
    if NO_SKIPS:
        pytest.fail(f"skips are forbidden (DEMANDWATCH_NO_SKIPS=1): {reason}")
    pytest.skip(reason)


def requires(binary: str) -> str:
    """Return the path of a program, or skip the test."""
    found = shutil.which(binary, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        skip(f"{binary} is not on PATH")
    return str(found)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 nobody listens on just now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether something accepts connections there."""
    with closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process this test started and wait for it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


@dataclass
class Mosquitto:
    """A Mosquitto broker that can be stopped and started again on the same port and store."""

    folder: Path
    binary: str
    extra: str = "allow_anonymous true\n"
    """Lines of its configuration that a test may replace before it starts."""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\n{self.extra}set_tcp_nodelay true\n"
            "persistence true\nautosave_on_changes false\n"
            f"persistence_location {self.folder}/\n"
            "max_queued_messages 0\nmax_inflight_messages 0\n"
            # root's Mosquitto would drop to a user the folder is closed to
            + ("user root\n" if os.getuid() == 0 else "")
        )
        log = (self.folder / "mosquitto.log").open("ab")
        with log:
            command = [self.binary, "-c", str(config)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(lambda: listens(self.port), what="mosquitto to listen")

    def stop(self) -> None:
        """Stop it; its store stays."""
        if self.process is not None:
            end(self.process)
            self.process = None


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running Mosquitto broker with QoS 1 queues without limit."""
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    broker = Mosquitto(folder, requires("mosquitto"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real measurements beside the project, or skip."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        skip(f"the real measurements are not at {folder}")
    return folder
