"""`demandwatch run` and `demandwatch check`."""

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console

from collector.clock import Clock
from demandwatch import logs
from demandwatch.options import Config, edge_alone, fail, loaded


def run(
    config: Config,
    log_json: Annotated[bool, typer.Option("--log-json", help="Logs as JSON lines.")] = False,
    no_console: Annotated[bool, typer.Option("--no-console", help="No pages, no API.")] = False,
    clock: Annotated[
        str,
        typer.Option(
            help="Run on another clock, as `demandwatch replay --via modbus` prints it: "
            "SITE_TIME@WALL_TIME*SPEED."
        ),
    ] = "",
) -> None:
    """Read the meters, work up the readings, judge, tell, show; until Ctrl-C or SIGTERM.

    SIGHUP reads the settings anew; faulty ones are reported and change nothing.
    """
    from demandwatch.running import run as run_system  # noqa: PLC0415 - `check` needs no stages

    logs.configure(json=log_json)
    settings = loaded(config)
    try:
        chosen = Clock.parse(clock) if clock else Clock.real()
        run_system(settings, chosen, console=not no_console)
    except (OSError, ValueError) as error:
        fail(error)


def check(config: Config) -> None:
    """Check all settings; print every fault with file, line, key and what is allowed.

    Warns of buses that cannot hold their poll periods, and of transformer ratios that a meter's
    register map does not use or goes without. Exit status 1 if there is a fault.
    """
    if (edge := edge_alone(config)) is not None:
        Console().print(
            f"{config}: no fault: a collector at the edge, {len(edge.sites)} sites, "
            f"{edge.meters} meters, {len(edge.profiles)} meter profiles"
        )
        _warn(edge.warnings)
        return
    from demandwatch.meter_budget import budgets_of  # noqa: PLC0415 - `run` plans nothing

    found = loaded(config)
    meters = found.book.meters.height
    Console().print(
        f"{config}: no fault: {len(found.sites)} sites, {meters} meters, "
        f"{len(found.profiles)} meter profiles, {len(found.rules)} rules"
    )
    budgets = budgets_of(found.settings.collector, found.sites, found.profiles)
    _warn([*found.warnings, *(one.warning for one in budgets if one.warning)])


def _warn(warnings: Iterable[object]) -> None:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for one in warnings:
        console.print(f"warning: {one}", markup=False)
