"""`demandwatch policy`: the packs, and verdicts over any period."""

from datetime import datetime
from typing import Annotated

import polars as pl
import typer

from collector.clock import Clock
from demandwatch import query
from demandwatch.app import App
from demandwatch.datafolder import DataFolderInUseError
from demandwatch.options import Config, fail, loaded
from demandwatch.settings import Configuration
from demandwatch.table import show
from processors.history.store import History
from processors.intensity import Period
from processors.judge import judge

policy = typer.Typer(help="Guides, quotas and verdicts.", no_args_is_help=True)

_SHOWN = (
    "site_id",
    "row_id",
    "outcome",
    "standing",
    "reason",
    "actual",
    "threshold",
    "unit",
    "coverage",
    "estimated_share",
    "edition",
    "provenance",
)


@policy.command("list")
def list_(config: Config) -> None:
    """List the editions of all packs: validity, provenance, number of rows."""
    packs = loaded(config).packs
    rows = [
        {
            "id": pack.id,
            "edition": pack.edition,
            "title": pack.title.zh,
            "rows": len(pack.rows),
            "published": sum(one.provenance.value == "published" for one in pack.rows),
        }
        for pack in packs.tables
    ]
    show(pl.DataFrame(rows))


@policy.command("judge")
def judge_(
    config: Config,
    start: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"])],
    end: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Excluded.")],
    save: Annotated[bool, typer.Option(help="Keep the verdicts in history.")] = False,
    format_: Annotated[query.Format, typer.Option("--format")] = query.Format.TABLE,
) -> None:
    """Judge every site over a statistics period of whole local days.

    Each verdict names the exact policy row and edition, its coverage and estimated share, and is
    within, advanced, overrun, or undecided with the reason.
    """
    settings = loaded(config)
    clock = Clock.real()
    try:
        period = Period(start.date(), end.date())
        history = History.open_readonly(settings.data / "history", settings.book, clock.now)
        days = history.days(period.start, period.end)
        rules = settings.settings.processors.verdicts
        verdicts = judge(days, settings.sites, settings.packs, period, rules, clock.now())
        if save:
            _keep(settings, clock, verdicts)
    except (OSError, ValueError) as error:
        fail(error)
    short = verdicts.select(_SHOWN) if format_ is query.Format.TABLE else verdicts
    query.write(short, format_, None)


def _keep(settings: Configuration, clock: Clock, verdicts: pl.DataFrame) -> None:
    try:
        app = App(settings, clock, console=False)
    except DataFolderInUseError as error:
        fail(f"{error}; verdicts of a running system are kept by itself")
    try:
        app.history.add_verdicts(verdicts)
    finally:
        app.stop()
