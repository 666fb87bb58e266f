"""Modbus polls into the durable journal, against a bare pymodbus loop on the same gateway.

Both ask one simulated gateway for the same 60 registers, one request at a time on one connection;
the gateway, in a process of its own, answers at once. The bare loop throws the words away.
"""

import asyncio
import json
import multiprocessing
import statistics
import struct
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

from pymodbus.client import AsyncModbusTcpClient

from collector.clock import Clock
from collector.health import Health
from collector.journal import Journal
from collector.metrics import Metrics
from collector.profiles import Profile
from collector.quantity import QUANTITIES
from collector.registers import encode
from collector.rejects import Rejects
from collector.settings import BusSettings
from collector.site import Site
from collector.sources.modbus import ModbusReader

SECONDS = 1.5
ROUNDS = 5
REGISTERS = 60
METERS = 10


def _profile() -> Profile:
    names = list(QUANTITIES)[: REGISTERS // 4]
    rows = [{"quantity": name, "address": 4 * i, "type": "f64"} for i, name in enumerate(names)]
    return Profile.model_validate({"id": "bench", "title": "", "reference": "", "registers": rows})


class _Gateway(asyncio.Protocol):
    """Answers every request at once with the same words: the reader is what is measured."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        words = encode(_profile(), dict.fromkeys(QUANTITIES, 45.0) | {"power_factor": 0.5})
        self._body = struct.pack(f">BB{REGISTERS}H", 3, 2 * REGISTERS, *words.values())

    def data_received(self, data: bytes) -> None:
        for at in range(0, len(data), 12):
            transaction, unit = data[at : at + 2], data[at + 6 : at + 7]
            size = (len(self._body) + 1).to_bytes(2, "big")
            self._transport.write(transaction + b"\0\0" + size + unit + self._body)


def _gateway(pipe: Connection) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Gateway, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, pipe.recv)

    asyncio.run(serve())


async def _bare(port: int, seconds: float) -> float:
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    polls, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        await client.read_holding_registers(0, count=REGISTERS, device_id=1 + polls % METERS)
        polls += 1
    client.close()
    return polls / took


def _site() -> Site:
    meters = [
        {
            "id": f"m{unit}",
            "source": {
                "via": "modbus", "bus": "bus-1", "unit": unit, "profile": "bench",
                "poll_every_s": 0.0001,
            },
        }
        for unit in range(1, METERS + 1)
    ]  # fmt: skip
    name = {"zh": "站", "en": "Bench"}
    return Site.model_validate(
        {"id": "bench", "name": name, "kind": "factory", "district": "d", "meters": meters}
    )


def _ours(port: int, folder: Path, seconds: float) -> float:
    clock, health, metrics = Clock.real(), Health(), Metrics()
    journal, rejects = Journal(folder / "journal.db", clock.now), Rejects(None, metrics=metrics)
    reader = ModbusReader(
        [BusSettings(id="bus-1", host="127.0.0.1", port=port)], [_site()], {"bench": _profile()},
        journal=journal, rejects=rejects, health=health, metrics=metrics, clock=clock,
    )  # fmt: skip
    began = time.perf_counter()
    reader.start()
    time.sleep(seconds)
    reader.stop()
    took = time.perf_counter() - began
    rows = journal.read(0, 10_000_000).frame.height
    assert rows == health.snapshot()["successes"].sum() > 0
    journal.close()
    rejects.close()
    return rows / took


def run(seconds: float = SECONDS, rounds: int = ROUNDS) -> dict[str, float]:
    """Return polls a second of both, and their ratio, the median of alternating rounds.

    Args:
        seconds: each is let poll in a round.
        rounds: of both.
    """
    here, there = multiprocessing.get_context("spawn").Pipe()
    gateway = multiprocessing.get_context("spawn").Process(target=_gateway, args=(there,))
    gateway.start()
    port = here.recv()
    bare, ours = [], []
    for _ in range(rounds):
        bare.append(asyncio.run(_bare(port, seconds)))
        with tempfile.TemporaryDirectory() as folder:
            ours.append(_ours(port, Path(folder), seconds))
    here.send(None)
    gateway.join()
    ratios = [a / b for a, b in zip(ours, bare, strict=True)]
    return {
        "modbus_polls_per_s": round(statistics.median(ours), 1),
        "bare_pymodbus_polls_per_s": round(statistics.median(bare), 1),
        "polls_to_bare_ratio": round(statistics.median(ratios), 3),
        "registers_per_poll": REGISTERS,
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
