"""`demandwatch meter conform`: a signed report on a meter and its map."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from alerting.evidence.seal import KeyFileError, Sealer, fingerprint
from collector.bench.checks import Outcome
from collector.bench.conform import judge, outcome_of
from collector.bench.look import Ratio
from collector.bench.modbusbench import ModbusBench, Slave
from collector.bench.record import Longest, Record, Told
from collector.clock import Clock
from collector.registers import Plan
from demandwatch import benchmeter as bm
from demandwatch import conformity, logs
from demandwatch.meter_read import Form, Format
from demandwatch.options import Profiles, fail

Verify = Annotated[
    Path | None, typer.Option("--verify", help="Verify a report, JSON or text, instead.")
]
For = Annotated[float, typer.Option("--for", help="Seconds to watch the meter.", min=0)]
Readings = Annotated[int, typer.Option(help="Readings, evenly over that time.", min=1)]
Rated = Annotated[
    float | None,
    typer.Option("--rated-kw", help="Greatest power the connection can carry; proves the ratio."),
]
Limits = Annotated[
    bool, typer.Option("--try-limits", help="Find how many registers come in one answer.")
]
Out = Annotated[
    Path | None, typer.Option(help="Write OUT.json and OUT.txt; without it the text is shown only.")
]
Key = Annotated[
    Path,
    typer.Option(help="Private key that signs, made on first use; with --verify the trusted one."),
]
_STATUS = {Outcome.PASSED: 0, Outcome.FAILED: 1, Outcome.UNKNOWN: 3}


def conform(
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
    rated_kw: Rated = None,
    timeout_s: bm.Timeout = 1.0,
    watch_s: For = 60.0,
    readings: Readings = 20,
    limits: Limits = False,
    out: Out = None,
    key: Key = Path("var/keys/evidence.pem"),
    verify: Verify = None,
    format_: Format = Form.TABLE,
    profiles: Profiles = Path("config/meter-profiles"),
) -> None:
    """Prove that a meter and its map belong together; the report is signed.

    Reads the meter for a while and tells, line by line with the figures: passed, failed, or not
    proven. Word order (the other one makes no sense), signs for no value, ratio, rollover, timing,
    gaps, a register that grows as the power says, the clock. The JSON carries the map and all words
    read, so that --verify judges anew, without the meter. The key is that of the evidence.

    Exit status 0 all passed, 1 something failed, 3 nothing failed but not everything is proven;
    with --verify 0 if the report is sound, 1 if not.
    """
    logs.configure(json=False, level="critical")
    if verify is not None:
        raise typer.Exit(_verify(verify, key))
    clock = Clock.real()
    way = bm.Way(kind, host, port, device, baudrate, parity, stop_bits, timeout_s)
    items, ratio = tuple(item or ()), Ratio(ct, pt)
    if meter_id:
        meter = bm.by_settings(config, meter_id, clock)
    else:
        meter = bm.by_options(way, unit, address, profile, profiles, items, ratio, zone, rated_kw)
    raise typer.Exit(_report(meter, clock, watch_s, readings, out, key, format_, limits=limits))


def _report(
    meter: bm.BenchMeter, clock: Clock, watch_s: float, readings: int, out: Path | None,
    key: Path, form: Form, *, limits: bool,
) -> int:  # fmt: skip
    with Console(stderr=True).status(f"watching {meter.name} for {watch_s:g} s"):
        try:
            record = asyncio.run(_measured(meter, clock, watch_s, readings, limits=limits))
            sealer = Sealer.of_file(key)
        except (OSError, KeyFileError) as error:
            fail(error)
    whole, text = conformity.documents(record, clock.now(), sealer)
    typer.echo(whole if form is Form.JSON else text, nl=False)
    if out is not None:
        for suffix, content in ((".json", whole), (".txt", text)):
            out.with_name(out.name + suffix).write_text(content, encoding="utf-8")
        told = f"written: {out}.json, {out}.txt; signed by {fingerprint(sealer.public)}"
        Console(stderr=True, soft_wrap=True).print(told, markup=False)
    return _STATUS[outcome_of(judge(record))]


async def _measured(
    meter: bm.BenchMeter, clock: Clock, watch_s: float, count: int, *, limits: bool
) -> Record:
    loop, readings = asyncio.get_running_loop(), []
    identities, longest = list[Told](), list[Longest]()
    async with bm.opened(meter, clock) as bench:
        meter = bench.meter
        if bench.modbus is not None and meter.layout is not None and meter.slave is not None:
            profile = meter.layout.profile
            for one in await bench.modbus.identify(profile, meter.slave):
                identities.append(Told(what=one.what, value=one.value, expected=one.expected))
            if limits:
                longest = await _longest(bench.modbus, meter.layout, meter.slave)
        due = loop.time()
        for _ in range(count):
            await asyncio.sleep(max(0.0, due - loop.time()))
            readings.append(await bench.read())
            due += watch_s / max(count - 1, 1)
    spoken = meter.spoken
    return Record(
        meter=meter.name, where=meter.where, ct=meter.ratio.ct, pt=meter.ratio.pt,
        unit=meter.slave.unit if meter.slave else None,
        address=spoken.address if spoken else "",
        zone=spoken.zone.key if spoken else "Asia/Shanghai",
        profile=meter.layout.profile if meter.layout else None,
        rated_power_kw=meter.rated_power_kw, timeout_s=meter.timeout_s,
        readings=tuple(readings), identities=tuple(identities), longest=tuple(longest),
    )  # fmt: skip


async def _longest(bench: ModbusBench, layout: Plan, slave: Slave) -> list[Longest]:
    found = []
    for block in layout.blocks[:1]:
        count, why = await bench.longest(block, slave)
        one = Longest(function=block.function, start=block.start, count=count, why=why)
        found.append(one)
    return found


def _verify(file: Path, key: Path) -> int:
    try:
        trusted = Sealer.of_file(key).public if key.exists() else None
        told, wrong = conformity.verified(file.read_text(encoding="utf-8"), trusted)
    except (OSError, KeyFileError, conformity.NoReportError) as error:
        fail(error)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{file}: {told}", markup=False)
    for one in wrong:
        console.print(f"WRONG: {one}", style="red", markup=False)
    console.print("NOT verified" if wrong else "verified: nothing differs", style="bold")
    return 1 if wrong else 0
