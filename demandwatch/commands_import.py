"""`demandwatch import`: files of recorded readings in, and out again."""

from collections.abc import Callable
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from collector.clock import Clock
from collector.journal import JournalError
from collector.mappings import FileMapping, load_mapping
from collector.reason import Reason
from collector.sources.fileadvice import ADVICE
from collector.sources.files import FileError, Imported
from demandwatch import query
from demandwatch.app import App
from demandwatch.datafolder import DataFolderInUseError
from demandwatch.importing import EntangledError, Importer
from demandwatch.options import Config, fail, loaded
from demandwatch.settings import Configuration

Mapping = Annotated[
    Path | None, typer.Option(help="Mapping profile (YAML): what the columns mean.")
]
Meter = Annotated[
    str | None, typer.Option(help="Meter the file belongs to, where the mapping is for one meter.")
]


_SHOWN = ("id", "file", "finished_at", "readings", "refused", "undone_at")
"""Columns of --list that people read; machines get all."""


class Form(StrEnum):
    """How the list of refused lines, or of imports, is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def import_(
    config: Config,
    file: Annotated[
        Path | None, typer.Argument(help="CSV, Excel (.xlsx, .xls, .ods) or Parquet.")
    ] = None,
    mapping: Mapping = None,
    meter: Meter = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; show every line that is refused.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write the refused lines to this file.")
    ] = None,
    form: Annotated[
        Form, typer.Option("--format", help="Of the refused lines, or of --list.")
    ] = Form.TABLE,
    list_: Annotated[bool, typer.Option("--list", help="List the imports, newest first.")] = False,
    undo: Annotated[str, typer.Option(metavar="ID", help="Withdraw the import with this id.")] = "",
) -> None:
    """Load recorded readings or interval energy of known meters, through the same journal.

    First see what a file would bring:

        demandwatch import year.csv -c demandwatch.yaml --mapping steel.yaml --dry-run

    then import it without --dry-run. Its id is shown at the end. A file imported again changes
    nothing; a corrected one adds revisions. Lines that cannot be taken are refused one by one, with
    line, column, value and reason; no value is guessed, and what is missing stays missing.

    --undo ID withdraws an import: what it said no longer counts, what others said stands again,
    and nothing is deleted, so `query --as-of` shows what was known in between.

    A running system works the import up at once; without one it is worked up here.
    """
    settings, clock = loaded(config), Clock.real()
    try:
        with closing(Importer(settings, clock)) as importer:
            if list_:
                table = importer.imports.all()
                told = table.select(_SHOWN) if form is Form.TABLE else table
                query.write(told, query.Format(form.value), report)
                return
            if undo:
                _withdraw(importer, undo)
            elif file is None or mapping is None:
                fail("name a FILE and its --mapping, or use --list or --undo ID")
            else:
                _load(importer, file, _mapping(mapping), meter, form, report, dry=dry_run)
        if not dry_run:
            _say(work_up(settings, clock))
    except (FileError, EntangledError, JournalError, OSError) as error:
        fail(error)


def _load(
    importer: Importer,
    file: Path,
    mapping: FileMapping,
    meter: str | None,
    form: Form,
    report: Path | None,
    *,
    dry: bool,
) -> None:
    with bar("reading" if dry else "importing") as progress:
        entry, done = importer.load(file, mapping, meter, progress, dry=dry)
    if done is None and entry is not None:
        _say(
            f"imported before, as {entry.id}, on {entry.finished_at:%Y-%m-%d %H:%M}Z: nothing to do"
        )
        _say(f"to import it anew, first: demandwatch import --undo {entry.id}")
        return
    if done is None:
        return
    if dry or report is not None:
        _report(done, form, report)
    quiet = dry and form is not Form.TABLE and report is None
    told = f"{done.readings:,} readings of {len(done.meters)} meters; {done.rejected:,} refused"
    _say(f"{told}; nothing was written" if dry else told, quiet=quiet)
    for reason, count in sorted(done.refused.items()):
        _say(f"  {count:,} {reason}: {ADVICE[Reason(reason)]}", quiet=quiet)
    if done.readings == 0:
        fail("nothing can be imported: are the file's meters listed in the sites?")
    if entry is not None:
        _say(f"import {entry.id}; to withdraw it: demandwatch import --undo {entry.id}")


def _report(done: Imported, form: Form, report: Path | None) -> None:
    """Write the refused lines, each with its reason and what to do."""
    advice = {one.value: told for one, told in ADVICE.items()}
    told = done.bad.with_columns(
        pl.col("reason").replace_strict(advice, default="", return_dtype=pl.String).alias("advice")
    )
    query.write(told, query.Format(form.value), report)
    if report is not None:
        _say(f"{told.height:,} refused lines in {report}")


def _withdraw(importer: Importer, import_id: str) -> None:
    try:
        entry = importer.imports.entry(import_id)
    except KeyError as error:
        fail(str(error.args[0]) + "; see demandwatch import --list")
    if entry.undone_at is not None:
        _say(f"import {entry.id} was undone on {entry.undone_at:%Y-%m-%d %H:%M}Z: nothing to do")
        return
    with bar("withdrawing") as progress:
        count = importer.undo(entry, progress)
    _say(f"import {entry.id} ({entry.file}) is withdrawn: {count:,} readings no longer count")


class bar:  # noqa: N801 - a context manager, used like a function
    """A progress bar in percent on standard error; nothing where that is no terminal."""

    def __init__(self, what: str) -> None:
        shown = Console(stderr=True)
        self._progress = Progress(
            TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
            console=shown, transient=True, disable=not shown.is_terminal,
        )  # fmt: skip

    def __enter__(self) -> Callable[[float], None]:
        self._progress.start()
        task = self._progress.add_task("", total=1.0)
        return lambda share: self._progress.update(task, completed=share)

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()


def work_up(config: Configuration, clock: Clock) -> str:
    """Process here what was stored, or say that the running system does."""
    try:
        app = App(config, clock, console=False)
    except DataFolderInUseError:
        return "the running system is working it up"
    try:
        count = app.engine.drain()
        revised = app.metrics.value("demandwatch_intervals_total", {"kind": "revision"}) or 0
        app.care.follow(app.history, app.engine)
        app.history.maintain()
    finally:
        app.stop()
    return f"worked up: {count:,} intervals issued, {revised:,.0f} revised"


def _mapping(path: Path) -> FileMapping:
    profile, faults = load_mapping(path)
    if profile is None:
        fail("\n".join(map(str, faults)))
    return profile


def _say(text: str, *, quiet: bool = False) -> None:
    """Print a line; on standard error if standard output is a machine's."""
    Console(soft_wrap=True, highlight=False, stderr=quiet).print(text, markup=False)
