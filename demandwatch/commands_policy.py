"""`demandwatch policy`: the packs, and verdicts over any period."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import polars as pl
import typer

from collector.clock import Clock
from collector.site import Site
from demandwatch import query
from demandwatch.app import App
from demandwatch.datafolder import DataFolderInUseError
from demandwatch.options import Config, fail, loaded
from demandwatch.settings import Configuration
from demandwatch.table import show
from processors.history.store import History
from processors.intensity import Period
from processors.judge import judge
from processors.whatif import Change, whatif

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

_WHATIF_SHOWN = (
    "site_id",
    "row_id",
    "before",
    "after",
    "actual",
    "threshold_before",
    "threshold",
    "unit",
    "provenance",
    "reason",
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


@policy.command("whatif")
def whatif_(
    config: Config,
    start: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"])],
    end: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Excluded.")],
    edition: Annotated[
        str, typer.Option(help="ID@EDITION: stands in for all editions of that id.")
    ] = "",
    tighten: Annotated[
        str, typer.Option(help="E.g. 10%: limit and access levels move towards less energy.")
    ] = "",
    sites: Annotated[
        list[str] | None, typer.Option(help="Only these sites; repeatable, or with commas.")
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="List the sites whose verdict does not change, too.")
    ] = False,
    format_: Annotated[query.Format, typer.Option("--format")] = query.Format.TABLE,
) -> None:
    """Judge all sites under another edition or tightened limits, and list who changes verdict.

    A simulation (测算): nothing is kept, no rule sees it, and a tightened figure is no law.
    """
    settings = loaded(config)
    clock = Clock.real()
    try:
        change = _change(edition, tighten)
        period = Period(start.date(), end.date())
        meant = chosen_sites(settings.sites, sites or [])
        history = History.open_readonly(settings.data / "history", settings.book, clock.now)
        meters = [meter.id for site in meant for meter in site.meters]
        days = history.days(period.start, period.end, meters)
        rules = settings.settings.processors.verdicts
        rows = whatif(days, meant, settings.packs, period, rules, clock.now(), change)
    except (OSError, ValueError) as error:
        fail(error)
    shown = rows if all_ else rows.filter("changed")
    if format_ is query.Format.TABLE:
        typer.echo(f"{change.basis}; {rows['changed'].sum()} of {rows.height} verdicts change")
        shown = shown.select(_WHATIF_SHOWN)
    query.write(shown, format_, None)


def _change(edition: str, tighten: str) -> Change:
    if not edition and not tighten:
        raise ValueError("say what is assumed: --edition ID@EDITION, --tighten 10%, or both")
    pack_id, at, name = edition.partition("@")
    if edition and not (pack_id and at and name):
        raise ValueError(f"{edition!r} is not an edition: write ID@EDITION, see policy list")
    try:
        share = float(tighten.removesuffix("%") or 0) / 100
    except ValueError as error:
        raise ValueError(f"{tighten!r} is not a share: write 10%") from error
    if tighten and not tighten.endswith("%"):
        raise ValueError(f"{tighten!r} is not a share: write it with its sign, 10%")
    return Change((pack_id, name) if edition else None, share)


def chosen_sites(sites: Sequence[Site], wanted: Sequence[str]) -> list[Site]:
    """Return the sites named, all if none is; ValueError for an unknown one."""
    names = {name for one in wanted for name in one.split(",") if name}
    if unknown := sorted(names - {one.id for one in sites}):
        raise ValueError(f"no site {', '.join(unknown)} in the settings")
    return [one for one in sites if not names or one.id in names]


def _keep(settings: Configuration, clock: Clock, verdicts: pl.DataFrame) -> None:
    try:
        app = App(settings, clock, console=False)
    except DataFolderInUseError as error:
        fail(f"{error}; verdicts of a running system are kept by itself")
    try:
        app.history.add_verdicts(verdicts)
    finally:
        app.stop()
