"""MQTT into the journal, against a bare paho loop that throws everything away.

Broker, publisher and reader share the machine; all figures are from one run.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from services import Mosquitto, requires  # noqa: E402 - the broker of the tests
from waiting import until  # noqa: E402 - same

from collector.clock import Clock  # noqa: E402 - the path is set above
from collector.health import Health  # noqa: E402 - same
from collector.intake import Desk  # noqa: E402 - same
from collector.journal import Journal  # noqa: E402 - same
from collector.metrics import Metrics  # noqa: E402 - same
from collector.rejects import Rejects  # noqa: E402 - same
from collector.settings import MqttSettings  # noqa: E402 - same
from collector.sources.mqtt import MqttReader  # noqa: E402 - same

SINGLES, ARRAYS, ROWS, ROUNDS = 30_000, 4_000, 50, 3


def run(singles: int = SINGLES, arrays: int = ARRAYS, rounds: int = ROUNDS) -> dict[str, float]:
    """Return readings and messages a second, and their ratio to the bare loop (medians).

    Args:
        singles: messages of one reading.
        arrays: messages of ROWS readings.
        rounds: of which the median counts.
    """
    bare, single, array = [], [], []
    shared: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        bare.append(_with_broker(lambda port, _: _bare(port, singles)))
        single.append(_with_broker(lambda port, path: _journalled(port, singles, 1, path)))
        for count, found in shared.items():
            found.append(_with_broker(partial(_shared, count, singles)))
        array.append(_with_broker(lambda port, path: _journalled(port, arrays, ROWS, path)))
    return {
        "bare_paho_messages_per_s": statistics.median(bare),
        "single_messages_durable_per_s": statistics.median(single),
        "single_to_bare_ratio": statistics.median(s / b for s, b in zip(single, bare, strict=True)),
        "array_readings_durable_per_s": statistics.median(array),
        "single_messages_one_collector_process_per_s": statistics.median(shared[1]),
        "single_messages_two_sharing_processes_per_s": statistics.median(shared[2]),
    }


def _with_broker(measure: Callable[[int, Path], float]) -> float:
    """A broker of its own each time: a session left over would go on queueing."""
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(Path(folder), requires("mosquitto"))
        broker.start()
        try:
            return measure(broker.port, Path(folder) / "journal.sqlite")
        finally:
            broker.stop()


def _bare(port: int, messages: int) -> float:
    count = 0
    ready, enough = threading.Event(), threading.Event()

    def received(_client: object, _data: object, _message: object) -> None:
        nonlocal count
        count += 1
        if count >= messages:
            enough.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.on_message = received
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", port)
    client.subscribe("demandwatch/v1/+/readings", 1)
    client.loop_start()
    ready.wait(10)
    seconds = _flood(port, messages, 1, lambda: enough.wait(120))
    client.disconnect()
    client.loop_stop()
    return messages / seconds


def _journalled(port: int, messages: int, rows: int, path: Path) -> float:
    now = Clock.real().now
    metrics = Metrics()
    desk = Desk(Journal(path, now), Rejects(None, metrics=metrics), metrics, Health(), now)
    known = frozenset(f"m{n}" for n in range(100))
    reader = MqttReader(MqttSettings(port=port), known, desk)
    reader.start()
    until(lambda: reader.status().connected)

    def durable() -> float:
        return metrics.value("demandwatch_readings_total", {"source": "mqtt"}) or 0

    seconds = _flood(port, messages, rows, lambda: until(lambda: durable() >= messages * rows, 120))
    reader.stop()
    desk.journal.close()
    if desk.rejects.counts() or durable() != messages * rows:
        raise SystemExit(f"rejected {desk.rejects.counts()}, durable {durable()}")
    return messages * rows / seconds


def _shared(count: int, messages: int, port: int, journal: Path) -> float:
    """Messages a second into the journals of `count` processes that share a subscription."""
    told = [0] * count
    children = [_collector(port, journal.with_name(f"{n}.sqlite"), f"c{n}") for n in range(count)]

    def listen(n: int) -> None:
        for line in children[n].stdout or ():
            if line.strip().isdecimal():  # between lines of the log
                told[n] = int(line)

    listeners = [threading.Thread(target=listen, args=(n,)) for n in range(count)]
    try:
        for child in children:
            while child.stdout and child.stdout.readline().strip() != "ready":
                assert child.poll() is None
        for one in listeners:
            one.start()
        seconds = _flood(port, messages, 1, lambda: until(lambda: sum(told) >= messages, 120))
    finally:
        for child, one in zip(children, listeners, strict=True):
            child.kill()
            if one.is_alive():
                one.join()
            child.communicate()
    if sum(told) != messages:
        raise SystemExit(f"durable {told} of {messages}")
    return messages / seconds


def _collector(port: int, journal: Path, client_id: str) -> "subprocess.Popen[str]":
    """Start one of the collectors that share a subscription."""
    script = Path(__file__).with_name("mqtt_collector.py")
    command = [sys.executable, str(script), str(port), str(journal), client_id, "g"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _flood(port: int, messages: int, rows: int, wait: Callable[[], object]) -> float:
    script = Path(__file__).with_name("mqtt_flood.py")
    command = [sys.executable, str(script), str(port), str(messages), str(rows)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as flood:
        assert flood.stdout is not None
        assert flood.stdin is not None
        flood.stdout.readline()
        began = time.perf_counter()
        flood.stdin.write(b"go\n")
        flood.stdin.close()
        wait()
        return time.perf_counter() - began


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
