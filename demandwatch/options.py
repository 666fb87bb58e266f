"""What several commands share: the --config option, loading, and one-sentence errors."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from demandwatch.settings import Configuration, ConfigurationError, load

Config = Annotated[
    Path,
    typer.Option(
        "--config",
        "-c",
        envvar="DEMANDWATCH_CONFIG",
        help="The settings file.",
        show_default=False,
    ),
]


def fail(error: Exception | str) -> NoReturn:
    """Print one sentence to standard error and end with status 1."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(
        f"demandwatch: {error}", markup=False
    )
    raise typer.Exit(1)


def loaded(path: Path) -> Configuration:
    """Load the settings, or print all their faults and end with status 1."""
    try:
        return load(path)
    except ConfigurationError as error:
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        for one in error.faults:
            console.print(str(one), markup=False)
        fail(f"{len(error.faults)} fault(s) in the settings; nothing was started")
