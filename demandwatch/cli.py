"""The command line; `demandwatch COMMAND --help` reads like a manual.

A command's module is imported when the command is called: `demandwatch query` need not wait for web
pages, drivers and simulators to load.
"""

import importlib
from typing import Annotated

import typer
from typer._click import Command, Context  # what the groups below are typed with
from typer.core import TyperGroup

from demandwatch import __version__

COMMANDS = {
    "demo": "demandwatch.demo:demo",
    "run": "demandwatch.commands_run:run",
    "collect": "demandwatch.commands_collect:collect",
    "check": "demandwatch.commands_run:check",
    "query": "demandwatch.commands_query:query_",
    "edit": "demandwatch.commands_edit:edit",
    "declare": "demandwatch.commands_declare:declare",
    "import": "demandwatch.commands_import:import_",
    "recompute": "demandwatch.commands_recompute:recompute_",
    "replay": "demandwatch.commands_data:replay",
    "meter": "demandwatch.commands_meter:meter",
    "simulate": "demandwatch.commands_simulate:simulate",
    "evidence": "demandwatch.commands_evidence:evidence",
    "policy": "demandwatch.commands_policy:policy",
    "bill": "demandwatch.commands_bill:bill_",
    "bill-compare": "demandwatch.commands_billcompare:bill_compare",
    "ice-storage": "demandwatch.commands_bill:ice_storage_",
    "baseline": "demandwatch.commands_baseline:baseline",
    "savings": "demandwatch.commands_savings:savings_",
    "grafana": "demandwatch.commands_grafana:grafana",
}
"""Command -> where it is: a function, or a group of commands."""


class Commands(TyperGroup):
    """The commands of COMMANDS, each loaded at its first use."""

    def list_commands(self, ctx: Context) -> list[str]:  # noqa: ARG002 - the base's signature
        """Return the names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """Return the command, or None if there is none of the name."""
        if cmd_name not in self.commands and cmd_name in COMMANDS:
            module, _, name = COMMANDS[cmd_name].partition(":")
            found = getattr(importlib.import_module(module), name)
            self.add_command(_command(found, cmd_name), cmd_name)
        elif cmd_name not in COMMANDS:  # a slip: the suggestion is chosen among all that are loaded
            for name in COMMANDS:
                self.get_command(ctx, name)
        return super().get_command(ctx, cmd_name)


def _command(found: object, name: str) -> Command:
    if isinstance(found, typer.Typer):
        group = typer.main.get_command(found)
        group.name = name
        return group
    one = typer.Typer(add_completion=False, rich_markup_mode="rich")
    one.command(name)(found)  # type: ignore[type-var]  # COMMANDS names functions and groups only
    return typer.main.get_command(one)


app = typer.Typer(
    name="demandwatch",
    cls=Commands,
    help="Electricity demand-side monitoring: meters in; load curves, verdicts, evidence out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"demandwatch {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Real-time electricity demand-side monitoring."""
