"""A fleet behind gateways, polled once a second: transactions a meter, and processor time.

Four gateways with 50 meters each, 60 registers a meter in three blocks with gaps between them. The
gateways, in a process of their own, answer at once and count the requests. Where `telegraf` is on
PATH its modbus input polls the same gateways for the same registers; both are counted over there.
"""

import asyncio
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

from collector.clock import Clock
from collector.health import Health
from collector.journal import Journal
from collector.metrics import Metrics
from collector.profiles import Profile
from collector.rejects import Rejects
from collector.settings import BusSettings
from collector.site import Site
from collector.sources.modbus import ModbusReader

GATEWAYS, METERS, SECONDS, EVERY_S = 4, 50, 15.0, 1.0
STARTS = (0, 26, 200)
"""Three runs of 20 registers: the first two are near enough (6 unused) for one request."""
NAMES = (
    *("power_kw", "power_a_kw", "power_b_kw", "power_c_kw", "energy_import_kwh"),
    *("voltage_a_v", "voltage_b_v", "voltage_c_v", "current_a_a", "current_b_a"),
    *("current_c_a", "frequency_hz", "power_factor", "demand_kw", "energy_export_kwh"),
)


def _addresses() -> list[int]:
    return [start + 4 * n for start in STARTS for n in range(5)]


def _profile() -> Profile:
    rows = [
        {"quantity": name, "address": address, "type": "f64", "scale": 0.01}
        for name, address in zip(NAMES, _addresses(), strict=True)
    ]
    return Profile.model_validate({"id": "bench", "title": "", "reference": "", "registers": rows})


class _Gateway(asyncio.Protocol):
    def __init__(self, seen: Counter[str]) -> None:
        self._seen, self._rest = seen, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while len(self._rest) >= 12:
            ask, self._rest = self._rest[:12], self._rest[12:]
            count = int.from_bytes(ask[10:12], "big")
            self._seen["requests"] += 1
            self._seen["registers"] += count
            head = ask[:4] + (3 + 2 * count).to_bytes(2, "big") + ask[6:8] + bytes([2 * count])
            words = b"\x40\x49\x00\x00\x00\x00\x00\x00" * (count // 4 + 1)  # 50.0 as f64
            self._transport.write(head + words[: 2 * count])


def _gateways(pipe: Connection) -> None:
    async def serve() -> None:
        loop, seen = asyncio.get_running_loop(), Counter[str]()
        servers = [
            await loop.create_server(lambda: _Gateway(seen), "127.0.0.1", 0)
            for _ in range(GATEWAYS)
        ]
        pipe.send([one.sockets[0].getsockname()[1] for one in servers])
        while await loop.run_in_executor(None, pipe.recv):
            pipe.send(dict(seen))
            seen.clear()

    asyncio.run(serve())


def _sites(meters_a_bus: int) -> list[Site]:
    def meter(bus: int, unit: int) -> dict[str, object]:
        source = {"via": "modbus", "bus": f"b{bus}", "unit": unit, "profile": "bench",
                  "poll_every_s": EVERY_S}  # fmt: skip
        return {"id": f"m{bus}-{unit}", "source": source}

    meters = [meter(bus, unit) for bus in range(GATEWAYS) for unit in range(1, meters_a_bus + 1)]
    about = {"id": "bench", "kind": "factory", "district": "d", "name": {"zh": "站", "en": "B"}}
    return [Site.model_validate(about | {"meters": meters})]


def _ours(meters: int, seconds: float, ports: list[int]) -> None:
    """Run the collector in this process for some seconds and print its processor seconds."""
    clock, metrics = Clock.real(), Metrics()
    buses = [BusSettings(id=f"b{n}", host="127.0.0.1", port=port) for n, port in enumerate(ports)]
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.db", clock.now)
        rejects = Rejects(None, metrics=metrics)
        reader = ModbusReader(
            buses, _sites(meters), {"bench": _profile()}, journal=journal, rejects=rejects,
            health=Health(), metrics=metrics, clock=clock,
        )  # fmt: skip
        before = resource.getrusage(resource.RUSAGE_SELF)
        reader.start()
        time.sleep(seconds)
        reader.stop()
        after = resource.getrusage(resource.RUSAGE_SELF)
        rows = journal.read(0, 10_000_000).frame.height
        journal.close()
        rejects.close()
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"rows": rows, "cpu_s": spent}))


def _telegraf(binary: str, meters: int, seconds: float, ports: list[int]) -> float:
    """Run Telegraf on the same fleet for as long; return its processor seconds."""
    fields = "\n".join(
        f'    {{address={address}, name="{name}", type="FLOAT64"}},'
        for name, address in zip(NAMES, _addresses(), strict=True)
    )
    head = f'[agent]\n  interval = "{EVERY_S:g}s"\n  omit_hostname = true\n[[outputs.discard]]\n'
    inputs = "".join(
        f'[[inputs.modbus]]\n  name = "g{n}"\n  controller = "tcp://127.0.0.1:{port}"\n'
        '  configuration_type = "request"\n'
        + "".join(
            f'  [[inputs.modbus.request]]\n  slave_id = {unit}\n  byte_order = "ABCD"\n'
            '  register = "holding"\n  optimization = "max_insert"\n'
            f"  optimization_max_register_fill = 8\n  fields = [\n{fields}\n  ]\n"
            for unit in range(1, meters + 1)
        )
        for n, port in enumerate(ports)
    )
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "telegraf.conf"
        config.write_text(head + inputs)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        running = subprocess.Popen([binary, "--config", str(config), "--quiet"])
        time.sleep(seconds)
        running.terminate()
        running.wait(20)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run(meters: int = METERS, seconds: float = SECONDS) -> dict[str, float]:
    """Return both sides' figures; Telegraf's are absent where it is not installed.

    Args:
        meters: behind each gateway.
        seconds: each side is let poll.
    """
    here, there = multiprocessing.get_context("spawn").Pipe()
    gateways = multiprocessing.get_context("spawn").Process(target=_gateways, args=(there,))
    gateways.start()
    ports = here.recv()
    fleet = GATEWAYS * meters
    done = subprocess.run(
        [sys.executable, __file__, *map(str, (meters, seconds, *ports))],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    ours = json.loads(done.stdout)
    here.send(1)
    seen = here.recv()
    figures = {
        "bus_meters": fleet,
        "bus_polls_per_s": round(ours["rows"] / seconds, 1),
        "bus_polls_wanted_per_s": fleet / EVERY_S,
        "bus_requests_per_poll": round(seen["requests"] / max(ours["rows"], 1), 3),
        "bus_registers_per_poll": round(seen["registers"] / max(ours["rows"], 1), 1),
        "bus_cpu_pct_per_1000_meters_at_15_s": round(
            100 * ours["cpu_s"] / ours["rows"] * 1000 / 15, 3
        ),
    }
    if binary := shutil.which("telegraf"):
        spent = _telegraf(binary, meters, seconds, ports)
        here.send(1)
        theirs = here.recv()
        polls = fleet * seconds / EVERY_S
        figures["telegraf_requests_per_s"] = round(theirs["requests"] / seconds, 1)
        figures["telegraf_requests_per_poll"] = round(theirs["requests"] / polls, 3)
        figures["cpu_to_telegraf_ratio"] = round(ours["cpu_s"] / spent, 3)
    here.send(0)
    gateways.join()
    return figures


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _ours(int(sys.argv[1]), float(sys.argv[2]), [int(port) for port in sys.argv[3:]])
    else:
        print(json.dumps(run(), indent=2))
