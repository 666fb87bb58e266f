"""The fleet's DL/T 645 meters on simulated lines."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np

from collector.linesettings import LineSettings
from collector.polls import Ratios, micros
from collector.registers import factor
from collector.simulator.dlt645_answers import Meter, Showing
from collector.simulator.dlt645_manners import LineFault, Manner
from collector.simulator.dlt645_meters import Line
from collector.simulator.faults import Trouble
from collector.simulator.fleet import Fleet, Member
from collector.simulator.wire_faults import Nuisance, Wire
from collector.site import Dlt645Source

_TROUBLES = {Trouble.SILENT: LineFault.SILENT, Trouble.EXCEPTION: LineFault.REFUSED}
_WIRE = {
    Wire.TIMEOUT: LineFault.SILENT,
    Wire.LATE: LineFault.LATE,
    Wire.STALE_TRANSACTION: LineFault.WRONG_ITEM,
    Wire.DOUBLED: LineFault.DOUBLED,
    Wire.STRAY_FRAME: LineFault.NOISE,
    Wire.WRONG_CRC: LineFault.CHECKSUM,
    Wire.PARTIAL_FRAME: LineFault.PARTIAL,
    Wire.EXCEPTION: LineFault.REFUSED,
}
"""The others mean nothing here: there are no words to swap, and no order of answers."""
_RATES = (0.1, 0.35, 0.35, 0.2)
"""Share of each rate register in the total: the fleet knows no tariff periods."""


def lines_of(
    fleet: Fleet,
    lines: Sequence[LineSettings],
    manners: Sequence[Manner] = (),
    devices: Mapping[str, str] = MappingProxyType({}),
) -> list[Line]:
    """Return a line for each of `lines` that has meters.

    Args:
        fleet: whose meters with `via: dlt645` are shown, at their terminals: the ratios in force
            are divided out.
        lines: the settings; a TCP line is served on its own port.
        manners: `dlt645` of the fleet file.
        devices: of each serial line, the far end of its cable, where the meters are.

    Raises:
        KeyError: a serial line has no far end.
        ValueError: a manner or a wire fault cannot be had.
    """
    found = []
    theirs = {member.meter.id for member in fleet.members if _line(member)}
    if unknown := sorted({one.meter for one in manners} - theirs):
        raise ValueError(f"`dlt645` names meters that are none: {', '.join(unknown)}")
    for line in lines:
        meters = tuple(
            Meter(source.address, _show(fleet, member, manners), ZoneInfo(member.site.timezone))
            for member in fleet.members
            if isinstance(source := member.meter.source, Dlt645Source) and source.line == line.id
        )
        if meters:
            place = ("", line.port) if line.kind == "tcp" else (devices[line.id], 0)
            found.append(Line(line.id, meters, *place, line.baudrate, line.parity))
    return found


def _line(member: Member) -> str | None:
    source = member.meter.source
    return source.line if isinstance(source, Dlt645Source) else None


def _show(fleet: Fleet, member: Member, manners: Sequence[Manner]) -> Callable[[datetime], Showing]:
    ratios = Ratios.of(member.site, member.meter)
    mine = [one for one in manners if one.meter == member.meter.id]
    plain = Manner(meter=member.meter.id)
    if strange := {one.kind for one in member.wire} - set(_WIRE):
        raise ValueError(f"meter {member.meter.id}: DL/T 645 knows no {', '.join(sorted(strange))}")
    nuisance = Nuisance(member.wire, fleet.started)

    def show(at: datetime) -> Showing:
        held = [one for one in mine if one.holds(at, fleet.started)]
        manner = held[-1] if held else plain
        fault, late_s = manner.fault, manner.late_s
        if hit := nuisance.next(at):
            fault, late_s = _WIRE[hit.kind], hit.delay_s
        for trouble, failing in _TROUBLES.items():
            fault = failing if member.has(trouble, at) else fault
        values = _terminals(fleet, member, at, ratios)
        if member.has(Trouble.SENTINEL, at):
            values = dict.fromkeys(values)
        ahead_s = manner.clock_s(at, fleet.started)
        return Showing(values, fault, manner.wake, manner.frame_bytes, ahead_s, late_s)

    return show


def _terminals(
    fleet: Fleet, member: Member, at: datetime, ratios: Ratios
) -> dict[str, float | None]:
    """Return what the meter itself measures, behind its transformers."""
    at_us = micros(at)
    ct, pt = ratios.at(at_us)
    ratio = {"ct": np.array([ct]), "pt": np.array([pt])}
    shown = fleet.values(np.array([at_us], dtype=np.int64), [member])
    values = {name: float((one[0] / factor(name, ratio))[0]) for name, one in shown.items()}
    total = values["energy_import_kwh"]
    rates = {f"energy_import_t{i}_kwh": total * share for i, share in enumerate(_RATES, 1)}
    return {**values, **rates}
