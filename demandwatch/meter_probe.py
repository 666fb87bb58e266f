"""`demandwatch meter probe`: who is on the line, and which map fits, with the evidence."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.status import Status
from rich.table import Table

from collector.bench.checks import Check, Outcome, checks_of
from collector.bench.dlt645bench import Spoken, open_dlt645
from collector.bench.dltlook import look_of_items
from collector.bench.look import ItemAnswered
from collector.bench.modbusbench import UnreachableError
from collector.bench.ranking import Candidate, Standing, tied
from collector.bench.search import Found, Probed, longest_s, serial_of, shapes_of, units_of
from collector.bench.search import probe as try_profiles
from collector.clock import Clock
from collector.profiles import Profile
from collector.settings import BusSettings
from collector.simulator.stand import units_of as numbers_of
from demandwatch import benchmeter as bm
from demandwatch import logs
from demandwatch.meter_read import Form, Format, table_of
from demandwatch.options import Profiles, fail, profiles_in, wide

_SIGN = {Outcome.PASSED: "passed", Outcome.FAILED: "FAILED", Outcome.UNKNOWN: "unknown"}


Units = Annotated[str, typer.Option(help="Modbus: numbers to look for, e.g. 1-10.")]
Maps = Annotated[
    list[str] | None,
    typer.Option("--profile", help="Try only this map; repeatable. Default: all."),
]
Dlt645 = Annotated[bool, typer.Option("--dlt645", help="Look for a DL/T 645 meter instead.")]
ScanTimeout = Annotated[
    float, typer.Option("--scan-timeout", help="Longest wait for a sign of life, s.")
]
Watch = Annotated[
    float, typer.Option("--watch", help="Seconds to watch the energy register; 0: not.", min=0)
]
Top = Annotated[int, typer.Option(help="Maps to list of each meter.", min=1)]


@dataclass(frozen=True, slots=True)
class _Patience:
    scan_s: float
    timeout_s: float
    watch_s: float


def probe(
    host: bm.Host = "",
    port: bm.Port = None,
    kind: bm.Kind = "",
    device: bm.Device = "",
    baudrate: bm.Baudrate = None,
    parity: bm.Parity = None,
    stop_bits: bm.StopBits = 1,
    units: Units = "1-247",
    profile: Maps = None,
    dlt645: Dlt645 = False,
    zone: bm.Zone = "Asia/Shanghai",
    scan_timeout_s: ScanTimeout = 0.3,
    timeout_s: bm.Timeout = 1.0,
    watch_s: Watch = 10.0,
    top: Top = 5,
    format_: Format = Form.TABLE,
    profiles: Profiles = Path("config/meter-profiles"),
) -> None:
    """Find meters and the maps that fit them, ranked by evidence.

    Looks for units; on a serial line also for rate and parity, unless they are given. Each map is
    tried, and judged by what a wrong one fails: a mains voltage and frequency, phases that add up,
    powers that agree with volts, amperes and power factor, a register that grows as the power says.
    What cannot be told is called unknown: a meter without load proves little. Never writes.

    Exit status 1 if no map matches.
    """
    logs.configure(json=False, level="critical")
    way = bm.Way(kind, host, port, device, baudrate, parity, stop_bits, timeout_s)
    patience = _Patience(scan_timeout_s, timeout_s, watch_s)
    with Console(stderr=True).status("looking") as status:
        try:
            if dlt645:
                good = asyncio.run(_dlt645(way, zone, watch_s, format_))
            else:
                chosen = _chosen(profiles_in(profiles), profile or [])
                found = _found(way, numbers_of(units), patience, status)
                good = _modbus(found, chosen, patience, top, format_, status)
        except (UnreachableError, ValueError) as error:
            fail(error)
    raise typer.Exit(0 if good else 1)


def _found(way: bm.Way, units: Sequence[int], patience: _Patience, status: Status) -> list[Found]:
    """Look for units, at every rate and parity that is not given."""
    bus = way.bus()
    shapes = [
        one
        for one in shapes_of(bus, fixed=bool(way.baudrate and way.parity))
        if way.baudrate in {None, one.baudrate} and way.parity in {None, one.parity}
    ]
    _announce(status, shapes or [bus], units, patience.scan_s)
    now = Clock.real().now
    return asyncio.run(units_of(shapes or [bus], units, patience.scan_s, now, status.update))


def _chosen(profiles: dict[str, Profile], names: Sequence[str]) -> dict[str, Profile]:
    if unknown := [name for name in names if name not in profiles]:
        fail(f"no profile {', '.join(unknown)}; there are {', '.join(profiles)}")
    return {name: profiles[name] for name in names or profiles}


def _announce(
    status: Status, shapes: Sequence[BusSettings], units: Sequence[int], timeout_s: float
) -> None:
    takes = longest_s(shapes, units, timeout_s)
    rates = f" at {len(shapes)} combinations of rate and parity" if len(shapes) > 1 else ""
    status.console.print(
        f"looking for {len(units)} unit(s) at {shapes[0].where}{rates}: at most {_minutes(takes)}",
        markup=False, highlight=False,
    )  # fmt: skip


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _modbus(
    found: Sequence[Found], profiles: dict[str, Profile], patience: _Patience,
    top: int, form: Form, status: Status,
) -> bool:  # fmt: skip
    if not found:
        Console(stderr=True).print("nobody answers: check address, wiring (A/B), rate and parity")
    good, now = False, Clock.real().now
    for one in found:
        work = try_profiles(one, profiles, patience.timeout_s, patience.watch_s, now, status.update)
        probed = asyncio.run(work)
        good |= bool(tied(probed.candidates))
        if form is Form.JSON:
            typer.echo(json.dumps(_document(probed, top), ensure_ascii=False))
        else:
            _print(probed, top)
    return good


def _print(probed: Probed, top: int) -> None:
    console = wide()
    unit, bus, took = probed.found.unit, probed.found.bus, probed.found.took_ms
    console.print(
        f"unit {unit} at {bus.where}{serial_of(bus)} answers in {took:.0f} ms;"
        f" {len(probed.candidates)} maps tried by {probed.requests} requests",
        style="bold", markup=False,
    )  # fmt: skip
    table = Table(header_style="bold", box=None, pad_edge=False)
    for name in ("map", "standing", "score", "passed", "failed"):
        table.add_column(name)
    for one in probed.candidates[:top]:
        table.add_row(
            one.profile, one.standing, str(one.score),
            ", ".join(c.name for c in one.checks if c.outcome is Outcome.PASSED),
            ", ".join(c.name for c in one.checks if c.outcome is Outcome.FAILED),
        )  # fmt: skip
    console.print(table)
    best = probed.candidates[0]
    console.print(f"\nEvidence for {best.profile}, {best.title}:", style="bold", markup=False)
    print_checks(console, best.checks)
    console.print(said_of(probed.candidates), style="bold", markup=False)
    console.print()


def print_checks(console: Console, checks: Sequence[Check]) -> None:
    """Print checks with their figures."""
    table = Table(box=None, show_header=False, pad_edge=False)
    colour = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.UNKNOWN: "yellow"}
    for one in checks:
        table.add_row(f"[{colour[one.outcome]}]{_SIGN[one.outcome]}[/]", one.name, one.said)
    console.print(table)


def said_of(candidates: Sequence[Candidate]) -> str:
    """Return what may be said of the best candidates, and no more."""
    best, equal = candidates[0], tied(candidates)
    if len(equal) > 1:
        names = ", ".join(one.profile for one in equal)
        return f"match, but the evidence cannot tell these apart: {names}; see the meter's plate"
    if equal:
        return f"match: {best.profile}"
    hinted = next((one for one in candidates if one.hint), None)
    if hinted is not None:
        return f"no map matches as it is; with {hinted.profile} the {hinted.hint}"
    if best.standing is Standing.POSSIBLE:
        return f"possible: {best.profile}; put load on the meter, or watch it longer, for proof"
    if best.standing is Standing.UNKNOWN:
        return "unknown: nothing read tells for or against any map; put load on the meter"
    return "no map matches"


def _document(probed: Probed, top: int) -> dict[str, object]:
    bus = probed.found.bus
    serial = {"baudrate": bus.baudrate, "parity": bus.parity} if bus.kind == "rtu" else {}
    return {
        "unit": probed.found.unit,
        "where": bus.where,
        **serial,
        "response_ms": probed.found.took_ms,
        "said": said_of(probed.candidates),
        "candidates": [
            {
                "profile": one.profile, "title": one.title, "standing": one.standing,
                "score": one.score, "hint": one.hint, "checks": [asdict(c) for c in one.checks],
            }
            for one in probed.candidates[:top]
        ],
    }  # fmt: skip


async def _dlt645(way: bm.Way, zone: str, watch_s: float, form: Form) -> bool:
    line, now = way.line(), Clock.real().now
    async with open_dlt645(line, now) as bench:
        address = await bench.address()
        if address is None:
            Console(stderr=True).print(
                "no single DL/T 645 meter answers: check wiring and rate (2400 8E1, newer meters"
                " 9600); several meters on one line answer at once and are not heard"
            )
            return False
        meter = Spoken(address, ZoneInfo(zone))
        readings = [await bench.read(meter)]
        if watch_s:
            await asyncio.sleep(watch_s)
            readings.append(await bench.read(meter))
    looks = [look_of_items(one, meter.zone) for one in readings]
    checks = [_answered(readings[-1].items), *checks_of(looks)]
    if form is Form.JSON:
        told = {"address": address, "where": line.where, "checks": [asdict(c) for c in checks]}
        typer.echo(json.dumps(told, ensure_ascii=False))
    else:
        console = wide()
        console.print(f"DL/T 645 meter {address} at {line.where}", style="bold", markup=False)
        console.print(table_of(looks[-1]))
        print_checks(console, checks)
    return not any(one.outcome is Outcome.FAILED for one in checks)


def _answered(items: Sequence[ItemAnswered]) -> Check:
    """Whether the meter answers; what it refuses it does not have, which is no fault."""
    silent = [one.error for one in items if one.payloads is None and not one.refused]
    refused = [one.item for one in items if one.refused]
    if silent:
        return Check("readable", Outcome.FAILED, silent[0])
    said = f"{len(items) - len(refused)} items" + (f"; has no {', '.join(refused)}" * bool(refused))
    return Check("readable", Outcome.PASSED, said)
