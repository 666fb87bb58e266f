"""`demandwatch meter`: the integrator's bench."""

import typer

from demandwatch.meter_budget import budget
from demandwatch.meter_conform import conform
from demandwatch.meter_probe import probe
from demandwatch.meter_read import read

meter = typer.Typer(
    help="The integrator's bench: find a meter and its map, read it, prove it, plan its bus.",
    no_args_is_help=True,
)
meter.command("probe")(probe)
meter.command("read")(read)
meter.command("budget")(budget)
meter.command("conform")(conform)
