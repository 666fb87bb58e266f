"""An edge after an outage: how fast it catches up, and what live readings wait meanwhile.

Journal, forwarder, Mosquitto and the upper side's reader share the machine. Then a restart: an
hour of 10,000 meters read back from a journal, as large commits and as a trickle of tiny ones.
"""

import json
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from services import Mosquitto, requires  # noqa: E402 - the broker of the tests
from waiting import until  # noqa: E402 - same

from collector import journalfile  # noqa: E402 - the path is set above
from collector.batches import encode_batch  # noqa: E402 - same
from collector.clock import Clock  # noqa: E402 - same
from collector.edgesettings import EdgeSettings  # noqa: E402 - same
from collector.forward import Forwarder  # noqa: E402 - same
from collector.health import Health  # noqa: E402 - same
from collector.intake import Desk  # noqa: E402 - same
from collector.journal import Journal  # noqa: E402 - same
from collector.journalwriter import PACK_BLOBS  # noqa: E402 - same
from collector.metrics import Metrics  # noqa: E402 - same
from collector.reading import UTC_US  # noqa: E402 - same
from collector.rejects import Rejects  # noqa: E402 - same
from collector.settings import MqttSettings  # noqa: E402 - same
from collector.sources.mqtt import MqttReader  # noqa: E402 - same
from processors.book import Book  # noqa: E402 - same
from processors.engine import Engine  # noqa: E402 - same
from processors.history.store import History  # noqa: E402 - same

METERS, ROUNDS = 10_000, 80
HOUR = 240  # rounds of 15 s
T0 = datetime(2026, 3, 1, tzinfo=UTC)
QUANTITIES = ("energy_import_kwh", "reactive_import_kvarh", "power_kw", "voltage_a_v",
              "voltage_b_v", "voltage_c_v", "current_a_a", "power_factor")  # fmt: skip
IDS = np.array([f"meter-{n:05d}" for n in range(METERS)])


