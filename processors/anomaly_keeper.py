"""Looks for metering anomalies now and then beside the engine; keeps what is open over restarts."""

import io
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event

import polars as pl

from collector.clock import Clock
from collector.site import Site
from processors.anomaly import ANOMALY, SOUGHT, bounds
from processors.anomaly_carry import carried, told
from processors.anomaly_look import Look, Past, look
from processors.policy.load import Packs
from processors.settings import ProcessorsSettings

_IDLE_S = 0.2
_LEAST_WAIT_S = 5.0
"""Real seconds between looks, however fast the site's clock is."""


class AnomalyKeeper:
    """The anomalies of a running system. `run` in a thread of its own; the rest from any."""

    def __init__(
        self,
        past: Past,
        sites: Sequence[Site],
        packs: Packs,
        settings: ProcessorsSettings,
        clock: Clock,
        path: Path,
        tell: Callable[[pl.DataFrame], object] = lambda _: None,
    ) -> None:
        """Take up what was open.

        Args:
            past: history.
            sites: all sites.
            packs: the policy folder.
            settings: thresholds and pace.
            clock: site time.
            path: file of the open anomalies.
            tell: gets the rows of `anomaly_carry.told` after each look.
        """
        self._past, self._sites, self._packs = past, tuple(sites), packs
        self._settings, self._clock, self._path, self._tell = settings, clock, path, tell
        self._lock = threading.Lock()
        self._known = _load(path)
        self._sought = pl.DataFrame(schema=SOUGHT)

    def anomalies(self) -> pl.DataFrame:
        """Return what the last look found, schema ANOMALY."""
        with self._lock:
            return self._known

    def sought(self) -> pl.DataFrame:
        """Return what the last look looked for, schema SOUGHT."""
        with self._lock:
            return self._sought

    def run(self, stop: Event, ready: Event) -> None:
        """Look at the pace of the settings, once what waited in the journal is processed."""
        every = self._settings.anomalies.every_s
        if not every:
            return
        while not stop.is_set() and not ready.wait(_IDLE_S):
            pass
        while not stop.is_set():
            self.look()
            stop.wait(max(self._clock.wall_seconds(every), _LEAST_WAIT_S))

    def look(self) -> None:
        """Look once.

        Raises:
            OSError: what is open cannot be written.
        """
        now, settings = self._clock.now(), self._settings
        pack = self._packs.anomaly(settings.anomalies.pack, now.date())
        before = self.anomalies()
        asked = Look(
            start=now - timedelta(hours=settings.anomalies.look_back_hours),
            end=now,
            bounds=partial(bounds, pack, settings.anomalies),
            least_coverage=settings.indices.min_coverage,
            before=before,
        )
        found, sought = look(self._past, self._sites, asked)
        known = carried(before, found, sought)
        self._tell(told(before, known, now))
        _save(self._path, known.filter(pl.col("until").is_null()))
        with self._lock:
            self._known, self._sought = known, sought


def _save(path: Path, rows: pl.DataFrame) -> None:
    part = path.with_suffix(".part")
    rows.write_ipc(part, compression="lz4")
    part.replace(path)


def _load(path: Path) -> pl.DataFrame:
    """Return what was open; a file of another version tells nothing."""
    nothing = pl.DataFrame(schema=ANOMALY)
    try:
        found = pl.read_ipc(io.BytesIO(path.read_bytes()))
    except (FileNotFoundError, pl.exceptions.ComputeError):
        return nothing
    return found if found.schema == pl.Schema(ANOMALY) else nothing
