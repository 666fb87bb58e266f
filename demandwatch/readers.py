"""The sources of a run: which readers the settings and the sites' meters ask for."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from collector.clock import Clock
from collector.intake import Acts, Desk
from collector.payloads.mapping import CANONICAL, PayloadMapping
from collector.payloads.routes import Routes
from collector.profiles import Profile
from collector.settings import CollectorSettings
from collector.site import EdgeSource, Meter, MqttSource, Site
from collector.sources.dlt645 import Dlt645Reader
from collector.sources.modbus import ModbusReader
from collector.sources.mqtt import MqttReader


class Reader(Protocol):
    """A source of readings, on threads of its own."""

    def start(self) -> None:
        """Begin to read."""

    def stop(self) -> None:
        """Stop reading and journal what was read."""


def readers(
    collector: CollectorSettings,
    sites: Sequence[Site],
    profiles: Mapping[str, Profile],
    desk: Desk,
    clock: Clock,
    payloads: Mapping[str, PayloadMapping],
    data: Path,
    acts: Acts | None = None,
) -> list[Reader]:
    """Return the readers, not yet started.

    Args:
        collector: broker and buses.
        sites: whose meters are read.
        profiles: register maps by id.
        desk: where readings go.
        clock: when to poll.
        payloads: payload mappings by id.
        data: folder for what a reader must remember.
        acts: keeps declarations that come over the broker; None: nobody does.
    """
    meters = [meter for site in sites for meter in site.meters]
    ways = {meter.source.via for meter in meters}
    found: list[Reader] = []
    if collector.mqtt is not None:
        known = frozenset(
            one.id
            for one in meters
            if isinstance(one.source, MqttSource) and one.source.mapping == CANONICAL
        )
        routes = Routes(sites, payloads)
        memory = data / "mqtt-subscriptions.json"
        edges = _edges(meters)
        found.append(MqttReader(collector.mqtt, known, desk, routes, memory, edges, acts))
    if "modbus" in ways:
        found.append(
            ModbusReader(
                collector.buses,
                sites,
                profiles,
                journal=desk.journal,
                rejects=desk.rejects,
                health=desk.health,
                metrics=desk.metrics,
                clock=clock,
            )
        )
    if "dlt645" in ways:
        found.append(Dlt645Reader(collector.lines, sites, desk, clock))
    return found


def _edges(meters: Iterable[Meter]) -> dict[str, frozenset[str]]:
    """Return the meters behind each collector at the edge."""
    behind: dict[str, set[str]] = {}
    for one in meters:
        if isinstance(one.source, EdgeSource):
            behind.setdefault(one.source.edge, set()).add(one.id)
    return {edge: frozenset(ids) for edge, ids in behind.items()}


def problems(started: Iterable[Reader]) -> dict[str, str]:
    """Return why a reader cannot do its work just now, by its name; empty if all can."""
    found = {}
    for one in started:
        if isinstance(one, MqttReader) and not one.status().connected:
            found["mqtt"] = one.status().last_error or "not connected to the broker yet"
    return found
