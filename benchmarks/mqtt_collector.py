"""One collector of a group in a process of its own: PORT JOURNAL CLIENT_ID GROUP.

Prints `ready` once it is subscribed, then how many readings are durable, as often as that changes.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from collector.clock import Clock
from collector.health import Health
from collector.intake import Desk
from collector.journal import Journal
from collector.metrics import Metrics
from collector.rejects import Rejects
from collector.settings import MqttSettings
from collector.sources.mqtt import MqttReader


def main(port: int, path: Path, client_id: str, group: str) -> None:
    now = Clock.real().now
    metrics = Metrics()
    desk = Desk(Journal(path, now), Rejects(None, metrics=metrics), metrics, Health(), now)
    settings = MqttSettings(port=port, client_id=client_id, shared_group=group)
    reader = MqttReader(settings, frozenset(f"m{n}" for n in range(100)), desk)
    reader.start()
    while not reader.status().connected:
        time.sleep(0.01)
    print("ready", flush=True)
    told = 0.0
    while True:  # until it is ended
        durable = metrics.value("demandwatch_readings_total", {"source": "mqtt"}) or 0.0
        if durable != told:
            print(int(durable), flush=True)
            told = durable
        time.sleep(0.02)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
