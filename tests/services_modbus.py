"""A Modbus reader with real parts around it, and a gateway that answers as a script says."""

import asyncio
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from collector.clock import Clock
from collector.health import Health
from collector.journal import Journal
from collector.metrics import Metrics
from collector.profiles import Profile, load_profiles
from collector.rejects import Rejects
from collector.settings import BusSettings
from collector.site import Site
from collector.sources.modbus import ModbusReader

PROFILES = load_profiles(Path(__file__).parents[1] / "config" / "meter-profiles").by_id


def bus(port: int, **more: object) -> BusSettings:
    """Return a quick bus on this machine."""
    quick = {"timeout_s": 0.3, "retries": 0, "backoff_min_s": 0.05, "backoff_max_s": 0.4}
    return BusSettings.model_validate(
        {"id": "bus-1", "host": "127.0.0.1", "port": port, **quick, **more}
    )


def line(device: str, **more: object) -> BusSettings:
    """Return a quick serial bus."""
    quick = {"timeout_s": 0.3, "retries": 0, "backoff_min_s": 0.05, "backoff_max_s": 0.4}
    return BusSettings.model_validate(
        {"id": "bus-1", "kind": "rtu", "device": device, "baudrate": 115_200, **quick, **more}
    )


def site_of(units: Sequence[int], profile: str = "demandwatch-sim", every_s: float = 0.02) -> Site:
    """Return a site with one meter `m<unit>` a unit, all on bus-1."""
    meters = [
        {
            "id": f"m{unit}",
            "source": {
                "via": "modbus", "bus": "bus-1", "unit": unit, "profile": profile,
                "poll_every_s": every_s,
            },
        }
        for unit in units
    ]  # fmt: skip
    name = {"zh": "厂", "en": "Works"}
    return Site.model_validate(
        {"id": "works", "name": name, "kind": "factory", "district": "d", "meters": meters}
    )


@dataclass
class Rig:
    """Everything a reader needs, and what it left behind."""

    folder: Path
    clock: Clock = field(default_factory=Clock.real)
    health: Health = field(default_factory=Health)
    metrics: Metrics = field(default_factory=Metrics)
    readers: list[ModbusReader] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder / "journal.db", self.clock.now)
        self.rejects = Rejects(None, metrics=self.metrics)

    def reader(
        self,
        buses: Sequence[BusSettings],
        sites: Sequence[Site],
        profiles: Mapping[str, Profile] = PROFILES,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> ModbusReader:
        """Start a reader, on a loop of the test's if it has one."""
        made = ModbusReader(
            buses, sites, profiles, journal=self.journal, rejects=self.rejects,
            health=self.health, metrics=self.metrics, clock=self.clock, commit_every_s=0.01,
        )  # fmt: skip
        if loop is not None:
            made._loop.close()
            made._loop, made._commit_every_s = loop, 60.0
        self.readers.append(made)
        made.start()
        return made

    def readings(self, meter_id: str | None = None) -> pl.DataFrame:
        """Return what is in the journal."""
        frame = self.journal.read(0, 10_000_000).frame
        return frame if meter_id is None else frame.filter(meter_id=meter_id)

    def outcome(self, name: str) -> float:
        """Return the count of polls of one outcome on bus-1."""
        labels = {"bus": "bus-1", "outcome": name}
        return self.metrics.value("demandwatch_modbus_polls_total", labels) or 0.0

    def close(self) -> None:
        """Stop every reader, then the stores."""
        for reader in self.readers:
            reader.stop()
        self.journal.close()
        self.rejects.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A journal, rejects, health and metrics for readers."""
    made = Rig(tmp_path)
    yield made
    made.close()


Answer = Callable[[int, int, int, int, int], Sequence[tuple[float, bytes]]]
"""(transaction, unit, function, start, count) -> (pause in s, bytes) to send, in order."""


def frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """Return a Modbus TCP frame."""
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


@pytest.fixture
def scripted() -> Iterator[Callable[[Answer], int]]:
    """Start gateways whose answers a test writes byte by byte; called with them, gives the port."""
    servers: list[socketserver.ThreadingTCPServer] = []
    over = threading.Event()

    def serve(answer: Answer) -> int:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                while not over.is_set() and len(asked := self.request.recv(12)) == 12:
                    transaction, _, _, unit, *rest = struct.unpack(">HHHBBHH", asked)
                    for pause, data in answer(transaction, unit, *rest):
                        over.wait(pause)
                        self.request.sendall(data)

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return int(server.server_address[1])

    yield serve
    over.set()
    for server in servers:
        server.shutdown()
        server.server_close()
