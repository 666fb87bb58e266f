"""Wires the stages of one run: the only place that knows them all."""

import os
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import TYPE_CHECKING

import polars as pl
import structlog

from alerting.evidence.export import export
from alerting.evidence.gather import EvidenceSources
from alerting.ledger import Ledger
from alerting.office import Alerting
from alerting.outbox import Couriers
from alerting.watch import Watch
from collector.clock import Clock
from collector.intake import Desk
from collector.journal import Journal
from collector.metrics import Metrics
from collector.rejects import Rejects
from dashboards.sources import Sources
from demandwatch import __version__
from demandwatch.correcting import note_ratios
from demandwatch.datafolder import lock
from demandwatch.declaring import Declaring
from demandwatch.declaring_mqtt import TopicActs
from demandwatch.evidence_sources import evidence_sources
from demandwatch.fleetcare import FleetCare
from demandwatch.handover import Handover
from demandwatch.readers import Reader, problems, readers
from demandwatch.settings import Configuration, tariffs_of
from demandwatch.supervise import Supervisor
from processors.anomaly_arrivals import Arrivals
from processors.anomaly_keeper import AnomalyKeeper
from processors.engine import Engine
from processors.history.editbook import EditBook
from processors.history.store import History
from processors.live import Live

if TYPE_CHECKING:
    from dashboards.console.server import Console

MAINTAIN_S = 300.0


