"""`demandwatch demo`: a simulated city on real sockets, through the whole system."""

import json
import shutil
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from pathlib import Path
from threading import Event
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from collector.clock import Clock
from collector.settings import CollectorSettings, MqttSettings
from collector.simulator.broker import Broker, open_broker
from collector.simulator.faults import load_fleet
from collector.simulator.fleet import Fleet
from collector.simulator.gateways import gateways_of
from collector.simulator.modbus_meters import ModbusMeters
from collector.simulator.mqtt_meters import MqttMeters
from collector.simulator.publisher import Publisher
from demandwatch import logs
from demandwatch.app import App
from demandwatch.options import fail, loaded
from demandwatch.settings import Configuration
from demandwatch.signals import signals
from demandwatch.summary import Shortfall, conclude, watch
from processors import snapshot
from processors.step import State

SEED_DAYS = 35
"""History made before the fleet starts: a month's quota and four weeks of habit need it."""
START = time(9, 40)
"""Site time at which a fresh demonstration begins: the first shift is up, the peak is near."""
CLOCK_FILE = "demo-clock.json"
_INTERRUPTED = 130
"""Exit status of what a signal ended, as shells have it."""
TICK_S = 15.0
"""Site seconds between two readings of a simulated MQTT meter."""


def demo(
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The demonstration's settings.")
    ] = Path("config/demo/demandwatch.yaml"),
    seconds: Annotated[
        float | None, typer.Option("--for", help="End by itself after so many real seconds.")
    ] = None,
    headless: Annotated[bool, typer.Option(help="No live display; a summary at the end.")] = False,
    fresh: Annotated[bool, typer.Option(help="Start anew instead of going on from var/.")] = False,
    speed: Annotated[
        float, typer.Option(help="Site seconds a real second.", min=1, max=600)
    ] = 60.0,
    embedded_broker: Annotated[
        bool, typer.Option(help="Use the built-in broker even if Mosquitto is installed.")
    ] = False,
) -> None:
    """Run a simulated fleet of factories, shops, a hotel and a restaurant through the system.

    Real Modbus TCP and MQTT sockets on this machine, 60 times as fast as life. Ctrl-C ends it;
    the next start goes on where this one ended, unless --fresh.
    """
    logs.configure(json=False, level="warning")
    settings = loaded(config)
    if fresh and settings.data.exists():
        shutil.rmtree(settings.data)
    over = Event()
    try:
        with (
            signals(SIGINT=over.set, SIGTERM=over.set),
            Stage.build(settings, speed, over, embedded=embedded_broker) as stage,
        ):
            watch(stage.app, stage.clock, seconds, over, headless=headless)
            stage.keep_time()
            conclude(stage.app, strict=seconds is not None)
    except EndedEarlyError:
        raise typer.Exit(_INTERRUPTED) from None
    except (Shortfall, OSError, RuntimeError, ValueError) as error:
        fail(error)
    Console().print(
        "The demonstration has ended; everything it wrote is in", settings.data.resolve()
    )