def run(meters: int = METERS, rounds: int = ROUNDS, hour: int = HOUR) -> dict[str, float]:
    """Return rates (readings/s) and times (s).

    Args:
        meters: of the edge, METERS at most.
        rounds: of readings of all of them, to catch up on.
        hour: rounds to replay.
    """
    with tempfile.TemporaryDirectory() as folder:
        fast, paced = Path(folder) / "fast", Path(folder) / "paced"
        rate, _ = _catch_up(fast, 10_000_000, meters, rounds)
        pace = EdgeSettings(id="e").catch_up_readings_per_s
        _, wait = _catch_up(paced, pace, meters, rounds)
        some = min(5_000, meters)
        found = {
            "catch_up_readings_per_s": rate,
            "live_wait_during_catch_up_max_s": wait,
            "wire_bytes_per_reading": len(encode_batch(round_of(1, some))) / some,
        }
        found["replay_hour_s"] = _replay(Path(folder), meters, hour, 2_000, engine=True)
        # two readings a commit is what 670 single messages a second make: a tenth of an hour, x 10
        trickle = _replay(Path(folder), meters, hour // 10, 2, engine=False)
        found["read_hour_of_trickle_s"] = 10 * trickle
    return found


def round_of(number: int, meters: int = METERS) -> pl.DataFrame:
    """Readings of all meters at one instant, with the noise real ones have."""
    dice = np.random.default_rng(number)
    at = pl.lit(T0 + timedelta(seconds=15 * number)).cast(UTC_US)
    energy = 1000 + number * 0.05 + np.arange(meters)
    values = {name: (dice.random(meters) * 100).round(2) for name in QUANTITIES[1:-1]}
    columns = {"meter_id": IDS[:meters], "energy_import_kwh": energy.round(2), **values}
    return pl.DataFrame(columns | {"power_factor": dice.random(meters).round(3)}).with_columns(
        at.alias("measured_at"), at.alias("received_at"), pl.lit("mqtt").alias("source")
    )


def _catch_up(folder: Path, pace: int, meters: int, rounds: int) -> tuple[float, float]:
    """Return readings/s from the edge's journal to the upper one, and the longest live wait (s)."""
    folder.mkdir()
    now = Clock.real().now
    broker = Mosquitto(folder, requires("mosquitto"))
    broker.start()
    edge = Journal(folder / "edge.db", now)
    for number in range(rounds):
        edge.append(round_of(number, meters)).result()
    wish = {"id": "e", "upstream": {"port": broker.port}, "catch_up_readings_per_s": pace,
            "batch_within_s": 0.2}  # fmt: skip
    metrics = Metrics()
    cursor = folder / "cursor"
    forwarder = Forwarder(EdgeSettings.model_validate(wish), edge, cursor, metrics, now)
    forwarder.planned = forwarder.progress = forwarder.progress.jump(edge.last())
    desk = Desk(Journal(folder / "upper.db", now), Rejects(None), metrics, Health(), now)
    reader = MqttReader(MqttSettings(port=broker.port), frozenset(), desk,
                        edges={"e": frozenset(IDS.tolist())})  # fmt: skip
    reader.start()
    until(lambda: reader.status().connected)
    over = threading.Event()
    thread = threading.Thread(target=forwarder.run, args=(over,))
    began = time.perf_counter()
    thread.start()
    waits: list[float] = []
    marker = 0
    while forwarder.progress.holes or not waits:
        marker += 1
        waits.append(_live(edge, desk, marker))
    total = meters * rounds + marker
    until(lambda: (metrics.value("demandwatch_readings_total", {"source": "mqtt"}) or 0) >= total)
    seconds = time.perf_counter() - began
    over.set()
    thread.join()
    reader.stop()
    for one in (edge, desk.journal):
        one.close()
    broker.stop()
    return meters * rounds / seconds, max(waits)


def _live(edge: Journal, desk: Desk, marker: int) -> float:
    """Journal one reading and return how long it takes to be durable upstream."""
    mark = 1e6 + marker
    at = pl.lit(T0 + timedelta(days=1, seconds=marker)).cast(UTC_US)
    row = round_of(1, 1).with_columns(energy_import_kwh=pl.lit(mark), measured_at=at)
    after = desk.journal.last()
    began = time.perf_counter()
    edge.append(row).result()
    while True:
        batch = desk.journal.read(after, 10_000)
        if (batch.frame["energy_import_kwh"] == mark).any():
            return time.perf_counter() - began
        after = batch.last_seq
        desk.journal.wait(after, 1.0)


def _replay(folder: Path, meters: int, rounds: int, rows: int, *, engine: bool) -> float:
    """Return seconds to work up (or only read) a journal of commits of so many rows."""
    path = folder / f"replay-{rows}.db"
    connection = journalfile.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    for number in range(rounds):
        frame = round_of(number, meters)
        for part in frame.iter_slices(rows):
            seq, _ = journalfile.insert(connection, [part], T0)
            if rows < journalfile.SMALL_ROWS and seq % PACK_BLOBS == 0:
                journalfile.pack(connection, seq - PACK_BLOBS + 1, seq)
    connection.close()
    journal = Journal(path, lambda: T0)
    began = time.perf_counter()
    if engine:
        _work_up(journal, folder)
    else:
        after = 0
        while (batch := journal.read(after, 200_000)).last_seq > after:
            after = batch.last_seq
    seconds = time.perf_counter() - began
    journal.close()
    return seconds


def _work_up(journal: Journal, folder: Path) -> None:
    from fakes.stream_driver import book_of  # noqa: PLC0415 - of the tests, on the path set above

    book: Book = book_of(IDS.tolist())
    clock = Clock.accelerated(T0 + timedelta(hours=2), 1.0)
    history = History(folder / "history", clock.now, book)
    engine = Engine(journal, history, book, clock, folder / "state.bin", Metrics())
    engine.drain()


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
