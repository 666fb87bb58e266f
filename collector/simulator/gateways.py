"""The fleet's Modbus meters behind simulated gateways, one a bus."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import numpy as np

from collector.polls import micros
from collector.profiles import Profile
from collector.settings import BusSettings
from collector.simulator.faults import Trouble
from collector.simulator.fleet import Fleet, Member
from collector.simulator.modbus_meters import Device, Gateway, Refusal, Show
from collector.simulator.wire_faults import Nuisance
from collector.site import ModbusSource


def gateways_of(
    fleet: Fleet,
    buses: Sequence[BusSettings],
    profiles: Mapping[str, Profile],
    devices: Mapping[str, str] = MappingProxyType({}),
) -> list[Gateway]:
    """Return a gateway for each bus that has meters, on the bus's port.

    Registers are shown as the profile says; quantities behind transformers are divided by no
    ratio, so a simulated meter's profile should have none.

    Args:
        fleet: the meters.
        buses: their links.
        profiles: register maps by id.
        devices: of each `rtu` bus, the far end of its serial line, where the meters are.

    Raises:
        KeyError: a meter names an unknown profile, or an `rtu` bus has no far end.
        ValueError: a bus is `tls`: nobody simulates that.
    """
    gateways = []
    for bus in buses:
        slaves = []
        for member in fleet.members:
            source = member.meter.source
            if isinstance(source, ModbusSource) and source.bus == bus.id:
                nuisance = Nuisance(member.wire, fleet.started) if member.wire else None
                show = _show(fleet, member)
                slaves.append(Device(source.unit, profiles[source.profile], show, nuisance))
        if slaves:
            gateways.append(_gateway(bus, tuple(slaves), devices))
    return gateways


def _gateway(bus: BusSettings, slaves: tuple[Device, ...], devices: Mapping[str, str]) -> Gateway:
    if bus.kind == "tls":
        raise ValueError(f"bus {bus.id}: kind tls is not simulated; use tcp")
    if bus.kind == "rtu":
        return Gateway(bus.id, slaves, 0, bus.kind, devices[bus.id], bus.baudrate)
    return Gateway(bus.id, slaves, bus.port, bus.kind)


def _show(fleet: Fleet, member: Member) -> Show:
    def show(at: datetime) -> Mapping[str, float | None] | Refusal:
        if member.has(Trouble.SILENT, at):
            return Refusal.SILENT
        if member.has(Trouble.EXCEPTION, at):
            return Refusal.EXCEPTION
        if member.has(Trouble.SENTINEL, at):
            return {}
        values = fleet.values(np.array([micros(at)], dtype=np.int64), [member])
        return {name: float(column[0, 0]) for name, column in values.items()}

    return show
