"""Killed with SIGKILL at any moment, history holds each committed row once, and goes on."""

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from history_rows import T0, book
from waiting import until

from processors.history.store import History

WRITER = """
import sys, threading
sys.path[:0] = [{tests!r}, {root!r}]
from datetime import timedelta
from pathlib import Path
from history_rows import T0, book, intervals, readings
from processors.history.delta import Tidy
from processors.history.store import History

history = History(Path(sys.argv[1]), lambda: T0 + timedelta(days=99), book("a", "b"))
tidy = Tidy(open_files=3, closed_files=2, checkpoint_commits=3, vacuum_every_s=0.2)

def maintain():
    while True:
        history.maintain(tidy)

threading.Thread(target=maintain, daemon=True).start()
print("ready", flush=True)
seq = min(history.committed("readings"), history.committed("intervals"))
while True:
    seq += 1
    at = T0 + timedelta(hours=seq)
    history.add(seq, readings(["a", "b"], at, 6), intervals(["a", "b"], at, 4, at))
    history.flush()
    print(seq, flush=True)
"""


def test_killed_at_any_moment(tmp_path):
    tests = Path(__file__).parents[2]
    code = WRITER.format(tests=str(tests), root=str(tests.parent))
    command = [sys.executable, "-c", code, str(tmp_path / "history")]
    told = 0
    for round_no in range(5):
        log = tmp_path / f"{round_no}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdout=out)
            until(lambda log=log: b"ready" in log.read_bytes(), 60, "the writer to begin")
            time.sleep(0.11 + 0.37 * round_no)  # the moment of death, not a wait for anything
            process.kill()
            process.wait()
        told = max([told, *(int(n) for n in log.read_text().split()[1:] if n.isdigit())])
        history = History(tmp_path / "history", lambda: T0 + timedelta(days=99), book("a", "b"))
        span = (T0, T0 + timedelta(days=400))
        heard, known = history.committed("readings"), history.committed("intervals")
        assert told <= known <= heard <= known + 1
        assert history.readings(*span).height == 12 * heard
        assert history.intervals_since(T0, 10**6).height == 8 * known
        assert (
            history.days(T0.date(), (T0 + timedelta(days=400)).date())["blocks"].sum() == 8 * known
        )
    assert told > 5
