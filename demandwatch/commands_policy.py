"""`demandwatch policy`: the packs, and verdicts over any period."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import polars as pl
import typer

from collector.clock import Clock
from collector.site import Site
from demandwatch import query
from demandwatch.declaring import Declaring
from demandwatch.options import Config, fail, loaded
from demandwatch.reverdicts import keep
from demandwatch.settings import Configuration
from demandwatch.table import show
from processors.bases import year_before
from processors.claims import Period, Span
from processors.history.store import History
from processors.judge import judge
from processors.whatif import Change, remarks, whatif

policy = typer.Typer(help="Guides, quotas and verdicts.", no_args_is_help=True)

_From = Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"])]
_To = Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Excluded.")]
_Span = Annotated[
    Span | None, typer.Option("--period", help="Not --from and --to: the last whole one.")
]
_SHOWN = (
    "site_id",
    "row_id",
    "outcome",
    "grade_zh",
    "standing",
    "reason",
    "actual",
    "threshold",
    "unit",
    "coverage",
    "estimated_share",
    "annualised",
    "allocation",
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
            "provenance": ", ".join(sorted({one.provenance.value for one in pack.rows})),
        }
        for pack in packs.tables
    ]
    show(pl.DataFrame(rows))


@policy.command("judge")
def judge_(
    config: Config,
    start: _From = None,
    end: _To = None,
    span: _Span = None,
    day: Annotated[
        datetime | None,
        typer.Option("--on", formats=["%Y-%m-%d"], help="--period before this day, not today."),
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            "--as-of",
            formats=["%Y-%m-%dT%H:%M:%S%z"],
            help="By what was known then, e.g. 2026-11-22T08:00:00+0800.",
        ),
    ] = None,
    save: Annotated[bool, typer.Option(help="Keep the verdicts in history.")] = False,
    format_: Annotated[query.Format, typer.Option("--format")] = query.Format.TABLE,
) -> None:
    """Judge every site over a statistics period of whole local days.

    Each verdict names the exact policy row and edition, its coverage and estimated share, and is
    within, advanced, overrun, or undecided with the reason. A part of a year is scaled to a year
    by the site's own months of the last full year: an estimate, and so a clue at most.
    """
    settings = loaded(config)
    clock = Clock.real()
    if save and as_of:
        fail("--save keeps what is known now: leave out --as-of")
    try:
        period = _period(start, end, span, (day or _today(settings, clock)).date())
        verdicts = _judged(settings, clock, period, as_of)
        if save and not keep(settings, clock, verdicts):
            typer.echo("verdicts handed to the running system", err=True)
    except (OSError, ValueError) as error:
        fail(error)
    short = _short(verdicts) if format_ is query.Format.TABLE else verdicts
    query.write(short, format_, None)


def _short(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Return what fits a terminal; of two columns only those that say something."""
    empty = [one for one in ("annualised", "allocation") if verdicts[one].is_null().all()]
    return verdicts.select(one for one in _SHOWN if one not in empty)


def _period(start: datetime | None, end: datetime | None, span: Span | None, today: date) -> Period:
    if span is not None and start is None and end is None:
        return Period.of(span, today)
    if span is not None or start is None or end is None or end <= start:
        raise ValueError("say which period: --from and a later --to, or --period")
    return Period(start.date(), end.date())


def _today(settings: Configuration, clock: Clock) -> datetime:
    return clock.now().astimezone(ZoneInfo(settings.sites[0].timezone))


def _judged(
    settings: Configuration, clock: Clock, period: Period, as_of: datetime | None
) -> pl.DataFrame:
    history = History.open_readonly(settings.data / "history", settings.book, clock.now)
    days = history.days(year_before(period), period.end, as_of=as_of)
    sites = Declaring(settings, clock).sites(as_of)
    rules = settings.settings.processors.verdicts
    return judge(days, sites, settings.packs, period, rules, clock.now())


@policy.command("whatif")
def whatif_(
    config: Config,
    start: _From = None,
    end: _To = None,
    span: _Span = None,
    edition: Annotated[
        str,
        typer.Option(help="ID@EDITION (policy list): stands in for all editions of that id."),
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
        period = _period(start, end, span, _today(settings, clock).date())
        meant = chosen_sites(Declaring(settings, clock).sites(), sites or [])
        history = History.open_readonly(settings.data / "history", settings.book, clock.now)
        meters = [meter.id for site in meant for meter in site.meters]
        days = history.days(year_before(period), period.end, meters)
        rules = settings.settings.processors.verdicts
        rows = whatif(days, meant, settings.packs, period, rules, clock.now(), change)
    except (OSError, ValueError) as error:
        fail(error)
    shown = rows if all_ else rows.filter("changed")
    if format_ is query.Format.TABLE:
        count = f"{rows['changed'].sum()} of {rows.height} verdicts change"
        typer.echo("\n".join([f"{change.basis}; {count}", *remarks(rows, change)]))
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
