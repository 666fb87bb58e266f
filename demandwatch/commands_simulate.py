"""`demandwatch simulate`: meters that are not there, and everything that may go wrong with them."""

import threading
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from collector.clock import Clock
from collector.profiles import Profile
from collector.simulator.askedfaults import FAULTS
from collector.simulator.served import Served, Stand, shown_names
from collector.simulator.stand import StandSettings
from collector.yamlfile import faults_of, load_yaml
from demandwatch import logs
from demandwatch.options import Profiles, fail, profiles_in
from demandwatch.signals import signals

_FAULT = (
    "WHO:FAULT, and after it =VALUE, /EVERY, @FROM..TO, as in 2:timeout@30s..60s; repeatable. WHO"
    " is a unit, an address, a meter or all; EVERY hits each so many requests; FROM and TO count"
    " from the start, as 30s, 5m, 1h; without TO it stays."
)

File = Annotated[
    Path | None, typer.Option("--file", "-f", help="A stand of several links, as YAML.")
]
Kind = Annotated[str, typer.Option(help="tcp, rtu, rtu_over_tcp (Modbus), dlt645 or mqtt.")]
Port = Annotated[
    int, typer.Option(help="To listen on, 0 any free one; for mqtt the broker's (1883).")
]
Host = Annotated[str, typer.Option(help="To listen on (127.0.0.1); for mqtt the broker.")]
Device = Annotated[
    str, typer.Option(help="For rtu, and dlt645 on a serial line: the far end of the line.")
]
Baudrate = Annotated[int | None, typer.Option(help="Of the serial line: 9600, for dlt645 2400.")]
Address = Annotated[list[str] | None, typer.Option(help="DL/T 645: a meter's address; repeatable.")]
MeterIds = Annotated[
    list[str] | None, typer.Option("--meter", help="MQTT: a meter's id; repeatable.")
]
Every = Annotated[float, typer.Option("--every", help="MQTT: seconds between readings.")]
ClockText = Annotated[
    str,
    typer.Option(
        "--clock", help="Meters' time, as for `run`: SITE_TIME@WALL_TIME*SPEED; default: now."
    ),
]
Seconds = Annotated[
    float | None, typer.Option("--for", help="End by itself after so many real seconds.")
]


def faults_list() -> str:
    """Return the faults and where they happen, as paragraphs for the help."""
    lines = []
    for name, one in FAULTS.items():
        kinds = {"Modbus": one.modbus, "DL/T 645": one.dlt645, "MQTT": one.mqtt}
        where = ", ".join(kind for kind, own in kinds.items() if own is not None)
        lines.append(f"[bold]{name}[/bold]: {one.says} ({where})")
    return "\n".join(lines)


def simulate(  # noqa: D103 - its docstring lists FAULTS, see below
    file: File = None,
    kind: Kind = "tcp",
    port: Port = 0,
    host: Host = "",
    device: Device = "",
    baudrate: Baudrate = None,
    profile: Annotated[str, typer.Option(help="Modbus: the meters' map.")] = "demandwatch-sim",
    units: Annotated[str, typer.Option(help="Modbus: the meters' numbers, e.g. 1-3,7.")] = "1",
    address: Address = None,
    meter: MeterIds = None,
    every_s: Every = 15,
    shape: Annotated[str, typer.Option(help="Of the load over the day.")] = "three_shift",
    peak_kw: Annotated[float, typer.Option(help="Power at the top of the shape.")] = 80.0,
    fault: Annotated[list[str] | None, typer.Option(help=_FAULT)] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same registers.")] = 1,
    clock: ClockText = "",
    seconds: Seconds = None,
    profiles: Profiles = Path("config/meter-profiles"),
) -> None:
    logs.configure(json=False, level="warning")
    link: dict[str, object] = {
        "kind": kind, "port": port, "host": host, "device": device, "profile": profile,
        "units": units, "every_s": every_s, "shape": shape, "peak_kw": peak_kw,
    }  # fmt: skip
    given = {"baudrate": baudrate, "addresses": address, "meters": meter}
    link |= {name: value for name, value in given.items() if value}
    settings = _of_file(file) if file else _of_options(link, fault or [], seed)
    try:
        time = Clock.parse(clock) if clock else Clock.real()
    except ValueError as error:
        fail(error)
    serve(settings, profiles_in(profiles), time, seconds)


simulate.__doc__ = (
    "Serve simulated meters, with every fault on request, until Ctrl-C.\n\n"
    "Modbus TCP, RTU and RTU over TCP, DL/T 645 and MQTT. A meter shows a load over the day, with"
    " voltages, currents, powers and registers that agree with one another. FAULTS:\n\n"
    + faults_list()
)


def serve(
    settings: StandSettings, profiles: dict[str, Profile], clock: Clock, seconds: float | None
) -> None:
    """Serve a stand until Ctrl-C, SIGTERM or the end of `seconds`."""
    over = threading.Event()
    try:
        stand = Stand(settings, profiles, clock)
        with signals(SIGINT=over.set, SIGTERM=over.set):
            _tell(stand.start(), settings)
            try:
                over.wait(seconds)
            finally:
                stand.close()
    except (OSError, ValueError) as error:
        fail(error)
    Console().print("The simulated meters are gone.")


def _of_options(link: dict[str, object], faults: list[str], seed: int) -> StandSettings:
    try:
        return StandSettings.model_validate({"links": [link], "faults": faults, "seed": seed})
    except ValidationError as error:
        fail("; ".join(_sentence(one["loc"], one["msg"]) for one in error.errors()))


def _sentence(where: tuple[int | str, ...], what: str) -> str:
    names = [str(one) for one in where if isinstance(one, str) and one != "links"]
    return ": ".join([*names[:1], what.removeprefix("Value error, ")])


def _of_file(path: Path) -> StandSettings:
    loaded = load_yaml(path)
    faults = list(loaded.faults)
    try:
        if not faults:
            return StandSettings.model_validate(loaded.data)
    except ValidationError as error:
        faults = faults_of(error, path, loaded.lines, model=StandSettings)
    return fail("\n".join(map(str, faults)))


def _tell(links: list[Served], settings: StandSettings) -> None:
    console = Console(soft_wrap=True)
    table = Table(header_style="bold", box=None, pad_edge=False)
    for name in ("link", "kind", "where", "meters"):
        table.add_column(name)
    for row in shown_names(links):
        table.add_row(*row)
    console.print(table)
    for text in settings.faults:
        console.print(f"fault: {text}", markup=False)
    console.print("Ctrl-C ends it.")
