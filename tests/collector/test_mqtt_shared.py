"""Two collectors share a load, one is killed: nothing is lost, and where the rest of it waits."""

import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from services import Mosquitto, end
from services_mqtt import NOW, publish
from waiting import until

from collector.journal import Journal

pytestmark = pytest.mark.mosquitto
ROOT = Path(__file__).parents[2]
PART = 1500


def start(port: int, folder: Path, name: str) -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("collect_child.py")
    command = [sys.executable, str(script), str(port), str(folder / f"{name}.sqlite"), name, "city"]
    return subprocess.Popen(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})


def told(journal: Journal) -> list[float]:
    return journal.read(0, 10**9).frame["energy_import_kwh"].to_list()


def test_two_collectors_share_one_is_killed_and_nothing_is_lost(
    mosquitto: Mosquitto, tmp_path: Path
):
    """Mosquitto goes on giving the dead one its share, in the queue of its session: it gets it when
    it is back under its client id. What it had not acknowledged comes to it once more.
    """
    first, second = (Journal(tmp_path / f"{name}.sqlite", lambda: NOW) for name in ("one", "two"))
    children = [start(mosquitto.port, tmp_path, name) for name in ("one", "two")]
    with closing(first), closing(second):
        try:
            sent = 0
            while not (told(first) and told(second)):  # until then they may not have subscribed
                publish(mosquitto.port, 10, first=sent)
                sent += 10
            begun, before = sent, len(told(second))
            flood = threading.Thread(target=publish, args=(mosquitto.port, PART, begun))
            flood.start()
            until(lambda: len(told(second)) > before + 50)
            children[1].send_signal(signal.SIGKILL)  # in the middle of the flood
            children[1].wait()
            flood.join()
            publish(mosquitto.port, PART, first=begun + PART)
            wanted = set(map(float, range(begun, begun + 2 * PART)))
            until(lambda: len(told(first)) >= PART)
            assert len(wanted - {*told(first), *told(second)}) >= PART // 2  # the dead one's share
            children[1] = start(mosquitto.port, tmp_path, "two")
            until(lambda: wanted <= {*told(first), *told(second)}, 30, "all to be there")
            assert len(told(second)) >= PART  # shared, not taken over by the other
        finally:
            for child in children:
                end(child)