class App:
    """One running system: `start`, then `stop`; parts are closed in the reverse order."""

    def __init__(self, config: Configuration, clock: Clock, *, console: bool = True) -> None:
        """Open the stores; nothing is read from a meter before `start`.

        Raises:
            DataFolderInUseError: another process runs on the folder.
            OSError: the folder cannot be written.
        """
        self.config, self.clock = config, clock
        self._open = ExitStack()
        try:
            self._assemble()
        except BaseException:
            self.stop()
            raise
        self.console = self._console() if console else None

    def _assemble(self) -> None:
        config, clock = self.config, self.clock
        data, now = config.data, clock.now
        self._open.callback(os.close, lock(data, config.digest))
        self.metrics = Metrics()
        self.care = FleetCare(config, clock, self.metrics, self._open)
        self.journal = Journal(
            data / "journal.db", now, config.settings.collector.journal, metrics=self.metrics
        )
        self._open.callback(self.journal.close)
        self.rejects = Rejects(
            data / "rejects.db", metrics=self.metrics, listener=self.care.health.noted
        )
        self._open.callback(self.rejects.close)
        self.history = History(data / "history", now, config.book)
        self.edits = EditBook(data / "edits.db", now)
        self._open.callback(self.edits.close)
        self.declaring = Declaring(config, clock)
        self.ledger = Ledger(data / "ledger.db", now)
        self._open.callback(self.ledger.close)
        alerting = config.settings.alerting
        self.couriers = Couriers(alerting.channels, self.ledger.outbox, alerting.outbox)
        self.engine = self._engine()
        self.watch = self._watch()
        self.anomalies = self._anomalies()
        self.supervisor = Supervisor(self.metrics)
        self._sources: list[Reader] = []
        self._started = False

    def start(self) -> None:
        """Start every stage, sources last: what they bring finds everything in place.

        Raises:
            PortTakenError: the console's port may not be had; everything is closed again.
        """
        try:
            if self.console is not None:
                self._open.callback(self.console.stop)
                self.console.start()
            self._open.callback(self._stop_stages)
            self.supervisor.start("engine", self.engine.run)
            self.supervisor.start("watch", self.watch.run)
            self.supervisor.start("upkeep", self._maintain)
            self.supervisor.start("anomalies", self._look)
            self.supervisor.start(
                "handover", Handover(self.config.data, self.history.add_verdicts).run
            )
            self.care.start(self.supervisor, self.history, self.engine)
            self._start_sinks()
            self.couriers.start()
            self._open.callback(self.couriers.stop)
            note_ratios(self.config, self.clock.now)
            for source in self._readers():
                source.start()
                self._open.callback(source.stop)
                self._sources.append(source)
            self._started = True
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop sources first, journal what they hold, flush history, close everything."""
        self._open.close()

    def __enter__(self) -> "App":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def evidence(self) -> EvidenceSources:
        """Return where evidence packages are made from."""
        return evidence_sources(self.config, self.clock, self.history, self.ledger)

    def _engine(self) -> Engine:
        settings = self.config.settings
        return Engine(
            self.journal,
            self.history,
            self.config.book,
            self.clock,
            self.config.data / "state.bin",
            self.metrics,
            settings.processors.engine,
            keep_journal=timedelta(hours=settings.collector.journal.keep_hours),
            listener=self._on_step,
            on_late=self.care.late.append,
            edits=self.edits,
        )

    def _watch(self) -> Watch:
        config = self.config
        return Watch(
            Alerting(config.rules, self.ledger, config.sites, self.couriers.wake),
            self.history,
            config.book,
            config.sites,
            config.packs,
            config.settings.processors,
            self.clock,
            self.engine.live,
            self.engine.caught_up,
            timedelta(hours=config.settings.alerting.judge_within_hours),
            self.declaring.sites,
        )

    def _anomalies(self) -> AnomalyKeeper:
        config = self.config
        return AnomalyKeeper(
            self.history,
            Arrivals(self.journal, self.history, lambda: self.engine.cursor),
            config.sites,
            config.packs,
            config.settings.processors,
            self.clock,
            config.data / "anomalies",
            self.watch.on_anomalies,
        )

    def _look(self, stop: Event) -> None:
        self.anomalies.run(stop, self.engine.caught_up)

    def _on_step(self, intervals: pl.DataFrame, live: Live) -> None:
        self.watch.on_step(intervals, live)

    def _desk(self) -> Desk:
        return Desk(self.journal, self.rejects, self.metrics, self.care.health, self.clock.now)

    def _readers(self) -> list[Reader]:
        config = self.config
        collector = config.settings.collector
        desk, payloads = self._desk(), config.payloads
        acts = TopicActs(self.declaring, self.rejects, self.metrics) if collector.mqtt else None
        return readers(
            collector, config.sites, config.profiles, desk, self.clock, payloads, config.data, acts
        )

    def _start_sinks(self) -> None:
        influx = self.config.settings.dashboards.influx
        if influx is not None:
            from dashboards.influx import InfluxSink  # noqa: PLC0415 - most runs have none

            cursor = self.config.data / "influx.cursor"
            sink = InfluxSink(
                influx, self.history, self.config.book, cursor, self.metrics, self.config.sites
            )
            sink.start()
            self._open.callback(sink.stop)

    def _stop_stages(self) -> None:
        for name in self.supervisor.stop():
            structlog.get_logger().error("stage did not end in time", stage=name)

    def _maintain(self, stop: Event) -> None:
        while not stop.wait(MAINTAIN_S):
            self.history.maintain()

    def _console(self) -> "Console":
        from dashboards.console.server import Console  # noqa: PLC0415 - loads for a second

        config, evidence = self.config, self.evidence()
        exports = config.data / "exports"

        def write(alert_id: str, exported_by: str) -> Path:
            exports.mkdir(exist_ok=True)
            return export(alert_id, evidence, exports, exported_by)

        sources = Sources(
            sites=config.sites,
            book=config.book,
            now=self.clock.now,
            history=self.history,
            live=self.engine.live,
            ledger=self.ledger,
            limits=self.watch.limits,
            verdicts=self.history.verdicts,
            packs=config.packs,
            metrics=self.metrics.render,
            lookback_days=config.settings.processors.quotas.lookback_days,
            index_min_coverage=config.settings.processors.indices.min_coverage,
            quality_min_coverage=config.settings.processors.indices.min_quality_coverage,
            tariffs=tariffs_of(config),
            ready=self._not_ready,
            health=self.care.snapshot,
            fleet_settings=config.settings.processors.fleet,
            gaps=self.care.gaps,
            rejects=self.rejects,
            anomalies=self.anomalies.anomalies,
            sought=self.anomalies.sought,
            export=write,
            activity=self.declaring.acts,
            declare=self.declaring.declare,
        )
        shown = config.settings.dashboards
        return Console(sources, shown.console, __version__, shown.meter_series)

    def _not_ready(self) -> dict[str, str]:
        if not self._started:
            return {"start": "not all stages have started yet"}
        full = {"journal": self.journal.trouble} if self.journal.trouble else {}
        return self.supervisor.problems() | problems(self._sources) | full
