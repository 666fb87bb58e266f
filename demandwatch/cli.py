"""The command line; `demandwatch COMMAND --help` reads like a manual."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from collector.clock import Clock
from demandwatch import __version__, logs, query
from demandwatch.commands_data import import_, replay
from demandwatch.commands_evidence import evidence
from demandwatch.commands_grafana import grafana
from demandwatch.commands_policy import policy
from demandwatch.demo import demo
from demandwatch.options import Config, fail, loaded
from demandwatch.running import run as run_system

app = typer.Typer(
    name="demandwatch",
    help="Electricity demand-side monitoring: meters in; load curves, verdicts, evidence out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(evidence, name="evidence")
app.add_typer(policy, name="policy")
app.add_typer(grafana, name="grafana")
app.command("demo")(demo)
app.command("import")(import_)
app.command("replay")(replay)


@app.command()
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
    logs.configure(json=log_json)
    settings = loaded(config)
    try:
        chosen = Clock.parse(clock) if clock else Clock.real()
        run_system(settings, chosen, console=not no_console)
    except (OSError, ValueError) as error:
        fail(error)


@app.command()
def check(config: Config) -> None:
    """Check all settings; print every fault with file, line, key and what is allowed.

    Exit status 1 if there is a fault.
    """
    found = loaded(config)
    meters = found.book.meters.height
    Console().print(
        f"{config}: no fault: {len(found.sites)} sites, {meters} meters, "
        f"{len(found.profiles)} meter profiles, {len(found.rules)} rules"
    )


@app.command("query")
def query_(
    table: Annotated[query.Table, typer.Argument(help="What to ask for.")],
    config: Config,
    meter: Annotated[list[str] | None, typer.Option(help="Only this meter; repeatable.")] = None,
    site: Annotated[list[str] | None, typer.Option(help="Only this site; repeatable.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="Day or instant; included.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Day or instant; excluded.")] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Answer with what was known at this instant.")
    ] = None,
    format_: Annotated[query.Format, typer.Option("--format")] = query.Format.TABLE,
    out: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """Ask history and ledger, beside a running system or without it.

    Times without an offset are local to the first site. Machine formats carry UTC.
    """
    settings = loaded(config)
    asked = query.Question(tuple(meter or ()), tuple(site or ()), start, end, as_of)
    try:
        query.write(query.ask(table, asked, settings), format_, out)
    except (OSError, ValueError) as error:
        fail(error)


def _version(wanted: bool) -> None:
    if wanted:
        Console().print(f"demandwatch {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Real-time electricity demand-side monitoring."""
