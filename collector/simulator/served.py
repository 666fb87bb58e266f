"""A stand of simulated meters, served: Modbus, DL/T 645 and MQTT on real sockets and devices."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from collector.clock import Clock
from collector.linesettings import LineSettings
from collector.polls import micros
from collector.profiles import Profile
from collector.settings import BusSettings
from collector.simulator.askedfaults import FAULTS, MODBUS, Asked, Watch
from collector.simulator.dlt645_answers import Showing
from collector.simulator.dlt645_manners import LineFault, Manner
from collector.simulator.dlt645_meters import Dlt645Meters
from collector.simulator.faults import FleetSettings, MeterLoad, MeterTrouble, Trouble
from collector.simulator.fleet import Fleet
from collector.simulator.gateways import gateways_of
from collector.simulator.lines import lines_of
from collector.simulator.modbus_meters import Device, ModbusMeters, Refusal, Show, Values
from collector.simulator.mqtt_meters import MqttMeters
from collector.simulator.publisher import Publisher
from collector.simulator.stand import StandLink, StandSettings, units_of
from collector.simulator.wire_faults import Wire, WireFault
from collector.site import Site

_LOCAL = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Served:
    """One link as it is served."""

    link: StandLink
    where: str
    """Where to connect to, for people."""
    port: int
    """0: a serial device."""


class Stand:
    """The meters of a stand; ends with `close`."""

    def __init__(
        self, settings: StandSettings, profiles: Mapping[str, Profile], clock: Clock
    ) -> None:
        """Prepare; nothing is served before `start`.

        Raises:
            ValueError: a link names a profile that is not there.
        """
        self._settings, self._clock = settings, clock
        self._profiles = profiles
        for link in settings.links:
            if link.kind in MODBUS and link.profile not in profiles:
                known = ", ".join(sorted(profiles))
                raise ValueError(f"link {link.id}: no profile {link.profile!r}; known: {known}")
        self._open = ExitStack()
        self._troubled = _fleet(settings)
        self._fleet = _new(Fleet.of([_site(settings)], self._troubled, clock.now()))

    def start(self) -> list[Served]:
        """Serve everything; return where.

        Raises:
            OSError: a port, a device or a broker cannot be had.
        """
        try:
            return [self._serve(link) for link in self._settings.links]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all ports and connections."""
        self._open.close()

    def _serve(self, link: StandLink) -> Served:
        if link.kind == "mqtt":
            return self._mqtt(link)
        return self._dlt645(link) if link.kind == "dlt645" else self._modbus(link)

    def _modbus(self, link: StandLink) -> Served:
        bus = _bus(link)
        (gateway,) = gateways_of(self._fleet, [bus], self._profiles, {link.id: link.device})
        devices = tuple(replace(one, show=_whole(one)) for one in gateway.devices)
        made = replace(gateway, devices=devices, port=link.port)
        server = ModbusMeters([made], self._clock.now, link.host or _LOCAL)
        port = server.start()[link.id]
        self._open.callback(server.stop)
        if link.port not in {0, port}:
            raise OSError(f"port {link.port} of {link.host or _LOCAL} is in use")
        return Served(link, _where(link, port), port)

    def _dlt645(self, link: StandLink) -> Served:
        ids = {_id(link, name) for name in link.names()}
        manners = [one for one in self._troubled.dlt645 if one.meter in ids]
        (line,) = lines_of(self._fleet, [_line(link)], manners, {link.id: link.device})
        meters = tuple(replace(one, show=_apparent(one.show)) for one in line.meters)
        made = replace(line, meters=meters, port=link.port)
        server = Dlt645Meters([made], self._clock.now, link.host or _LOCAL)
        port = server.start().get(link.id, 0)
        self._open.callback(server.stop)
        return Served(link, _where(link, port), port)

    def _mqtt(self, link: StandLink) -> Served:
        own = replace(
            self._fleet,
            members=tuple(m for m in self._fleet.members if m.meter.id in link.meters),
        )
        host, port = link.host or _LOCAL, link.port or 1883
        publisher = Publisher(host, port, link.protocol, f"demandwatch-{link.id}")
        meters = MqttMeters(own, publisher, self._clock, link.every_s)
        meters.start()
        self._open.callback(meters.stop)
        return Served(link, f"broker {host}:{port}", port)


def _new(fleet: Fleet) -> Fleet:
    """Return the fleet with registers of at most five digits at its start.

    A register of many digits in 32 bits of floating point moves in steps of a kWh and more.
    """
    at = np.array([micros(fleet.started)], dtype=np.int64)
    gone = fleet.loads.energy_kwh(at, np.arange(len(fleet.members)))[0]
    start = fleet.electric.start_kwh % 10_000 - gone
    return replace(fleet, electric=replace(fleet.electric, start_kwh=start))


def _where(link: StandLink, port: int) -> str:
    return link.device or f"{link.host or _LOCAL}:{port}"


