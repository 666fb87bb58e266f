"""The fleet's DL/T 645 meters on simulated lines."""

from collections.abc import Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from collector.linesettings import LineSettings
from collector.polls import Ratios, micros
from collector.registers import factor
from collector.simulator.dlt645_answers import LineFault, Meter, Showing
from collector.simulator.dlt645_meters import Line
from collector.simulator.faults import Trouble
from collector.simulator.fleet import Fleet, Member
from collector.site import Dlt645Source

_FAULTS = {Trouble.SILENT: LineFault.SILENT, Trouble.EXCEPTION: LineFault.REFUSED}
_RATES = (0.1, 0.35, 0.35, 0.2)
"""Share of each rate register in the total: the fleet knows no tariff periods."""


def lines_of(fleet: Fleet, lines: Sequence[LineSettings], *, serial: bool = False) -> list[Line]:
    """Return a line for each of `lines` that has meters.

    Args:
        fleet: whose meters with `via: dlt645` are shown, at their terminals: the ratios in force
            are divided out.
        lines: the settings; a TCP line is served on its own port.
        serial: serve serial lines at their device; else they are served over TCP on a free port.
    """
    found = []
    for line in lines:
        meters = tuple(
            Meter(source.address, _show(fleet, member), ZoneInfo(member.site.timezone))
            for member in fleet.members
            if isinstance(source := member.meter.source, Dlt645Source) and source.line == line.id
        )
        if meters:
            device = line.device if serial else ""
            port = line.port if line.kind == "tcp" else 0
            found.append(Line(line.id, meters, device, port, line.baudrate, line.parity))
    return found


def _show(fleet: Fleet, member: Member) -> Callable[[datetime], Showing]:
    ratios = Ratios.of(member.site, member.meter)

    def show(at: datetime) -> Showing:
        fault = next((_FAULTS[one] for one in _FAULTS if member.has(one, at)), None)
        at_us = micros(at)
        shown = fleet.values(np.array([at_us], dtype=np.int64), [member])
        ct, pt = ratios.at(at_us)
        ratio = {"ct": np.array([ct]), "pt": np.array([pt])}
        values: dict[str, float | None] = {
            name: float((column[0] / factor(name, ratio))[0]) for name, column in shown.items()
        }
        if member.has(Trouble.SENTINEL, at):
            return Showing(dict.fromkeys(values), fault)
        total = values["energy_import_kwh"] or 0.0
        rates = {f"energy_import_t{i}_kwh": total * share for i, share in enumerate(_RATES, 1)}
        return Showing(values | rates, fault)

    return show
