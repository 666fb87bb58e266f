"""Runs stages in threads; one that crashes is restarted with delay, and counted."""

import threading
import time
from collections.abc import Callable
from threading import Event

import structlog

from collector.metrics import Metrics

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 30.0
CALM_S = 60.0
"""A stage that ran this long before it crashed is restarted after the shortest delay."""


class Supervisor:
    """Owns the threads of a run."""

    def __init__(self, metrics: Metrics) -> None:
        self._stop = Event()
        self._threads: list[threading.Thread] = []
        self._failed: dict[str, str] = {}
        self._crashes = metrics.counter("stage_crashes", "Crashes of a stage", ["stage"])

    def start(self, name: str, run: Callable[[Event], None]) -> None:
        """Run `run(stop)` in a thread until it returns after `stop` is set."""
        self._crashes.labels(name)
        thread = threading.Thread(target=self._keep, args=(name, run), name=name)
        self._threads.append(thread)
        thread.start()

    def stop(self, timeout_s: float = 5.0) -> list[str]:
        """Ask all stages to end; return the names of those that did not within the time."""
        self._stop.set()
        edge = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(edge - time.monotonic(), 0.0))
        return [thread.name for thread in self._threads if thread.is_alive()]

    def problems(self) -> dict[str, str]:
        """Return what the last crash of each stage that is waiting to restart was."""
        return dict(self._failed)

    def _keep(self, name: str, run: Callable[[Event], None]) -> None:
        delay = FIRST_DELAY_S
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                run(self._stop)
            except Exception as error:  # noqa: BLE001 - whatever a stage dies of, the others go on
                self._crashes.labels(name).inc()
                self._failed[name] = f"{type(error).__name__}: {error}"
                calm = time.monotonic() - began > CALM_S
                delay = FIRST_DELAY_S if calm else min(delay * 2, LONGEST_DELAY_S)
                structlog.get_logger().exception("stage crashed", stage=name, restart_in_s=delay)
                self._stop.wait(delay)
                self._failed.pop(name, None)
