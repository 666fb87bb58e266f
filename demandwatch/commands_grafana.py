"""`demandwatch grafana`: boards as code, built to JSON or pushed to a server."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.console import Console

from dashboards.grafana.build import FOLDER, build
from dashboards.grafana.push import push
from demandwatch.options import fail

grafana = typer.Typer(help="Grafana boards: build the JSON, or push it.", no_args_is_help=True)


@grafana.command("build")
def build_(
    folder: Annotated[Path, typer.Argument(help="Folder to write to.")] = FOLDER,
) -> None:
    """Write the boards as JSON, for provisioning by file."""
    for file in build(folder):
        Console(soft_wrap=True).print(f"written: {file}", markup=False)


@grafana.command("push")
def push_(
    url: Annotated[str, typer.Argument(help="Address of the Grafana server.")],
    token: Annotated[
        str, typer.Option(envvar="GRAFANA_TOKEN", help="Token of a service account (Editor).")
    ],
) -> None:
    """Create or replace the boards on a running Grafana."""
    try:
        pushed = push(url, SecretStr(token))
    except (OSError, ValueError, RuntimeError) as error:
        fail(error)
    for one in pushed:
        Console(soft_wrap=True).print(f"pushed: {one}", markup=False)
