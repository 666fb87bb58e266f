"""`demandwatch recompute`: history anew after a change of map, ratio, limit or guide."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Annotated

import polars as pl
import typer
from rich.console import Console

from collector.clock import Clock
from collector.journal import Journal, JournalError
from collector.rescale import RECOMPUTED, Left
from collector.sources.files import CHUNK_ROWS
from demandwatch import query
from demandwatch.commands_import import bar, work_up
from demandwatch.commands_policy import chosen_sites
from demandwatch.correcting import RecomputeError, note_ratios
from demandwatch.datafolder import in_force
from demandwatch.options import Config, fail, loaded
from demandwatch.recomputing import PUBLISHED, Job, preview
from demandwatch.reverdicts import Reverdict, keep
from demandwatch.settings import Configuration
from processors.history.editbook import EditBook
from processors.recompute import changes, spans_of, torn

_DAY = ["%Y-%m-%d"]
_INSTANT = pl.col("measured_at").dt.strftime("%Y-%m-%d %H:%MZ")
_BECAUSE = {
    Left.NOT_NOTED: "by which ratio they were multiplied was not noted when they were received",
    Left.EDGE: "a collector at the edge multiplied them, by settings that are not here",
    Left.CLOCK: "the clock had been set back, and which ratio was in use is not sure",
    Left.SOURCE: "their source multiplied other figures then than it does now",
    Left.NO_RATIO_THEN: "no ratio was in force for them when they were received",
    Left.NO_RATIO_NOW: "no ratio is in force for them now",
    Left.OUT_OF_RANGE: "by the ratio in force now they would be beyond what can be",
}


def recompute_(
    config: Config,
    start: Annotated[datetime, typer.Option("--from", formats=_DAY, help="First day, local.")],
    end: Annotated[datetime, typer.Option("--to", formats=_DAY, help="Excluded.")],
    sites: Annotated[
        list[str] | None, typer.Option(help="Only these sites; repeatable, or with commas.")
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Issue what the preview found, as revisions.")
    ] = False,
    by: Annotated[str, typer.Option(help="With --publish: name of who does it.")] = "",
    why: Annotated[str, typer.Option(help="With --publish: the reason; kept for ever.")] = "",
    jobs: Annotated[
        int, typer.Option(min=1, help="Processes that compute at once.", show_default="cores")
    ] = os.cpu_count() or 1,
    verdicts: Annotated[
        bool, typer.Option("--verdicts", help="Write the verdicts that change, not the meters.")
    ] = False,
    format_: Annotated[query.Format, typer.Option("--format")] = query.Format.TABLE,
) -> None:
    """Compute blocks and verdicts anew from stored readings, and show what would change.

    After a register map or a ratio was corrected: readings whose words were kept (`keep_raw: true`)
    are decoded anew; others are scaled from the ratio that was noted when they were received to the
    one in force now, and what cannot be put right is left and counted. After limits, changes of
    meters or edits: blocks follow. After a guide or a quota: kept verdicts are judged anew. Bills
    follow their tariff by themselves: `bill-compare`.

        demandwatch recompute -c demandwatch.yaml --from 2026-10-01 --to 2026-11-01

    writes nothing but a preview, beside a running system; interrupted, the same command goes on
    where it was. The same command with --publish --by NAME --why TEXT issues what was shown: as
    revisions, so that `query --as-of` shows what was known before, and listed by `edit list`.
    """
    settings = loaded(config)
    try:
        named = chosen_sites(settings.sites, sites or [])
        meters = tuple(sorted(meter.id for site in named for meter in site.meters))
        job = Job.of(settings, start.date(), end.date(), meters)
        if publish and not (by.strip() and why.strip()):
            raise RecomputeError("--publish needs --by NAME and --why TEXT: both are kept for ever")
        if job.complete and not publish:
            job.clear()  # asked again: history may have moved on
        with bar("computing") as progress:
            preview(job, jobs, progress)
        found = Reverdict.of(job, settings, Clock.real())
        _report(job, settings, found, format_, verdicts=verdicts)
        if publish:
            _publish(job, settings, found, by, why)
    except (ValueError, JournalError, OSError) as error:
        fail(error)


def _report(
    job: Job, config: Configuration, found: Reverdict, format_: query.Format, *, verdicts: bool
) -> None:
    left = job.rows("left")
    told = changes(job.rows("issued"), job.rows("intervals"), job.rows("readings"), left)
    quiet = format_ is not query.Format.TABLE
    _say(
        f"{told['blocks'].sum():,} blocks of {told.height:,} of {len(job.meters):,} meters and "
        f"{found.changed.height:,} verdicts change; {told['readings_corrected'].sum():,} readings "
        "say something else",
        quiet=quiet,
    )
    _say_left(left)
    query.write(found.changed if verdicts else told, format_, None)
    if not quiet and not verdicts and found.changed.height:
        query.write(found.changed, format_, None)
    for warning in _refused(job, config):
        _say(f"warning: {warning}", quiet=True)
    _say(f"preview {job.id} in {job.folder.relative_to(config.data.parent)}", quiet=quiet)


def _say_left(left: pl.DataFrame) -> None:
    counts = left.group_by("why").agg(pl.col("readings").sum(), pl.col("meter_id").n_unique())
    for why, count, meters in counts.sort("why").iter_rows():
        _say(
            f"{count:,} readings of {meters:,} meters are left as received, right or wrong: "
            f"{_BECAUSE[Left(why)]}",
            quiet=True,
        )


def _refused(job: Job, config: Configuration) -> Iterator[str]:
    """Yield why the span may not be published."""
    if short := _too_short(job):
        yield short
    beyond = torn(job.rows("readings"), job.rows("left"), config.book.changes)
    if beyond.height:
        last = beyond.select(_INSTANT.max()).item()
        yield (
            f"readings of {beyond['meter_id'].n_unique()} meters in or beside the span cannot be "
            f"corrected (the last of {last}), and registers would jump between them"
            " and those that can: let the new ratio begin with the corrected ones (`from`, or a "
            "change with its instant), or leave these meters out (--sites)"
        )


def _too_short(job: Job) -> str:
    """Return why the span is too short; empty: it is not."""
    rows = job.rows("beside")
    if rows.is_empty():
        return ""
    first, last = rows.select(_INSTANT.min().alias("first"), _INSTANT.max().alias("last")).row(0)
    return (
        f"readings of {rows['meter_id'].n_unique()} meters beside the span ({first} to {last}) are "
        "decoded otherwise too, and their registers would jump at its edge: take --from earlier, "
        "--to later"
    )


def _publish(job: Job, config: Configuration, found: Reverdict, by: str, why: str) -> None:
    running = in_force(config.data)
    if running is not None and running != config.digest:
        raise RecomputeError(
            "the running system has other settings than these: send it SIGHUP or restart it, then "
            "publish"
        )
    for refusal in _refused(job, config):
        raise RecomputeError(refusal)
    note = job.folder / PUBLISHED
    if note.exists():
        _say(f"published before: {note.read_text(encoding='utf-8')}")
        return
    clock = Clock.real()
    readings, spans = job.rows("readings"), spans_of(job.rows("intervals"))
    note_ratios(config, clock.now)  # what is corrected rests on them, and is not corrected twice
    with closing(Journal(config.data / "journal.db", clock.now)) as journal:
        stamped = readings.with_columns(
            pl.lit(clock.now()).cast(readings.schema["received_at"]).alias("received_at"),
            pl.lit(f"{RECOMPUTED}{job.id}").alias("source"),
        )
        for part in stamped.iter_slices(CHUNK_ROWS):
            journal.append(part).result()
    with closing(EditBook(config.data / "edits.db", clock.now)) as book:
        book.recompute(spans, by, why)
    done = work_up(config, clock)
    _keep_verdicts(config, clock, found)
    told = {"by": by, "why": why, "at": clock.now().isoformat()}
    note.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
    _say(f"published: {spans.height:,} meters; {done}")


def _keep_verdicts(config: Configuration, clock: Clock, found: Reverdict) -> None:
    if found.changed.height and not keep(config, clock, found.verdicts):
        _say("verdicts handed to the running system")


def _say(text: str, *, quiet: bool = False) -> None:
    Console(soft_wrap=True, highlight=False, stderr=quiet).print(text, markup=False)
