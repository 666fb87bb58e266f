"""kill -9, twenty times, at random moments: nothing lost, nothing twice, the same intervals."""

import random
import subprocess
import threading
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from fakes.stream_driver import book_of, latest
from polars.testing import assert_frame_equal
from program import COMMAND, Program
from waiting import until

from collector.reading import KEY, conform
from collector.simulator.publisher import Publisher, payload_of, topic_of
from processors.blocks import intervals_of
from processors.history.store import History
from processors.interval import INTERVAL

ROUNDS = 20
METERS = [f"meter-{n}" for n in range(6)]
START = datetime(2026, 3, 2, tzinfo=UTC)
STEP = timedelta(seconds=20)
TICKS = 9_000
FIGURES = [name for name in INTERVAL if name not in {"revision", "computed_at"}]


def reading(tick, number):
    """A register that grows unevenly, resets once, and is silent for two hours."""
    energy = tick * 0.05 + (tick % 97) * 0.001 + 500.0 * number
    if number == 2 and tick > 4_000:
        energy -= 4_000 * 0.05 + 1000.0
    if number == 3 and 5_000 < tick < 5_360:
        return None
    return {
        "measured_at": (START + STEP * tick).isoformat(),
        "energy_import_kwh": round(energy, 3),
    }


class Sender:
    """Publishes everything with QoS 1 in a thread, at a pace that spans the rounds."""

    def __init__(self, port):
        self.publisher = Publisher("127.0.0.1", port, client_id="field")
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        for tick in range(0, TICKS, 10):
            for number, meter in enumerate(METERS):
                rows = [one for t in range(tick, tick + 10) if (one := reading(t, number))]
                if rows:
                    self.publisher.publish(topic_of(meter), payload_of(rows))
            self.over.wait(0.035)
        assert self.publisher.settle(30)


@pytest.mark.mosquitto
@pytest.mark.timeout(240)
def test_killed_at_random_moments(tmp_path, mosquitto):
    random.seed(20110803)
    program = Program.make(
        tmp_path / "bureau",
        [
            {
                "id": "site",
                "name": {"zh": "厂", "en": "site"},
                "kind": "factory",
                "district": "d",
                "meters": [{"id": meter} for meter in METERS],
            }
        ],
        collector={"mqtt": {"host": "127.0.0.1", "port": mosquitto.port}},
    )
    program.settings["processors"]["engine"] = {"flush_s": 0.25, "batch_rows": 2_000}
    program.write()
    command = [*COMMAND, "run", "--no-console", "-c", str(program.config)]
    log = (tmp_path / "run.log").open("wb")
    first = run_until_subscribed(program, command, log)
    sender = Sender(mosquitto.port)
    sender.publisher.connect()
    sender.thread.start()
    process = first
    for _ in range(ROUNDS):
        threading.Event().wait(random.uniform(0.2, 2.6))  # the random moment is the subject
        process.kill()
        process.wait()
        process = subprocess.Popen(command, stdout=log, stderr=log)
    sender.thread.join()
    sender.publisher.close()
    expected = published()
    history = History.open_readonly(program.folder / "var/history", book(), lambda: START)
    until(lambda: count(history) >= expected.height, 60, "every reading to reach history")
    program.stop(process)
    log.close()
    check(history, expected)


def run_until_subscribed(program, command, log):
    """Start the program and wait until its session exists: from then on the broker queues."""
    process = subprocess.Popen(command, stdout=log, stderr=log)
    journal = program.folder / "var/journal.db"
    until(
        lambda: (
            journal.exists()
            and b"broker_connected" in (program.folder.parent / "run.log").read_bytes()
        ),
        30,
    )
    return process


def count(history):
    rows = history.readings(START, START + STEP * TICKS, METERS)
    return rows.select(KEY).unique().height


def book():
    return book_of(METERS, site_id="site", district="d")


def published():
    rows = [
        {"meter_id": meter, **one, "measured_at": datetime.fromisoformat(one["measured_at"])}
        for tick in range(TICKS)
        for number, meter in enumerate(METERS)
        if (one := reading(tick, number))
    ]
    frame = pl.DataFrame(rows, schema_overrides={"measured_at": pl.Datetime("us", "UTC")})
    return conform(frame.with_columns(received_at=pl.col("measured_at"), source=pl.lit("mqtt")))


def check(history, expected):
    kept = history.readings(START, START + STEP * TICKS, METERS)
    values = [*KEY, "energy_import_kwh"]
    assert_frame_equal(
        kept.select(values).unique().sort(KEY), expected.select(values).sort(KEY)
    )  # every reading, and each key with one value
    whole = intervals_of(expected, book()).select(FIGURES).sort("meter_id", "start")
    ours = history.intervals(START - STEP, START + STEP * TICKS, METERS)
    assert_frame_equal(ours.select(FIGURES).sort("meter_id", "start"), whole, check_exact=True)
    stored = history.intervals_since(datetime(2000, 1, 1, tzinfo=UTC), 10_000_000)
    twice = stored.select("meter_id", "start", "revision").is_duplicated().sum()
    assert twice == 0, "an interval revision was stored twice"
    assert latest(stored).height == whole.height
