"""`demandwatch edit`: energy that a person states, with who and why; nothing is overwritten."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import polars as pl
import typer
from rich.console import Console

from collector.clock import Clock
from demandwatch.commands_import import work_up
from demandwatch.options import Config, fail, loaded
from demandwatch.query import Format, write
from demandwatch.settings import Configuration
from processors.edits import standing
from processors.history.editbook import EditBook, EditError

edit = typer.Typer(
    help="State the energy of blocks by hand, withdraw that, and list it. An edit is a revision: "
    "what was computed stays in history and below it (`query intervals --raw`), later readings do "
    "not undo it, and evidence shows it.",
    no_args_is_help=True,
)
By = Annotated[str, typer.Option(help="Name of who does it.")]
Why = Annotated[str, typer.Option(help="The reason; both are kept for ever.")]


@edit.command("set")
def set_(
    config: Config,
    meter: Annotated[str, typer.Option(help="The meter.")],
    start: Annotated[
        str, typer.Option("--from", help="First block's start, local or with offset.")
    ],
    end: Annotated[str, typer.Option("--to", help="Last block's end.")],
    energy_kwh: Annotated[float, typer.Option(help="Energy of the whole span, spread evenly.")],
    by: By,
    why: Why,
) -> None:
    """State the energy of some blocks of a meter."""
    settings = loaded(config)
    zone = _zone(settings, meter)
    clock, book = Clock.real(), _book(settings)
    try:
        low, high = _instant(start, zone), _instant(end, zone)
        if high > clock.now():
            raise EditError("the span has not ended yet")
        made = book.set(meter, low, high, energy_kwh, by, why)
    except (ValueError, OSError) as error:
        fail(error)
    finally:
        book.close()
    _told(f"edit {made} of {meter}: {work_up(settings, clock)}")


@edit.command("withdraw")
def withdraw(
    edit_id: Annotated[int, typer.Argument(help="Id of the edit; see `demandwatch edit list`.")],
    config: Config,
    by: By,
    why: Why,
) -> None:
    """Withdraw an edit: what is computed from readings counts again."""
    settings = loaded(config)
    book = _book(settings)
    try:
        book.withdraw(edit_id, by, why)
    except (ValueError, OSError) as error:
        fail(error)
    finally:
        book.close()
    _told(f"edit {edit_id} is withdrawn: {work_up(settings, Clock.real())}")


@edit.command("list")
def list_(
    config: Config,
    meter: Annotated[list[str] | None, typer.Option(help="Only this meter; repeatable.")] = None,
    format_: Annotated[Format, typer.Option("--format")] = Format.TABLE,
    out: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """List every edit and withdrawal, oldest first, and whether it stands."""
    book = _book(loaded(config))
    try:
        acts = book.acts()
    finally:
        book.close()
    shown = acts.filter(pl.col("meter_id").is_in(meter)) if meter else acts
    stands = pl.col("edit_id").is_in(standing(acts)["edit_id"].implode())
    write(shown.with_columns(stands.alias("stands")), format_, out)


def _book(settings: Configuration) -> EditBook:
    return EditBook(settings.data / "edits.db", Clock.real().now)


def _zone(settings: Configuration, meter: str) -> ZoneInfo:
    mine = settings.book.meters.filter(pl.col("meter_id") == meter)
    if mine.is_empty():
        fail(f"no meter {meter} in {settings.path}")
    return ZoneInfo(mine["timezone"][0])


def _instant(text: str, zone: ZoneInfo) -> datetime:
    try:
        told = datetime.fromisoformat(text)
    except ValueError as error:
        raise EditError(
            f"{text!r} is not a time: write 2026-11-22T08:15 or 2026-11-22T08:15:00+08:00"
        ) from error
    return (told if told.tzinfo else told.replace(tzinfo=zone)).astimezone(UTC)


def _told(text: str) -> None:
    Console(soft_wrap=True, highlight=False).print(text, markup=False)