class EndedEarlyError(Exception):
    """A person ended the demonstration before all of it was up."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The simulated world and the system that watches it."""

    app: App
    clock: Clock
    began: datetime
    _open: ExitStack

    @classmethod
    def build(
        cls, config: Configuration, speed: float, over: Event, *, embedded: bool = False
    ) -> "Stage":
        """Start broker, meters and system, unless `over` is set meanwhile.

        A signal is looked at between steps and never raised out of the midst of one: there it might
        be lost in a library's callback, or leave a broker behind.

        Raises:
            EndedEarlyError: `over` was set; everything started is closed again.
            OSError: a port or the data folder may not be had.
            RuntimeError: the broker or the console did not start.
        """
        stack = ExitStack()
        try:
            return cls._build(config, speed, stack, over, embedded=embedded)
        except BaseException:
            stack.close()
            raise

    @classmethod
    def _build(
        cls, config: Configuration, speed: float, stack: ExitStack, over: Event, *, embedded: bool
    ) -> "Stage":
        config.data.mkdir(parents=True, exist_ok=True)
        kept = _Times.kept(config.data)
        times = kept or _Times.fresh(config.sites[0].timezone)
        epoch = times.began
        clock = Clock.accelerated(times.site_time, speed)
        settings, faults = load_fleet(config.path.parent / "fleet.yaml")
        if faults:
            raise ValueError("\n".join(map(str, faults)))
        fleet = Fleet.of(config.sites, settings, epoch)
        broker = open_broker(config.data / "broker", embedded=embedded)
        stack.callback(broker.stop)
        _go_on(over)
        buses = config.settings.collector.buses
        gateways = ModbusMeters(gateways_of(fleet, buses, config.profiles), clock.now)
        ports = gateways.start()
        stack.callback(gateways.stop)
        _go_on(over)
        app = App(_pointed_at(config, broker, ports), clock)
        stack.callback(app.stop)
        _go_on(over)
        if kept is None:
            past = fleet.readings(epoch - timedelta(days=SEED_DAYS), epoch, timedelta(minutes=15))
            app.journal.append(past).result()
            times.keep(config.data)
        _go_on(over)
        app.start()
        _go_on(over)
        publisher = Publisher(broker.host, broker.port, broker.protocol)
        publishers = MqttMeters(fleet, publisher, clock, TICK_S)
        publishers.start()
        stack.callback(publishers.stop)
        return cls(app, clock, times.began, stack)

    def keep_time(self) -> None:
        """Note the site time, so that the next start goes on from it."""
        _Times(self.began, self.clock.now()).keep(self.app.config.data)

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


def _go_on(over: Event) -> None:
    if over.is_set():
        raise EndedEarlyError


def _pointed_at(config: Configuration, broker: Broker, ports: dict[str, int]) -> Configuration:
    """Return the configuration with the simulated broker and gateways in place of its own."""
    old = config.settings.collector
    mqtt = (old.mqtt or MqttSettings()).model_copy(
        update={"host": broker.host, "port": broker.port, "protocol": broker.protocol}
    )
    buses = tuple(
        bus.model_copy(update={"host": "127.0.0.1", "port": ports.get(bus.id, bus.port)})
        for bus in old.buses
    )
    collector = CollectorSettings(mqtt=mqtt, buses=buses, journal=old.journal)
    settings = config.settings.model_copy(update={"collector": collector})
    return replace(config, settings=settings)


@dataclass(frozen=True, slots=True)
class _Times:
    """When the demonstration began and how far it has come, in site time."""

    began: datetime
    """The troubles count from it: a register that was reset stays so in the next run."""
    site_time: datetime

    @classmethod
    def fresh(cls, zone: str) -> "_Times":
        """Return START of the last day, today included, that is no weekend."""
        today = Clock.real().now().astimezone(ZoneInfo(zone)).date()
        day = next(d for d in (today - timedelta(days=n) for n in range(3)) if d.weekday() < 5)
        start = datetime.combine(day, START, ZoneInfo(zone))
        return cls(start, start)

    @classmethod
    def kept(cls, data: Path) -> "_Times | None":
        """Return what the last run noted, None if there was none.

        A run that was killed noted nothing at its end: time is at least where its readings are.
        """
        file = data / CLOCK_FILE
        if not file.exists():
            return None
        note = json.loads(file.read_text(encoding="utf-8"))
        began, told = (datetime.fromisoformat(note[name]) for name in ("began", "site_time"))
        state, _ = snapshot.load(data / "state.bin") or (State.empty(), 0)
        return cls(began, max([told, *state.marks["watermark"].drop_nulls().to_list()]))

    def keep(self, data: Path) -> None:
        """Note it for the next run."""
        note = {"began": self.began.isoformat(), "site_time": self.site_time.isoformat()}
        (data / CLOCK_FILE).write_text(json.dumps(note), encoding="utf-8")
