"""Checks what one settings file says against what the others say."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from zoneinfo import available_timezones

from collector.settings import CollectorSettings
from collector.site import Meter, Site
from collector.yamlfile import Fault, Lines

Place = tuple[Path, int]
"""Where something is told: file and line."""


def crosscheck(
    collector: CollectorSettings | None,
    sites: Sequence[Site],
    places: Sequence[Place],
    profiles: set[str],
    main: tuple[Path, Lines],
) -> list[Fault]:
    """Return the faults between files: doubled ids and addresses, unknown names, no broker.

    Args:
        collector: buses and broker; None if they have faults of their own.
        sites: all sites.
        places: where each of them is told.
        profiles: ids of the register maps that loaded.
        main: demandwatch.yaml and its lines.
    """
    faults: list[Fault] = []
    owners: dict[str, str] = {}
    addresses: dict[tuple[str, str], str] = {}
    zones = available_timezones()
    seen: set[str] = set()
    for site, place in zip(sites, places, strict=True):
        if site.id in seen:
            faults.append(Fault(*place, "id", f"site {site.id} is told twice", "an id of its own"))
        seen.add(site.id)
        if site.timezone not in zones:
            problem = f"{site.timezone!r} is not a time zone"
            faults.append(Fault(*place, "timezone", problem, "e.g. Asia/Shanghai"))
        for meter in site.meters:
            if meter.id in owners:
                problem = f"meter {meter.id} also belongs to site {owners[meter.id]}"
                faults.append(Fault(*place, "meters.id", problem, "an id of its own"))
            owners[meter.id] = site.id
            faults += _address(meter, place, addresses)
            faults += _source(meter, place, collector, profiles, main)
        for virtual in site.virtual:
            if virtual.id in owners:
                problem = f"{virtual.id} is also a meter of site {owners[virtual.id]}"
                faults.append(Fault(*place, "virtual.id", problem, "an id of its own"))
            owners[virtual.id] = site.id
    return faults


def _address(meter: Meter, place: Place, addresses: dict[tuple[str, str], str]) -> Iterator[Fault]:
    """Two meters of one address on one line answer at once: neither is understood."""
    source = meter.source
    if source.via == "dlt645":
        other = addresses.setdefault((source.line, source.address), meter.id)
        if other != meter.id:
            problem = f"{source.address} is meter {other}'s on line {source.line}"
            key = f"meters.{meter.id}.source.address"
            yield Fault(*place, key, problem, "an address of its own")


def _source(
    meter: Meter,
    place: Place,
    collector: CollectorSettings | None,
    profiles: set[str],
    main: tuple[Path, Lines],
) -> Iterator[Fault]:
    source = meter.source
    key = f"meters.{meter.id}.source"
    if source.via in {"mqtt", "edge"} and collector is not None and collector.mqtt is None:
        problem = f"meter {meter.id} comes by MQTT, but no broker is given"
        yield Fault(
            main[0], main[1].get(("collector",), 0), "collector.mqtt", problem, "host, port, ..."
        )
    if source.via == "dlt645" and collector is not None:
        lines = sorted(line.id for line in collector.lines)
        if source.line not in lines:
            allowed = ", ".join(lines) or "a line listed under collector.lines"
            yield Fault(*place, f"{key}.line", f"no line {source.line!r}", allowed)
    if source.via != "modbus":
        return
    buses = {bus.id for bus in collector.buses} if collector is not None else {source.bus}
    if source.bus not in buses:
        allowed = ", ".join(sorted(buses)) or "a bus listed under collector.buses"
        yield Fault(*place, f"{key}.bus", f"no bus {source.bus!r}", allowed)
    known = collector.buses if collector is not None else ()
    unnumbered = {bus.id for bus in known if bus.unnumbered}
    if source.bus in unnumbered and not 1 <= source.unit <= 247:
        problem = f"unit {source.unit} on an RTU line"
        yield Fault(*place, f"{key}.unit", problem, "1 to 247; 0 is everybody, and nobody answers")
    if source.profile not in profiles:
        allowed = ", ".join(sorted(profiles))
        yield Fault(*place, f"{key}.profile", f"no profile {source.profile!r}", allowed)
