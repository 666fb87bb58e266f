"""The care of the fleet in one run: health of the meters, kept on disk, and the ledger of gaps."""

from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from threading import Event

import polars as pl

from collector import healthfile
from collector.clock import Clock
from collector.health import Health
from collector.metrics import Metrics
from demandwatch.settings import Configuration
from demandwatch.supervise import Supervisor
from processors.causes import ways
from processors.condition import Limits
from processors.engine import Engine
from processors.gap_keeper import GapKeeper
from processors.gap_ledger import GapLedger
from processors.history.store import History

HEALTH_FILE = "health.arrow"
GAPS_FILE = "gaps.db"
_LABELS = {"modbus": "bus", "dlt645": "line"}
"""Kind of link -> label of its gauge `demandwatch_<kind>_connected`."""


class FleetCare:
    """Health and gaps of one data folder; `start` once everything they watch is there."""

    def __init__(
        self, config: Configuration, clock: Clock, metrics: Metrics, resources: ExitStack
    ) -> None:
        """Open the ledger and take up the last health.

        Raises:
            sqlite3.Error: the ledger cannot be opened.
        """
        self._clock, self._metrics, self._book = clock, metrics, config.book
        self._path = config.data / HEALTH_FILE
        self._save_s = config.settings.processors.fleet.save_s
        self.late: deque[pl.DataFrame] = deque()
        """What the engine tells of late readings, until the gap keeper has looked."""
        self.way = ways(config.sites)
        self.health = Health(config.book.meters["meter_id"])
        self.health.restore(healthfile.load(self._path)[0])
        self.gaps = GapLedger(config.data / GAPS_FILE)
        resources.callback(self.gaps.close)

    def start(self, supervisor: Supervisor, history: History, engine: Engine) -> None:
        """Run beside the engine."""
        supervisor.start("gaps", self._keeper(history, engine).run)
        supervisor.start("health", self._save)

    def follow(self, history: History, engine: Engine) -> None:
        """Find the gaps of what history has got; for work without a running system."""
        keeper = self._keeper(history, engine)
        while keeper.follow():
            pass
        keeper.resettle()

    def _keeper(self, history: History, engine: Engine) -> GapKeeper:
        return GapKeeper(
            self.gaps,
            history,
            self._book,
            self.way,
            self._clock,
            engine.marks,
            engine.caught_up,
            self.snapshot,
            self._links,
            self._metrics,
            self.late,
        )

    def snapshot(self) -> pl.DataFrame:
        """Return the health of the meters now, schema HEALTH."""
        return self.health.snapshot(self._clock.now())

    def _save(self, stop: Event) -> None:
        over = False
        while not over:
            over = stop.wait(self._save_s)
            healthfile.save(self._path, self.snapshot(), self._clock.now())

    def _links(self) -> Mapping[str, bool]:
        """Return whether each link is up, as far as it has been tried."""
        found: dict[str, bool] = {}
        for link, via in self.way.select("link", "via").unique().iter_rows():
            label = _LABELS.get(via)
            up = self._metrics.value(
                f"demandwatch_{via}_connected", {label: link} if label else None
            )
            if up is not None:
                found[link] = up > 0
        return found


def limits(config: Configuration) -> Limits:
    """Return from when on a meter is not well."""
    after = config.settings.dashboards.console.silent_after_s
    return Limits(after, config.settings.processors.fleet)
