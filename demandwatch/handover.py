"""Verdicts on their way to the running system, which alone writes history."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Event

import polars as pl
import structlog

LOOK_S = 2.0
"""Real seconds between looks."""

_WHOLE = "*.parquet"


def hand_over(data: Path, verdicts: pl.DataFrame) -> None:
    """Leave VERDICT rows for the system that runs on a data folder; they survive a crash of it.

    Raises:
        OSError: they cannot be written.
    """
    folder = _folder(data)
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(suffix=".part", dir=folder)
    with os.fdopen(handle, "wb") as file:
        verdicts.write_parquet(file)
        file.flush()
        os.fsync(file.fileno())
    Path(name).rename(Path(name).with_suffix(".parquet"))


class Handover:
    """Keeps what is handed over."""

    def __init__(self, data: Path, keep: Callable[[pl.DataFrame], int]) -> None:
        """Prepare.

        Args:
            data: the data folder.
            keep: commits VERDICT rows; rows it has are no news to it.
        """
        self._folder, self._keep = _folder(data), keep

    def run(self, stop: Event) -> None:
        """Take what comes until `stop` is set."""
        while not stop.is_set():
            self.take()
            stop.wait(LOOK_S)

    def take(self) -> int:
        """Keep what waits, the oldest first; return how many rows were news."""
        waiting = sorted(self._folder.glob(_WHOLE), key=lambda path: path.stat().st_mtime_ns)
        return sum(self._one(path) for path in waiting)

    def _one(self, path: Path) -> int:
        try:
            rows = pl.read_parquet(path)
        except pl.exceptions.PolarsError:
            path.rename(path.with_suffix(".damaged"))
            structlog.get_logger().exception("verdicts handed over cannot be read: set aside")
            return 0
        news = self._keep(rows)
        path.unlink()  # after the commit: a crash between keeps them once all the same
        return news


def _folder(data: Path) -> Path:
    return data / "handover"
