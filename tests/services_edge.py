"""An edge with a real journal and forwarder, and an upper side that reads its broker."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import polars as pl
from services import Mosquitto
from waiting import until

from collector.edgesettings import EdgeSettings
from collector.forward import Forwarder
from collector.health import Health
from collector.intake import Desk
from collector.journal import Journal
from collector.metrics import Metrics
from collector.reading import UTC_US
from collector.rejects import Rejects
from collector.settings import JournalSettings, MqttSettings
from collector.sources.mqtt import MqttReader

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
METERS = 20
KNOWN = frozenset(f"m{n}" for n in range(METERS))


def rows(first: int, count: int, at: datetime = NOW, **columns: object) -> pl.DataFrame:
    """Readings numbered `first...`, one a second and meter, ending at `at`."""
    numbers = range(first, first + count)
    instants = [at - timedelta(seconds=(count - 1 - i) // METERS) for i in range(count)]
    return pl.DataFrame(
        {
            "meter_id": [f"m{n % METERS}" for n in numbers],
            "measured_at": instants,
            "received_at": instants,
            "source": ["modbus:bus-1"] * count,
            "energy_import_kwh": [float(n) for n in numbers],
            **columns,
        },
        schema_overrides={"measured_at": UTC_US, "received_at": UTC_US},
    )


@dataclass
class EdgeRig:
    """The edge's journal and forwarder; `now` is stepped by the test."""

    folder: Path
    port: int
    wish: dict[str, object] = field(default_factory=dict)
    now: datetime = NOW
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        upstream = {"port": self.port, "reconnect_max_s": 1}
        quick = {"batch_within_s": 0.05, "id": "edge-1", "upstream": upstream}
        self.settings = EdgeSettings.model_validate(quick | self.wish)
        self.journal = Journal(
            self.folder / "edge.db", lambda: self.now, JournalSettings(commit_within_ms=0),
            metrics=self.metrics,
        )  # fmt: skip
        self.forwarder = self.fresh()
        self.over, self.thread = Event(), Thread()

    def fresh(self) -> Forwarder:
        """A forwarder as a new process would make it."""
        cursor = self.folder / "edge.cursor"
        return Forwarder(self.settings, self.journal, cursor, self.metrics, lambda: self.now)

    @contextmanager
    def forwarding(self) -> Iterator[Forwarder]:
        """Forward while the block runs."""
        self.over.clear()
        self.thread = Thread(target=self.forwarder.run, args=(self.over,))
        self.thread.start()
        try:
            yield self.forwarder
        finally:
            self.over.set()
            self.thread.join(10)

    def forwarded(self, kind: str) -> float:
        """Readings acknowledged by the broker."""
        return self.metrics.value("demandwatch_edge_forwarded_total", {"kind": kind}) or 0.0


@contextmanager
def upper(
    broker: Mosquitto, folder: Path, now: datetime = NOW
) -> Iterator[tuple[Desk, MqttReader]]:
    """The upper side: reads the batches of edge-1 into a journal of its own."""
    metrics = Metrics()
    journal, rejects = Journal(folder / "upper.db", lambda: now), Rejects(None, metrics=metrics)
    desk = Desk(journal, rejects, metrics, Health(), lambda: now)
    settings = MqttSettings(port=broker.port, reconnect_max_s=1)
    reader = MqttReader(settings, frozenset(), desk, edges={"edge-1": KNOWN})
    reader.start()
    try:
        until(lambda: reader.status().connected, what="the upper side to connect")
        yield desk, reader
    finally:
        reader.stop()
        journal.close()
        rejects.close()


def numbers(desk: Desk) -> list[float]:
    """What the upper side has, in the order of arrival."""
    return desk.journal.read(0, 10**8).frame["energy_import_kwh"].to_list()
