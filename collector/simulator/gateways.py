"""The fleet's Modbus meters behind simulated gateways, one a bus."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from collector.polls import micros
from collector.profiles import Profile
from collector.settings import BusSettings
from collector.simulator.faults import Trouble
from collector.simulator.fleet import Fleet, Member
from collector.simulator.modbus_meters import Device, Gateway, Refusal, Show
from collector.site import ModbusSource


def gateways_of(
    fleet: Fleet, buses: Sequence[BusSettings], profiles: Mapping[str, Profile]
) -> list[Gateway]:
    """Return a gateway for each bus that has meters, on the bus's port.

    Registers are shown as the profile says; quantities behind transformers are divided by no
    ratio, so a simulated meter's profile should have none.

    Raises:
        KeyError: a meter names an unknown profile.
    """
    gateways = []
    for bus in buses:
        devices = []
        for member in fleet.members:
            source = member.meter.source
            if isinstance(source, ModbusSource) and source.bus == bus.id:
                show = _show(fleet, member)
                devices.append(Device(source.unit, profiles[source.profile], show))
        if devices:
            gateways.append(Gateway(bus.id, tuple(devices), bus.port))
    return gateways


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
