"""`demandwatch collect`: processor time of 1,000 Modbus meters at 15 s, memory at 10,000 meters.

The program runs as a process of its own; gateways that answer at once and the upper side's broker
stand beside it. Figures are the kernel's, of the collector's process alone.
"""

import asyncio
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import yaml

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from services import Mosquitto, free_port, requires  # noqa: E402 - of the tests
from services_edge import upper  # noqa: E402 - same
from waiting import until  # noqa: E402 - same

from collector.clock import Clock  # noqa: E402 - the path is set above
from collector.profiles import load_profiles  # noqa: E402 - same
from collector.quantity import QUANTITIES  # noqa: E402 - same
from collector.registers import encode  # noqa: E402 - same
from collector.simulator.publisher import Publisher, payload_of, topic_of  # noqa: E402 - same

BUSES, UNITS, SECONDS, MANY = 10, 100, 30.0, 10_000
PROFILE = "demandwatch-sim"


class _Gateway(asyncio.Protocol):
    """Answers every request at once from one register image."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        profile = load_profiles(ROOT / "config" / "meter-profiles").by_id[PROFILE]
        values = dict.fromkeys(QUANTITIES, 45.0) | {"power_factor": 0.5}
        words = {at: word for (_, at), word in encode(profile, values).items()}
        self._image = b"".join(struct.pack(">H", words.get(at, 0)) for at in range(200))

    def data_received(self, data: bytes) -> None:
        for at in range(0, len(data), 12):
            start, count = struct.unpack_from(">HH", data, at + 8)
            body = bytes((data[at + 7], 2 * count)) + self._image[2 * start : 2 * (start + count)]
            size = (len(body) + 1).to_bytes(2, "big")
            self._transport.write(data[at : at + 2] + b"\0\0" + size + data[at + 6 : at + 7] + body)


def run(units: int = UNITS, seconds: float = SECONDS, many: int = MANY) -> dict[str, float]:
    """Return seconds of processor a second and 1,000 meters (percent), and MB of memory.

    Args:
        units: Modbus meters on each of BUSES links.
        seconds: for which their processor time is counted.
        many: MQTT meters by which memory is filled.
    """
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(Path(folder), requires("mosquitto"))
        broker.start()
        try:
            with upper(broker, Path(folder), Clock.real().now()):
                percent = _polling(Path(folder) / "polling", broker.port, units, seconds)
                empty, full = _publishing(Path(folder) / "publishing", broker.port, many)
        finally:
            broker.stop()
    return {
        "cpu_percent_per_1000_meters_at_15_s": percent,
        "memory_at_start_mb": empty,
        f"memory_at_{many}_meters_mb": full,
    }


@contextmanager
def _gateways() -> Iterator[list[int]]:
    """Serve gateways on a thread; gives their ports."""
    ports: Future[list[int]] = Future()
    over = threading.Event()

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        servers = [await loop.create_server(_Gateway, "127.0.0.1", 0) for _ in range(BUSES)]
        ports.set_result([one.sockets[0].getsockname()[1] for one in servers])
        await loop.run_in_executor(None, over.wait)
        for one in servers:
            one.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield ports.result(10)
    finally:
        over.set()
        thread.join()


def _polling(folder: Path, upstream: int, units: int, seconds: float) -> float:
    with _gateways() as ports:
        return _polled(folder, upstream, ports, units, seconds)


def _polled(folder: Path, upstream: int, ports: Sequence[int], units: int, seconds: float) -> float:
    buses = [{"id": f"b{n}", "host": "127.0.0.1", "port": port} for n, port in enumerate(ports)]
    meters = [
        {"id": f"m{n}-{unit}", "source": {"via": "modbus", "bus": f"b{n}", "unit": unit,
                                          "profile": PROFILE, "poll_every_s": 15}}
        for n in range(BUSES) for unit in range(1, units + 1)
    ]  # fmt: skip
    process, status = _start(folder, upstream, {"buses": buses}, meters)
    until(lambda: _heard(status) == len(meters), 60, "every meter to be heard")
    before = _cpu_s(process.pid)
    time.sleep(seconds)  # a measurement over time
    used = _cpu_s(process.pid) - before
    _end(process)
    return 100 * used / seconds * 1000 / len(meters)


def _publishing(folder: Path, port: int, many: int) -> tuple[float, float]:
    meters = [{"id": f"p{n}"} for n in range(many)]
    mqtt = {"port": port, "client_id": "collect-bench"}
    process, status = _start(folder, port, {"mqtt": mqtt}, meters)
    until(lambda: "mqtt" not in _status(status).get("problems", {"mqtt": ""}), 60, "the collector")
    empty = _memory_mb(process.pid)
    publisher = Publisher("127.0.0.1", port, client_id="bench-field")
    publisher.connect()
    for second in range(4):
        for n in range(many):
            at = f"2026-01-01T00:00:{15 * second:02d}Z"
            row = {"measured_at": at, "energy_import_kwh": 1000.0 + n, "power_kw": 5.0}
            publisher.publish(topic_of(f"p{n}"), payload_of([row]))
    until(lambda: _heard(status) == many, 120, "every meter to be heard")
    publisher.settle(60)
    publisher.close()
    full = _memory_mb(process.pid)
    _end(process)
    return empty, full


def _start(
    folder: Path,
    upstream: int,
    collector: dict[str, object],
    meters: Sequence[Mapping[str, object]],
) -> tuple["subprocess.Popen[bytes]", int]:
    (folder / "sites").mkdir(parents=True)
    port = free_port()
    edge = {"id": "edge-1", "upstream": {"port": upstream}, "status_port": port}
    settings = {"meter_profiles": str(ROOT / "config" / "meter-profiles"),
                "collector": {**collector, "edge": edge}}  # fmt: skip
    config = folder / "demandwatch.yaml"
    config.write_text(yaml.safe_dump(settings))
    site = {"id": "s", "name": {"zh": "厂", "en": "s"}, "kind": "factory", "district": "d",
            "meters": meters}  # fmt: skip
    (folder / "sites" / "s.yaml").write_text(yaml.safe_dump({"sites": [site]}))
    command = [sys.executable, "-m", "demandwatch", "collect", "-c", str(config)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env=environment)
    return process, port


def _status(port: int) -> dict[str, dict[str, int]]:
    from urllib.request import urlopen  # noqa: PLC0415 - only here

    try:
        with urlopen(f"http://127.0.0.1:{port}/status", timeout=10) as answer:
            return dict(json.load(answer))
    except OSError:
        return {}


def _heard(port: int) -> int:
    return _status(port).get("meters", {}).get("heard", 0)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(one.split()[1]) for one in lines if one.startswith("VmRSS")) / 1000


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(10)


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