def _bus(link: StandLink) -> BusSettings:
    place = {"device": link.device} if link.kind == "rtu" else {"host": link.host or _LOCAL}
    rate = {"baudrate": link.baudrate or 9600}
    return BusSettings.model_validate({"id": link.id, "kind": link.kind, **place, **rate})


def _line(link: StandLink) -> LineSettings:
    place = {"kind": "serial", "device": link.device} if link.device else {"kind": "tcp"}
    rate = {"baudrate": link.baudrate or 2400}
    return LineSettings.model_validate(
        {"id": link.id, "host": link.host or _LOCAL, **place, **rate}
    )


def _id(link: StandLink, name: str) -> str:
    return name if link.kind == "mqtt" else f"{link.id}-{name}"


def _site(settings: StandSettings) -> Site:
    """Return a site with all meters of the stand, each a main meter of its own."""
    meters = [
        {"id": _id(link, name), "source": source}
        for link in settings.links
        for name, source in _sources(link)
    ]
    name = {"zh": "试验台", "en": "Bench"}
    return Site.model_validate(
        {"id": "stand", "name": name, "kind": "factory", "district": "bench", "meters": meters}
    )


def _sources(link: StandLink) -> list[tuple[str, dict[str, object]]]:
    if link.kind in MODBUS:
        own = {"via": "modbus", "bus": link.id, "profile": link.profile}
        return [(str(unit), {**own, "unit": unit}) for unit in units_of(link.units)]
    if link.kind == "dlt645":
        own = {"via": "dlt645", "line": link.id}
        return [(address, {**own, "address": address}) for address in link.addresses]
    return [(name, {"via": "mqtt"}) for name in link.meters]


def _fleet(settings: StandSettings) -> FleetSettings:
    loads = tuple(
        MeterLoad(meter=_id(link, name), shape=link.shape, peak_kw=link.peak_kw)
        for link in settings.links
        for name in link.names()
    )
    troubles, wire, manners = list[MeterTrouble](), list[WireFault](), list[Manner]()
    for fault, link, name in _hits(settings):
        kind = FAULTS[fault.name].on(link.kind)
        span = {"meter": _id(link, name), "after_s": fault.after_s, "for_s": fault.for_s}
        if isinstance(kind, Trouble):
            troubles.append(MeterTrouble.model_validate({**span, "kind": kind}))
        elif isinstance(kind, LineFault):
            manners.append(Manner.model_validate({**span, "fault": kind}))
        elif isinstance(kind, Watch):
            ahead = 90.0 if fault.value is None else fault.value
            manners.append(Manner.model_validate({**span, "clock_ahead_s": ahead}))
        elif isinstance(kind, Wire):
            more = {} if fault.value is None else {_value_of(kind): fault.value}
            wire.append(
                WireFault.model_validate({**span, "kind": kind, "every": fault.every, **more})
            )
    return FleetSettings(
        seed=settings.seed,
        loads=loads,
        troubles=tuple(troubles),
        wire=tuple(wire),
        dlt645=tuple(manners),
    )


def _value_of(kind: Wire) -> str:
    return "code" if kind is Wire.EXCEPTION else "delay_s"


def _hits(settings: StandSettings) -> list[tuple[Asked, StandLink, str]]:
    asked = [Asked.of(text) for text in settings.faults]
    return [(one, link, name) for one in asked for link, name in settings.hit(one)]


def _apparent(show: Callable[[datetime], Showing]) -> Callable[[datetime], Showing]:
    """Return what a DL/T 645 meter shows, with what the fleet does not know."""

    def shown(at: datetime) -> Showing:
        found = show(at)
        return replace(found, values=_completed(found.values))

    return shown


def _whole(device: Device) -> Show:
    """Return what the meter shows, with all that its map has and the fleet does not know."""
    names = [one.quantity for one in device.profile.registers]
    single = "voltage_b_v" not in names and "current_b_a" not in names

    def show(at: datetime) -> Values | Refusal:
        found = device.show(at)
        if isinstance(found, Refusal) or not found:
            return found
        return _completed(found, single=single)

    return show


def _completed(values: Values, *, single: bool = False) -> dict[str, float | None]:
    """Return the values with apparent power and demand; of one phase, if that is all there is."""
    power, reactive = values.get("power_kw"), values.get("reactive_power_kvar")
    if power is None or reactive is None:
        return dict(values)
    apparent = math.hypot(power, reactive)
    found = {**values, "apparent_power_kva": apparent, "demand_kw": power}
    volts = values.get("voltage_a_v")
    if single and volts:
        found |= {"current_a_a": apparent * 1000 / volts, "power_a_kw": power}
    return found


def shown_names(links: Sequence[Served]) -> list[tuple[str, str, str, str]]:
    """Return rows for people: link, kind, where, meters."""
    return [
        (
            one.link.id, one.link.kind, one.where,
            f"{one.link.profile}: units {one.link.units}" if one.link.kind in MODBUS
            else ", ".join(one.link.names()),
        )
        for one in links
    ]  # fmt: skip
