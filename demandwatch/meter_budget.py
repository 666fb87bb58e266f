"""`demandwatch meter budget`: what a bus can carry, before it is wired."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from collector.bench.budget import Budget, Cost, budget_of, budget_of_line
from collector.dlt645.readings import targets_of as spoken_of
from collector.polls import Ratios, Target, targets_of
from collector.profiles import Profile
from collector.registers import plan
from collector.settings import BusSettings, CollectorSettings
from collector.simulator.stand import units_of
from collector.site import Site
from demandwatch import benchmeter as bm
from demandwatch.meter_read import Form, Format
from demandwatch.options import Profiles, fail, loaded, profiles_in, wide

Bus = Annotated[str, typer.Option(help="Of the settings: only this bus or line.")]
Units = Annotated[str, typer.Option(help="Meters of the planned bus, e.g. 1-32.")]
PollEvery = Annotated[float, typer.Option("--poll-every", help="Seconds between two polls.")]
Retries = Annotated[int, typer.Option(help="Repetitions of an unanswered request.", min=0)]
Dead = Annotated[int, typer.Option(help="So many of the meters do not answer.", min=0)]
AnswerMs = Annotated[
    float | None,
    typer.Option(
        "--answer-ms",
        help="From a request's end to its answer's beginning, ms, as `meter conform` measures;"
        " assumed: 20 on a serial line, 5 over a network.",
    ),
]


def budget(
    config: bm.ConfigFile = None,
    bus: Bus = "",
    kind: bm.Kind = "rtu",
    baudrate: bm.Baudrate = None,
    parity: bm.Parity = None,
    stop_bits: bm.StopBits = 1,
    profile: bm.ProfileId = "",
    units: Units = "1",
    poll_every_s: PollEvery = 15.0,
    timeout_s: bm.Timeout = 1.0,
    retries: Retries = 1,
    dead: Dead = 0,
    answer_ms: AnswerMs = None,
    format_: Format = Form.TABLE,
    profiles: Profiles = Path("config/meter-profiles"),
) -> None:
    """Compute a bus's cycle time, and whether its poll periods can be held.

    Of the settings with --config, else of a bus described by its kind, rate, map and meters. A
    serial exchange takes (13 + 2 x registers) characters of 10 (8N1) or 11 bits (8E1), the silence
    of 3.5 characters (1.75 ms above 19200 baud) and the meter's own time.

    Exit status 1 if a period cannot be held.
    """
    answer_s = None if answer_ms is None else answer_ms / 1000
    if config is not None:
        found = _of_settings(config, bus, dead, answer_s)
    else:
        place = ("", "/dev/null") if kind == "rtu" else ("planned", "")
        way = bm.Way(kind, place[0], None, place[1], baudrate, parity, stop_bits, timeout_s)
        planned = _planned(way.bus(), profile, profiles, units, poll_every_s, retries)
        found = [budget_of(way.bus(), planned, dead, answer_s)]
    _print_json(found) if format_ is Form.JSON else _print(found)
    raise typer.Exit(1 if any(one.load > 1 for one in found) else 0)


def _of_settings(config: Path, bus: str, dead: int, answer_s: float | None) -> list[Budget]:
    settings = loaded(config)
    collector, sites = settings.settings.collector, settings.sites
    every = list(budgets_of(collector, sites, settings.profiles, dead, answer_s))
    found = [one for one in every if bus in {"", one.link.partition(" ")[2]}]
    if not found:
        fail(f"{config}: no bus or line {bus!r} with meters on it")
    return found


def budgets_of(
    collector: CollectorSettings,
    sites: tuple[Site, ...],
    profiles: Mapping[str, Profile],
    dead: int = 0,
    answer_s: float | None = None,
) -> Iterator[Budget]:
    """Yield the budgets of all buses and lines that have meters."""
    for bus in collector.buses:
        if targets := targets_of(bus, sites, profiles):
            yield budget_of(bus, targets, dead, answer_s)
    for line in collector.lines:
        if spoken := spoken_of(line.id, sites):
            yield budget_of_line(line, spoken, dead, answer_s)


def _planned(
    bus: BusSettings, profile: str, folder: Path, units: str, every_s: float, retries: int
) -> list[Target]:
    profiles = profiles_in(folder)
    if profile not in profiles:
        fail(f"--profile: one of {', '.join(profiles)}; or --config for the settings' buses")
    try:
        layout = plan(profiles[profile], bus.max_registers, bus.max_gap)
        numbers = units_of(units)
    except ValueError as error:
        fail(error)
    ratios = Ratios((), (), ())
    return [
        Target(f"unit {unit}", unit, every_s, layout, ratios, "modbus:planned",
               timeout_s=bus.timeout_s, retries=retries)
        for unit in numbers
    ]  # fmt: skip


def _print(found: list[Budget]) -> None:
    console = wide()
    for one in found:
        console.print(one.link, style="bold", markup=False)
        table = Table(header_style="bold", box=None, pad_edge=False)
        for name in ("meter", "every", "transactions", "registers", "bytes", "ms", "load", ""):
            table.add_column(name, justify="left" if name in {"meter", ""} else "right")
        for row in one.costs:
            table.add_row(*_row(row))
        console.print(table)
        console.print(
            f"cycle {one.cycle_s:.3f} s: the shortest poll_every_s for all; busy {one.load:.1%};"
            f" a meter that falls silent holds the others up for {one.worst_slot_s:.2f} s, once",
        )
        if one.warning:
            console.print(f"WARNING: {one.warning}", style="red", markup=False)


def _row(cost: Cost) -> tuple[str, ...]:
    took = cost.dead_s if cost.dead else cost.poll_s
    return (
        cost.meter, f"{cost.every_s:g} s", str(cost.transactions), str(cost.registers),
        str(cost.characters), f"{took * 1000:.1f}", f"{cost.load:.2%}",
        "silent" if cost.dead else "",
    )  # fmt: skip


def _print_json(found: list[Budget]) -> None:
    told = [
        {
            "link": one.link, "cycle_s": round(one.cycle_s, 6), "load": round(one.load, 6),
            "shortest_poll_every_s": round(one.cycle_s, 6), "warning": one.warning,
            "silent_meter_holds_up_s": one.worst_slot_s,
            "meters": [
                {
                    "meter": cost.meter, "poll_every_s": cost.every_s, "dead": cost.dead,
                    "transactions": cost.transactions, "registers": cost.registers,
                    "bytes": cost.characters, "ms": round(cost.poll_s * 1000, 3),
                    "load": round(cost.load, 6),
                }
                for cost in one.costs
            ],
        }
        for one in found
    ]  # fmt: skip
    typer.echo(json.dumps(told, ensure_ascii=False))
