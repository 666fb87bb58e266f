"""Wires a collector at the edge: sources -> journal -> forwarder; no other stage is loaded."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from types import TracebackType

import polars as pl
import structlog

from collector.clock import Clock
from collector.forward import Forwarder
from collector.health import Health
from collector.intake import Desk
from collector.journal import Journal
from collector.keeper import Keeper, rounded
from collector.metrics import Metrics
from collector.rejects import Rejects
from collector.statusserver import StatusServer
from demandwatch.datafolder import lock
from demandwatch.edgeconfig import EdgeConfiguration
from demandwatch.readers import Reader, problems, readers
from demandwatch.supervise import Supervisor

_STOP_S = 2.0


class Edge:
    """One running collector: `start`, then `stop`; parts are closed in the reverse order."""

    def __init__(self, config: EdgeConfiguration, clock: Clock) -> None:
        """Open the journal and the status port; nothing is read before `start`.

        Raises:
            DataFolderInUseError: another process runs on the folder.
            OSError: the folder cannot be written, or the port is taken.
        """
        self.config, self.clock = config, clock
        self._open = ExitStack()
        self._sources: list[Reader] = []
        try:
            self._assemble()
        except BaseException:
            self.stop()
            raise

    def _assemble(self) -> None:
        config, edge, now = self.config, self.config.edge, self.clock.now
        self._open.callback(os.close, lock(config.data))
        self.metrics, self.health = Metrics(), Health()
        self.journal = Journal(
            config.data / "journal.db", now, config.collector.journal, metrics=self.metrics
        )
        self._open.callback(self.journal.close)
        self.rejects = Rejects(
            config.data / "rejects.db", metrics=self.metrics, listener=self.health.noted
        )
        self._open.callback(self.rejects.close)
        cursor = config.data / "forward.cursor"
        self.forwarder = Forwarder(edge, self.journal, cursor, self.metrics, now)
        self.keeper = Keeper(edge, self.journal, self.forwarder, config.data, self.metrics, now)
        self.server = StatusServer(
            edge.status_host, edge.status_port, self.status, self.metrics.render
        )
        self._open.callback(self.server.stop)
        self.supervisor = Supervisor(self.metrics)

    def start(self) -> None:
        """Start every stage, sources last."""
        try:
            self.server.start()
            self._open.callback(self._stop_stages)
            self.supervisor.start("forward", self.forwarder.run)
            self.supervisor.start("keep", self.keeper.run)
            config = self.config
            desk = Desk(self.journal, self.rejects, self.metrics, self.health, self.clock.now)
            for source in readers(
                config.collector, config.sites, config.profiles, desk, self.clock,
                config.payloads, config.data,
            ):  # fmt: skip
                source.start()
                self._open.callback(source.stop)
                self._sources.append(source)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop sources first, journal what they hold, forward what is under way, close."""
        self._open.close()

    def __enter__(self) -> "Edge":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def status(self) -> dict[str, object]:
        """Return what the operator sees, as JSON values."""
        edge, link, fill = self.config.edge, self.forwarder.status, self.keeper.fill
        waiting = self.forwarder.progress.pending(self.journal.last())
        return {
            "edge": edge.id,
            "at": _iso(self.clock.now()),
            "upstream": {
                "broker": f"{edge.upstream.host}:{edge.upstream.port}",
                "connected": link.connected,
                "since": _iso(link.since),
                "forwarded_at": _iso(link.forwarded_at),
                "last_error": link.last_error,
            },
            "journal": {
                "percent_full": round(fill.share * 100, 1),
                "hours_left": rounded(fill.hours_left),
                "hours_held": rounded(fill.held_hours),
                "hours_in_all": rounded(fill.hours_in_all),
                "commits_waiting": sum(one.through - one.after for one in waiting),
                "when_full": edge.when_full,
            },
            "meters": {"listed": self.config.meters, "heard": self._heard()},
            "lost": _episodes(self.journal.lost()),
            "problems": self._problems(),
        }

    def _heard(self) -> int:
        return int(self.health.snapshot()["last_heard_at"].count())

    def _problems(self) -> Mapping[str, str]:
        found = self.supervisor.problems() | problems(self._sources)
        link, level = self.forwarder.status, self.keeper.fill.level
        if not link.connected:
            found["upstream"] = link.last_error or "not connected yet"
        if level >= 80:
            found["journal_full"] = f"the journal is more than {level - (level == 100)} % full"
        if self.journal.trouble:
            found["journal"] = self.journal.trouble
        return found

    def _stop_stages(self) -> None:
        for name in self.supervisor.stop(_STOP_S):
            structlog.get_logger().error("stage did not end in time", stage=name)


def _episodes(lost: pl.DataFrame) -> list[dict[str, object]]:
    """Return one entry an episode of want of room, the newest ten."""
    rows = (
        lost.group_by("since", "cause", maintain_order=True)
        .agg(
            pl.col("first_measured_at").min(),
            pl.col("last_measured_at").max(),
            pl.col("readings").sum(),
            pl.len().alias("meters"),
        )
        .tail(10)
        .iter_rows(named=True)
    )
    return [{k: _iso(v) if isinstance(v, datetime) else v for k, v in row.items()} for row in rows]


def _iso(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
