"""The meter on the bench: found by options, or in the settings by its id; read in one turn."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from pydantic import ValidationError

from collector.bench.dlt645bench import USUAL, Dlt645Bench, Spoken, known, open_dlt645
from collector.bench.dltlook import look_of_items
from collector.bench.look import Look, Ratio, Reading, look_of
from collector.bench.modbusbench import ModbusBench, Slave, open_modbus
from collector.clock import Clock
from collector.linesettings import LineSettings
from collector.polls import Ratios, micros
from collector.profiles import Profile
from collector.registers import Plan, plan
from collector.settings import BusSettings, CollectorSettings
from collector.site import Dlt645Source, Meter, ModbusSource, Site
from demandwatch.options import fail, loaded, profiles_in

Kind = Annotated[
    str,
    typer.Option(help="tcp, tls, rtu_over_tcp or rtu; default: tcp, with --device rtu."),
]
Host = Annotated[str, typer.Option(help="Address of the meter, gateway or serial server.")]
Port = Annotated[int | None, typer.Option(help="Its port: 502, for DL/T 645 4001.")]
Device = Annotated[str, typer.Option(help="Serial device, e.g. /dev/ttyUSB0.")]
Baudrate = Annotated[int | None, typer.Option(help="Of the serial line: 9600, for DL/T 645 2400.")]
Parity = Annotated[str | None, typer.Option(help="N, E or O: N, for DL/T 645 E.")]
StopBits = Annotated[int, typer.Option(help="1 or 2.")]
Unit = Annotated[int, typer.Option(help="Modbus: number of the meter.", min=0, max=255)]
Address = Annotated[
    str, typer.Option(help="DL/T 645: twelve digits; `any`: the only meter on the line.")
]
Items = Annotated[list[str] | None, typer.Option("--item", help="DL/T 645: what to ask for.")]
ProfileId = Annotated[str, typer.Option("--profile", help="Modbus: the meter's map.")]
Timeout = Annotated[float, typer.Option("--timeout", help="Longest wait for an answer, s.")]
Zone = Annotated[str, typer.Option(help="Time zone of a DL/T 645 meter's clock.")]
Ct = Annotated[float, typer.Option(help="Current transformer's ratio, where the map needs it.")]
Pt = Annotated[float, typer.Option(help="Voltage transformer's ratio, where the map needs it.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The settings, for a meter named by its id."),
]

MeterId = Annotated[str, typer.Argument(metavar="[METER]", help="Id of a meter of the settings.")]


@dataclass(frozen=True, slots=True)
class Way:
    """The link to meters, as the options describe it."""

    kind: str = ""
    host: str = ""
    port: int | None = None
    device: str = ""
    baudrate: int | None = None
    parity: str | None = None
    stop_bits: int = 1
    timeout_s: float = 1.0

    def _given(self) -> dict[str, object]:
        asked = {
            "host": self.host, "port": self.port, "device": self.device,
            "baudrate": self.baudrate, "parity": self.parity,
        }  # fmt: skip
        found = {name: value for name, value in asked.items() if value}
        return {"id": "bench", "stop_bits": self.stop_bits, "timeout_s": self.timeout_s, **found}

    def bus(self) -> BusSettings:
        """Return the Modbus link; a faulty one ends the program."""
        kind = self.kind or ("rtu" if self.device else "tcp")
        try:
            return BusSettings.model_validate({**self._given(), "kind": kind})
        except ValidationError as error:
            fail(told(error))

    def line(self) -> LineSettings:
        """Return the DL/T 645 line; a faulty one ends the program."""
        kind = "serial" if self.device else "tcp"
        try:
            return LineSettings.model_validate({**self._given(), "kind": kind})
        except ValidationError as error:
            fail(told(error))


def told(error: ValidationError) -> str:
    """Return what is wrong with options, in one sentence."""
    parts = [
        f"--{'-'.join(map(str, one['loc']))}: {one['msg']}" if one["loc"] else one["msg"]
        for one in error.errors()
    ]
    return "; ".join(part.replace("Value error, ", "") for part in parts)


@dataclass(frozen=True, slots=True)
class BenchMeter:
    """One meter, ready to be read."""

    name: str
    where: str
    ratio: Ratio
    bus: BusSettings | None = None
    slave: Slave | None = None
    layout: Plan | None = None
    line: LineSettings | None = None
    spoken: Spoken | None = None
    rated_power_kw: float | None = None

    @property
    def timeout_s(self) -> float:
        """Longest wait for an answer."""
        if self.slave is not None:
            return self.slave.timeout_s
        return 1.0 if self.line is None else self.line.timeout_s

    def look(self, reading: Reading) -> Look:
        """Decode what was read."""
        if self.layout is not None:
            return look_of(self.layout.profile, reading, self.ratio)
        assert self.spoken is not None  # noqa: S101 - one or the other, see below
        return look_of_items(reading, self.spoken.zone, self.ratio)


def by_options(
    way: Way, unit: int, address: str, profile: str, folder: Path, items: tuple[str, ...],
    ratio: Ratio, zone: str, rated_power_kw: float | None = None,
) -> BenchMeter:  # fmt: skip
    """Return the meter that options describe; faulty ones end the program."""
    if address:
        line = way.line()
        try:
            spoken = Spoken(address, ZoneInfo(zone), known(items) or USUAL, strict=bool(items))
        except (ValueError, OSError) as error:
            fail(error)
        name = f"meter {address}"
        return BenchMeter(
            name, line.where, ratio, line=line, spoken=spoken, rated_power_kw=rated_power_kw
        )
    bus, profiles = way.bus(), profiles_in(folder)
    if profile not in profiles:
        wrong = f"no profile {profile!r}" if profile else "--profile, or --address, is needed"
        fail(f"{wrong}; there are {', '.join(profiles)}. `demandwatch meter probe` finds it.")
    layout = _layout(profiles[profile], bus)
    slave = Slave(unit, way.timeout_s, 1)
    return BenchMeter(
        f"unit {unit}", bus.where, ratio, bus, slave, layout, rated_power_kw=rated_power_kw
    )


def by_settings(config: Path | None, meter_id: str, clock: Clock) -> BenchMeter:
    """Return a meter of the settings; an unknown one ends the program."""
    if config is None:
        fail("a meter is named by its id in the settings: --config is needed")
    settings = loaded(config)
    pairs = {m.id: (s, m) for s in settings.sites for m in s.meters}
    if meter_id not in pairs:
        fail(f"no meter {meter_id!r} in {config}; there are {', '.join(sorted(pairs))}")
    site, meter = pairs[meter_id]
    ct, pt = Ratios.of(site, meter).at(micros(clock.now()))
    return _of_site(settings.settings.collector, settings.profiles, site, meter, Ratio(ct, pt))


def _of_site(
    collector: CollectorSettings,
    profiles: Mapping[str, Profile],
    site: Site,
    meter: Meter,
    ratio: Ratio,
) -> BenchMeter:
    source, rated = meter.source, meter.rated_power_kw
    if isinstance(source, ModbusSource):
        (bus,) = (one for one in collector.buses if one.id == source.bus)
        slave = Slave(source.unit, source.timeout_s or bus.timeout_s, bus.retries)
        layout = _layout(profiles[source.profile], bus)
        return BenchMeter(meter.id, bus.where, ratio, bus, slave, layout, rated_power_kw=rated)
    if isinstance(source, Dlt645Source):
        (line,) = (one for one in collector.lines if one.id == source.line)
        spoken = Spoken(
            source.address, ZoneInfo(site.timezone), source.items, source.wake_bytes,
            line.retries, strict=True,
        )  # fmt: skip
        return BenchMeter(
            meter.id, line.where, ratio, line=line, spoken=spoken, rated_power_kw=rated
        )
    return fail(f"meter {meter.id} comes via {source.via}: there is nothing to ask")


def _layout(profile: Profile, bus: BusSettings) -> Plan:
    try:
        return plan(profile, bus.max_registers, bus.max_gap)
    except ValueError as error:
        fail(error)


@dataclass(frozen=True, slots=True)
class Opened:
    """The meter's open link."""

    meter: BenchMeter
    modbus: ModbusBench | None = None
    dlt645: Dlt645Bench | None = None

    async def read(self) -> Reading:
        """Read the meter once."""
        meter = self.meter
        if self.modbus is not None and meter.layout is not None and meter.slave is not None:
            return await self.modbus.read(meter.layout, meter.slave)
        assert self.dlt645 is not None  # noqa: S101 - one or the other
        assert meter.spoken is not None  # noqa: S101 - it has a line
        return await self.dlt645.read(meter.spoken)


@asynccontextmanager
async def opened(meter: BenchMeter, clock: Clock) -> AsyncIterator[Opened]:
    """Open the meter's link; `any` address is found out.

    Raises:
        OSError: the link cannot be opened, or no single meter answers `any`.
    """
    if meter.bus is not None:
        async with open_modbus(meter.bus, clock.now) as modbus:
            yield Opened(meter, modbus)
        return
    assert meter.line is not None  # noqa: S101 - it has no bus
    async with open_dlt645(meter.line, clock.now) as dlt645:
        yield Opened(await _addressed(meter, dlt645), dlt645=dlt645)


async def _addressed(meter: BenchMeter, bench: Dlt645Bench) -> BenchMeter:
    if meter.spoken is None or meter.spoken.address != "any":
        return meter
    address = await bench.address()
    if address is None:
        raise OSError(f"{meter.where}: no single meter tells its address; give --address")
    return replace(meter, name=f"meter {address}", spoken=replace(meter.spoken, address=address))
