"""kill -9, twenty times, at random moments: nothing lost, nothing twice, the same intervals."""

import random
import subprocess
import threading
from contextlib import ExitStack
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
    with ExitStack() as stack:
        log = stack.enter_context((tmp_path / "run.log").open("wb"))
        runs = Runs(command, log)
        stack.callback(runs.kill)
        runs.start()
        # its session exists from here on: the broker queues whatever happens to the program
        until(lambda: b"broker_connected" in (tmp_path / "run.log").read_bytes(), 30, "a session")
        sender = Sender(mosquitto.port)
        sender.publisher.connect()
        stack.callback(sender.publisher.close)
        sender.thread.start()
        for _ in range(ROUNDS):
            threading.Event().wait(random.uniform(0.2, 2.6))  # the random moment is the subject
            runs.kill()
            runs.start()
        sender.thread.join()
        expected = published()
        history = History.open_readonly(program.folder / "var/history", book(), lambda: START)
        until(lambda: count(history) >= expected.height, 60, "every reading to reach history")
        program.stop(runs.process)
    check(history, expected)


class Runs:
    """The program, started again and again."""

    def __init__(self, command, log):
        self.command, self.log, self.process = command, log, None

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)

    def kill(self):
        self.process.kill()
        self.process.wait()


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
