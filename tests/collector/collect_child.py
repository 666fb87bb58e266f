"""A collector of one broker in a process of its own, made to be killed.

PORT JOURNAL [CLIENT_ID SHARED_GROUP]
"""

import signal
import sys
from pathlib import Path

from collector.clock import Clock
from collector.health import Health
from collector.intake import Desk
from collector.journal import Journal
from collector.metrics import Metrics
from collector.rejects import Rejects
from collector.settings import MqttSettings
from collector.sources.mqtt import MqttReader


def main(port: int, path: Path, **named: str) -> None:
    now = Clock.real().now
    desk = Desk(Journal(path, now), Rejects(None), Metrics(), Health(), now)
    known = frozenset(f"m{n}" for n in range(10))
    reader = MqttReader(MqttSettings(port=port, **named), known, desk)
    reader.start()
    signal.sigwait({signal.SIGTERM})
    reader.stop()
    desk.journal.close()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # before any thread begins
    names = dict(zip(("client_id", "shared_group"), sys.argv[3:], strict=False))
    main(int(sys.argv[1]), Path(sys.argv[2]), **names)
