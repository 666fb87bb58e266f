"""`demandwatch meter`: the integrator's bench."""

import typer

from demandwatch.meter_probe import probe
from demandwatch.meter_read import read

meter = typer.Typer(
    help="The integrator's bench: find a meter and its map, read it.",
    no_args_is_help=True,
)
meter.command("probe")(probe)
meter.command("read")(read)
