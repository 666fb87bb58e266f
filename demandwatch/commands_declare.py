"""`demandwatch declare`: what a site made, its floor area, its guests; dated, and by whom."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from pydantic import ValidationError
from rich.console import Console

from collector.clock import Clock
from demandwatch.declaring import Declaring, why
from demandwatch.options import Config, fail, loaded
from demandwatch.query import Format, write
from processors.activity import Declaration, DeclarationError, standing

declare = typer.Typer(
    help="Declare what energy is divided by: output of a product, output value, value added, "
    "guests, floor area, and what corrections ask for (operating_hours_h, altitude_m, ...). A "
    "declaration is never edited: one of the same period is its revision, "
    "and verdicts name who declared. It counts before what the settings say.",
    no_args_is_help=True,
)
_SHOWN = (
    *("declaration_id", "site_id", "activity", "start", "until", "value", "unit"),
    *("declared_by", "replaces", "stands"),
)
"""Columns that fit a terminal; files carry all."""


Activity = Annotated[
    str,
    typer.Option(
        help="A product of a quota pack, output_value, value_added, guests, floor_area_m2, or an "
        "input of a correction, e.g. operating_hours_h."
    ),
]
Until = Annotated[
    str | None,
    typer.Option("--to", help="First day after the period; none for floor area and inputs."),
]
Share = Annotated[
    float | None, typer.Option(help="Share (0..1) of the energy products have in common.")
]
Other = Annotated[
    float | None, typer.Option("--other-energy-kgce", help="Energy of all other carriers.")
]


@declare.command("set")
def set_(
    config: Config,
    site: Annotated[str, typer.Option(help="The site.")],
    activity: Activity,
    start: Annotated[str, typer.Option("--from", help="First day, e.g. 2026-10-01.")],
    value: Annotated[float, typer.Option(help="The figure.")],
    unit: Annotated[str, typer.Option(help="As the pack counts it: t, m2, 万元, guest.")],
    by: Annotated[str, typer.Option(help="Who declares it; kept for ever.")],
    until: Until = None,
    share: Share = None,
    other: Other = None,
    meter: Annotated[list[str] | None, typer.Option(help="Its own meter; repeatable.")] = None,
    note: Annotated[str, typer.Option(help="Anything worth keeping.")] = "",
) -> None:
    """Declare one figure, or revise what was declared for the same period."""
    told = {
        "activity": activity,
        "from": start,
        "until": until,
        "value": value,
        "unit": unit,
        "declared_by": by,
        "share": share,
        "other_energy_kgce": other,
        "note": note,
        "meters": meter or [],
    }
    declaring = Declaring(loaded(config), Clock.real())
    try:
        made, new = declaring.declare(site, Declaration.model_validate(told))
    except ValidationError as error:
        fail(why(error))
    except (DeclarationError, OSError, sqlite3.Error) as error:
        fail(error)
    _say(f"declaration {made} of {site} {'is kept' if new else 'says the same already'}")


@declare.command("import")
def import_(
    config: Config,
    file: Annotated[Path, typer.Argument(help="CSV with one declaration a line.")],
    by: Annotated[str, typer.Option(help="Who declares, where the file has no declared_by.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Keep nothing; tell what would be refused.")
    ] = False,
    format_: Annotated[Format, typer.Option("--format", help="Of the refused lines.")] = (
        Format.TABLE
    ),
) -> None:
    """Declare every line of a CSV file; lines that cannot be taken are refused with the reason.

    Columns: site_id, activity, from, value, unit; and where needed until, declared_by, share,
    other_energy_kgce, meters (with blanks between), note. A file imported again changes nothing, a
    corrected one revises. The status is 1 if any line was refused.
    """
    declaring = Declaring(loaded(config), Clock.real())
    try:
        lines = declaring.import_file(file, by, dry_run=dry_run)
    except (DeclarationError, OSError, sqlite3.Error) as error:
        fail(error)
    count = {name: sum(one.outcome == name for one in lines) for name in _OUTCOMES}
    bad = [one for one in lines if one.outcome == "refused"]
    if bad or format_ is not Format.TABLE:
        kinds = {"line": pl.Int64(), "site_id": pl.String(), "activity": pl.String()}
        rows = [(one.line, one.site_id, one.activity, one.reason) for one in bad]
        write(pl.DataFrame(rows, kinds | {"reason": pl.String()}, orient="row"), format_, None)
    told = ", ".join(f"{number} {name}" for name, number in count.items())
    _say(f"{file.name}: {told}{' (dry run: nothing kept)' if dry_run else ''}", err=True)
    raise typer.Exit(1 if bad else 0)


_OUTCOMES = ("declared", "unchanged", "refused")


@declare.command("withdraw")
def withdraw(
    declaration_id: Annotated[int, typer.Argument(help="See `demandwatch declare list`.")],
    config: Config,
    by: Annotated[str, typer.Option(help="Who does it.")],
    why_: Annotated[str, typer.Option("--why", help="The reason; both are kept for ever.")],
) -> None:
    """Withdraw a declaration: nothing is declared for its period any more."""
    try:
        Declaring(loaded(config), Clock.real()).withdraw(declaration_id, by, why_)
    except (DeclarationError, OSError, sqlite3.Error) as error:
        fail(error)
    _say(f"declaration {declaration_id} is withdrawn")


@declare.command("list")
def list_(
    config: Config,
    site: Annotated[list[str] | None, typer.Option(help="Only this site; repeatable.")] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="What was known then, e.g. 2026-11-22T08:00Z.")
    ] = None,
    format_: Annotated[Format, typer.Option("--format")] = Format.TABLE,
    out: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """List every declaration and withdrawal, oldest first, and whether it stands."""
    declaring = Declaring(loaded(config), Clock.real())
    try:
        known = datetime.fromisoformat(as_of) if as_of else datetime.max.replace(tzinfo=UTC)
        known = known if known.tzinfo else known.astimezone()
        acts = declaring.acts().filter(pl.col("declared_at") <= known)
    except (ValueError, OSError, sqlite3.Error) as error:
        fail(error)
    stands = pl.col("declaration_id").is_in(standing(acts)["declaration_id"].implode())
    rows = acts.with_columns(stands.alias("stands"))
    rows = rows.filter(pl.col("site_id").is_in(site)) if site else rows
    write(rows.select(_SHOWN) if format_ is Format.TABLE and out is None else rows, format_, out)


def _say(text: str, *, err: bool = False) -> None:
    Console(soft_wrap=True, highlight=False, stderr=err).print(text, markup=False)
