"""A DL/T 645 reader with real parts around it, simulated lines, and pairs of pseudo-terminals."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from services import end, requires
from waiting import until

from collector.clock import Clock
from collector.health import Health
from collector.intake import Desk
from collector.journal import Journal
from collector.linesettings import LineSettings
from collector.metrics import Metrics
from collector.rejects import Rejects
from collector.simulator.dlt645_answers import Meter, Showing
from collector.simulator.dlt645_meters import Dlt645Meters, Line
from collector.site import Site
from collector.sources.dlt645 import Dlt645Reader

SHANGHAI = ZoneInfo("Asia/Shanghai")
SHOWN = {
    "energy_import_kwh": 4321.09, "energy_import_t1_kwh": 321.09, "energy_import_t2_kwh": 1500.5,
    "energy_import_t3_kwh": 1499.5, "energy_import_t4_kwh": 1000.0, "energy_export_kwh": 12.34,
    "reactive_import_kvarh": 77.5, "demand_register_kw": 12.3456,
    "demand_register_at_s": datetime(2026, 11, 9, 2, 15, tzinfo=UTC).timestamp(),
    "voltage_a_v": 230.1, "voltage_b_v": 229.8, "voltage_c_v": 231.2,
    "current_a_a": 5.123, "current_b_a": -4.75, "current_c_a": 0.001,
    "power_kw": -2.5012, "power_a_kw": 1.1, "power_b_kw": -1.09, "power_c_kw": 0.0,
    "reactive_power_kvar": -0.4331, "apparent_power_kva": 2.6, "power_factor": -0.501,
    "frequency_hz": 49.98, "demand_kw": 2.75,
}  # fmt: skip
"""Secondary values, all with no more digits than the protocol carries."""


def line(port: int = 0, device: str = "", **more: object) -> LineSettings:
    """Return a quick line on this machine, at a TCP port or at a serial device."""
    place = {"kind": "serial", "device": device} if device else {"kind": "tcp", "port": port}
    quick = {
        "id": "line-1", "host": "127.0.0.1", "baudrate": 115200, "timeout_s": 3.0, "retries": 0,
        "pause_between_s": 0.001, "backoff_min_s": 0.05, "backoff_max_s": 0.4,
    }  # fmt: skip
    return LineSettings.model_validate(quick | place | more)


def address(number: int) -> str:
    """Return the address of meter `m<number>`."""
    return f"{number:012d}"


def site_of(numbers: Sequence[int], meter: dict[str, object] | None = None, **more: object) -> Site:
    """Return a site with one meter `m<number>` each, all on line-1; `more` goes to the source."""
    meters = [
        (meter or {})
        | {
            "id": f"m{one}",
            "source": {"via": "dlt645", "line": "line-1", "address": address(one)}
            | {"poll_every_s": 0.02, "items": ["energy_import"], **more},
        }
        for one in numbers
    ]
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
    readers: list[Dlt645Reader] = field(default_factory=list)
    simulators: list[Dlt645Meters] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder / "journal.db", self.clock.now)
        self.rejects = Rejects(None, metrics=self.metrics)

    def simulate(
        self, shows: dict[int, Callable[[datetime], Showing]], device: str = "", port: int = 0
    ) -> int:
        """Serve meters; return the TCP port if no device is given."""
        meters = tuple(Meter(address(one), show, SHANGHAI) for one, show in shows.items())
        simulator = Dlt645Meters([Line("line-1", meters, device, port)], self.clock.now)
        self.simulators.append(simulator)
        return simulator.start().get("line-1", 0)

    def reader(self, settings: LineSettings, site: Site) -> Dlt645Reader:
        """Start a reader."""
        desk = Desk(self.journal, self.rejects, self.metrics, self.health, self.clock.now)
        made = Dlt645Reader([settings], [site], desk, self.clock, commit_every_s=0.01)
        self.readers.append(made)
        made.start()
        return made

    def readings(self, meter_id: str | None = None) -> pl.DataFrame:
        """Return what is in the journal."""
        frame = self.journal.read(0, 10_000_000).frame
        return frame if meter_id is None else frame.filter(meter_id=meter_id)

    def outcome(self, name: str) -> float:
        """Return the count of polls of one outcome on line-1."""
        labels = {"line": "line-1", "outcome": name}
        return self.metrics.value("demandwatch_dlt645_polls_total", labels) or 0.0

    def close(self) -> None:
        """Stop every reader and simulator, then the stores."""
        for one in (*self.readers, *self.simulators):
            one.stop()
        self.journal.close()
        self.rejects.close()


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Rig]:
    """A journal, rejects, health and metrics for DL/T 645 readers."""
    made = Rig(tmp_path)
    yield made
    made.close()


@pytest.fixture
def pty_pair(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two serial ports joined by a cable: pseudo-terminals made by socat."""
    socat = requires("socat")
    ends = (str(tmp_path / "meters"), str(tmp_path / "reader"))
    told = [f"pty,raw,echo=0,link={one}" for one in ends]
    process = subprocess.Popen([socat, *told])
    try:
        until(lambda: all(Path(one).exists() for one in ends), what="socat's pseudo-terminals")
        yield ends
    finally:
        end(process)
