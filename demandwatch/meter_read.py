"""`demandwatch meter read`: what a meter says now, down to its words."""

import asyncio
import json
import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from collector.bench.look import Cell, Look, Ratio, Reading
from collector.clock import Clock
from demandwatch import benchmeter as bm
from demandwatch import logs
from demandwatch.options import Profiles, fail, wide


class Form(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"


Format = Annotated[Form, typer.Option("--format", help="A table, or JSON lines for machines.")]

Every = Annotated[
    float | None, typer.Option("--every", help="Read again every so many seconds.", min=0.1)
]
Count = Annotated[int | None, typer.Option(help="End after so many readings.", min=1)]


def read(
    meter_id: bm.MeterId = "",
    config: bm.ConfigFile = None,
    host: bm.Host = "",
    port: bm.Port = None,
    kind: bm.Kind = "",
    device: bm.Device = "",
    baudrate: bm.Baudrate = None,
    parity: bm.Parity = None,
    stop_bits: bm.StopBits = 1,
    unit: bm.Unit = 1,
    profile: bm.ProfileId = "",
    address: bm.Address = "",
    item: bm.Items = None,
    zone: bm.Zone = "Asia/Shanghai",
    ct: bm.Ct = 1.0,
    pt: bm.Pt = 1.0,
    timeout_s: bm.Timeout = 1.0,
    every_s: Every = None,
    count: Count = None,
    format_: Format = Form.TABLE,
    profiles: Profiles = Path("config/meter-profiles"),
) -> None:
    """Read one meter now: values, units, raw words, registers, scales, response time, doubts.

    A meter of the settings is named by its id; any other is described by its link, its number and
    its map. A register that answers "no value", or what cannot be one, is shown with the reason.
    Exit status 1 if something was not answered.
    """
    logs.configure(json=False, level="critical")
    clock = Clock.real()
    way = bm.Way(kind, host, port, device, baudrate, parity, stop_bits, timeout_s)
    meter = (
        bm.by_settings(config, meter_id, clock)
        if meter_id
        else bm.by_options(
            way, unit, address, profile, profiles, tuple(item or ()), Ratio(ct, pt), zone
        )
    )
    rounds = count or (None if every_s else 1)
    raise typer.Exit(0 if _rounds(meter, clock, every_s or 1.0, rounds, format_) else 1)


def _rounds(
    meter: bm.BenchMeter, clock: Clock, every_s: float, rounds: int | None, form: Form
) -> bool:
    try:
        return asyncio.run(_read(meter, clock, every_s, rounds, form))
    except OSError as error:
        fail(error)
    except KeyboardInterrupt:
        return True


async def _read(
    meter: bm.BenchMeter, clock: Clock, every_s: float, rounds: int | None, form: Form
) -> bool:
    sound, done, loop = True, 0, asyncio.get_running_loop()
    async with bm.opened(meter, clock) as bench:
        due = loop.time()
        while rounds is None or done < rounds:
            await asyncio.sleep(max(0.0, due - loop.time()))
            reading = await bench.read()
            (_print_json if form is Form.JSON else _print)(bench.meter, reading)
            sound = sound and not reading.unanswered
            due, done = due + every_s, done + 1
    return sound


def _print(meter: bm.BenchMeter, reading: Reading) -> None:
    look = meter.look(reading)
    console = wide()
    stamp = f"{reading.at:%Y-%m-%d %H:%M:%S}Z"
    console.print(
        f"{meter.name} at {meter.where}, {stamp}, answered in {reading.took_ms:.0f} ms",
        markup=False,
    )
    console.print(table_of(look))
    if reading.clock_offset_s is not None:
        console.print(f"its clock minus ours: {reading.clock_offset_s:+.1f} s", markup=False)
    for text in reading.unanswered:
        console.print(f"not answered: {text}", style="red", markup=False)


def table_of(look: Look) -> Table:
    """Return the quantities of a look as a table."""
    table = Table(header_style="bold", box=None, pad_edge=False)
    for name in ("quantity", "value", "unit", "raw", "register", "scale", "doubt"):
        table.add_column(name, justify="right" if name == "value" else "left", no_wrap=True)
    for one in look.cells.values():
        table.add_row(
            one.quantity, _value(one), one.unit, one.raw[:24], one.where, f"{one.scale:g}",
            "says: no value" if one.doubt == "sentinel" else one.doubt,
        )  # fmt: skip
    for name in look.missing:
        table.add_row(name, "—", "", "", "", "", "not answered")
    return table


def _value(cell: Cell) -> str:
    if cell.value is None:
        return "—"
    digits = min(4, max(1, math.ceil(-math.log10(cell.step) - 1e-9))) if cell.step else 4
    return f"{cell.value:,.{digits}f}"


def _print_json(meter: bm.BenchMeter, reading: Reading) -> None:
    look = meter.look(reading)
    told = {
        "meter": meter.name,
        "where": meter.where,
        "measured_at": reading.at.isoformat(),
        "response_ms": reading.took_ms,
        "clock_offset_s": reading.clock_offset_s,
        "quantities": {
            one.quantity: {
                "value": one.value, "unit": one.unit, "raw": one.raw, "register": one.where,
                "scale": one.scale, "doubt": one.doubt,
            }
            for one in look.cells.values()
        },
        "not_answered": list(reading.unanswered),
    }  # fmt: skip
    typer.echo(json.dumps(told, ensure_ascii=False))
