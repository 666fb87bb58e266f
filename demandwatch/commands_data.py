"""`demandwatch replay`: recorded data through the true pipeline."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console
from rich.progress import Progress

from collector.clock import Clock
from collector.mappings import FileMapping, load_mapping
from collector.settings import MqttSettings
from collector.simulator import replay as player
from collector.simulator.modbus_meters import Device, Gateway, ModbusMeters
from collector.simulator.publisher import Publisher
from collector.site import ModbusSource
from collector.sources.files import FileError, plain, read_file
from demandwatch.options import Config, fail, loaded
from demandwatch.settings import Configuration
from demandwatch.signals import until_stopped

Mapping = Annotated[Path, typer.Option(help="Mapping profile (YAML): what the columns mean.")]
Meter = Annotated[
    str | None, typer.Option(help="Meter the file belongs to, where the mapping is for one meter.")
]


def replay(
    file: Annotated[Path, typer.Argument(help="The recording: CSV, Excel or Parquet.")],
    config: Config,
    mapping: Mapping,
    meter: Meter = None,
    via: Annotated[
        str, typer.Option(help="mqtt: as fast as can be; modbus: by the clock.")
    ] = "mqtt",
    start: Annotated[datetime | None, typer.Option("--from", help="First day (UTC).")] = None,
    end: Annotated[datetime | None, typer.Option("--to", help="Day after the last (UTC).")] = None,
    speed: Annotated[float, typer.Option(help="modbus: recorded seconds a real second.")] = 3600.0,
) -> None:
    """Play a recording through the true pipeline of a running `demandwatch run`.

    mqtt: published to the broker of the settings at the fastest speed, every message acknowledged.
    modbus: served on the meter's bus at --speed; prints the --clock that `demandwatch run` needs.
    """
    if via not in {"mqtt", "modbus"}:
        fail(f"--via {via}: allowed are mqtt and modbus")
    settings = loaded(config)
    profile = _mapping(mapping)
    try:
        zones = {m.id: site.timezone for site in settings.sites for m in site.meters}
        contents = read_file(file, profile, Clock.real().now(), zones, meter)
        frame = _part(plain(contents.frame), start, end)
        if via == "mqtt":
            _publish(frame, settings.settings.collector.mqtt or MqttSettings())
        else:
            _serve(frame, settings, speed)
    except (FileError, OSError, ValueError) as error:
        fail(error)


def _part(frame: pl.DataFrame, start: datetime | None, end: datetime | None) -> pl.DataFrame:
    at = pl.col("measured_at")
    low = start.replace(tzinfo=UTC) if start else None
    high = end.replace(tzinfo=UTC) if end else None
    part = frame.filter(at >= low) if low else frame
    part = part.filter(at <= high) if high else part
    if part.is_empty():
        raise ValueError("the recording has no readings of a listed meter in that span")
    return part


def _publish(frame: pl.DataFrame, mqtt: MqttSettings) -> None:
    publisher = Publisher(mqtt.host, mqtt.port, mqtt.protocol, "demandwatch-replay")
    publisher.connect()
    try:
        with Progress() as progress:
            task = progress.add_task("published", total=frame.height)
            done = player.publish(frame, publisher, progress=lambda n: progress.advance(task, n))
    finally:
        publisher.close()
    rate = done.readings / max(done.seconds, 1e-9)
    told = f"{done.readings:,} readings in {done.messages:,} messages acknowledged, {rate:,.0f}/s"
    Console(highlight=False).print(told)


def _serve(frame: pl.DataFrame, config: Configuration, speed: float) -> None:
    """Serve the recording on its meter's bus until it is over or Ctrl-C."""
    meter_id = frame["meter_id"][0]
    source = next(m.source for s in config.sites for m in s.meters if m.id == meter_id)
    if not isinstance(source, ModbusSource):
        raise ValueError(f"meter {meter_id} is not read by Modbus: its source is {source.via}")  # noqa: TRY004 - a fault of the settings
    bus = next(b for b in config.settings.collector.buses if b.id == source.bus)
    first, last = frame["measured_at"][0], frame["measured_at"][-1]
    clock = Clock.accelerated(first - timedelta(seconds=5 * speed), speed)
    device = Device(source.unit, config.profiles[source.profile], player.Recording(frame).show)
    gateway = ModbusMeters([Gateway(bus.id, (device,), bus.port)], clock.now, bus.host)
    port = gateway.start()[bus.id]
    try:
        console = Console(soft_wrap=True, highlight=False)
        console.print(f"serving {meter_id} on {bus.host}:{port}, unit {source.unit}; in 5 s from")
        console.print(f"{first}. Read it with: demandwatch run --clock '{clock.told()}'")
        until_stopped(clock.wall_seconds((last - clock.now()).total_seconds()))
    finally:
        gateway.stop()


def _mapping(path: Path) -> FileMapping:
    profile, faults = load_mapping(path)
    if profile is None:
        fail("\n".join(map(str, faults)))
    return profile
