"""What several commands share: the --config option, loading, and one-sentence errors."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from collector.profiles import Profile, load_profiles
from demandwatch.edgeconfig import EdgeConfiguration, for_edge_alone, load_edge
from demandwatch.faults import ConfigurationError

if TYPE_CHECKING:
    from demandwatch.settings import Configuration

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


Profiles = Annotated[
    Path, typer.Option("--profiles", help="Folder of meter profiles.", show_default=True)
]

AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"],
        help="State it with what was known at this instant (local to the site without offset).",
    ),
]


def instant_of(as_of: datetime | None, timezone: str) -> datetime | None:
    """Return the instant of `--as-of` in UTC; without an offset it is local."""
    if as_of is None:
        return None
    local = as_of if as_of.tzinfo else as_of.replace(tzinfo=ZoneInfo(timezone))
    return local.astimezone(UTC)


_WIDE = 132


def wide() -> Console:
    """Return a console whose tables lose nothing: a narrow terminal wraps their lines."""
    width = max(Console().width, _WIDE)
    return Console(width=width, soft_wrap=True, highlight=False)


def fail(error: Exception | str) -> NoReturn:
    """Print one sentence to standard error and end with status 1."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(
        f"demandwatch: {error}", markup=False
    )
    raise typer.Exit(1)


def loaded(path: Path) -> "Configuration":
    """Load the settings, or print all their faults and end with status 1."""
    from demandwatch.settings import load  # noqa: PLC0415 - `collect` does without the other stages

    try:
        return load(path)
    except ConfigurationError as error:
        fail_with(error)


def edge_alone(path: Path) -> EdgeConfiguration | None:
    """Load a file that is for `collect` alone, or end with status 1; None: it is for `run`."""
    try:
        return load_edge(path) if for_edge_alone(path) else None
    except ConfigurationError as error:
        fail_with(error)


def fail_with(error: ConfigurationError) -> NoReturn:
    """Print all faults of the settings and end with status 1."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for one in error.faults:
        console.print(str(one), markup=False)
    fail(f"{len(error.faults)} fault(s) in the settings; nothing was started")


def profiles_in(folder: Path) -> dict[str, Profile]:
    """Load the meter profiles of a folder, or print their faults and end with status 1."""
    found = load_profiles(folder)
    if found.faults:
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        for one in found.faults:
            console.print(str(one), markup=False)
        fail(f"{len(found.faults)} fault(s) in the meter profiles")
    return dict(found.by_id)
