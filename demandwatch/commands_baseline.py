"""`demandwatch baseline`: what sites would have used in an event, what they used, who complied."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from collector.clock import Clock
from demandwatch import query
from demandwatch.options import AsOf, Config, fail, instant_of, loaded
from demandwatch.settings import Configuration
from processors.baseline import Baselines, baselines
from processors.events import Event, orders
from processors.history.store import History
from processors.indices import Length
from processors.intensity import mains
from processors.load_report import types_of
from processors.shapes import Span
from processors.subjects import site_blocks


class Show(StrEnum):
    """What is told of an event."""

    SITES = "sites"
    BLOCKS = "blocks"
    DAYS = "days"


_SHOWN = {
    Show.SITES: (
        "event_id", "site_id", "verdict", "reason", "complied", "failed", "undecided",
        "baseline_kwh", "actual_kwh", "reduction_kwh", "achieved_ratio", "like_days",
        "adjust_kw", "adjust_reason", "estimated_share",
    ),
    Show.BLOCKS: (
        "site_id", "start", "unadjusted_kwh", "baseline_kwh", "actual_kwh", "reduction_kwh",
        "limit_kwh", "verdict", "reason", "quality",
    ),
    Show.DAYS: (
        "site_id", "day", "day_type", "energy_kwh", "coverage", "hours_coverage", "used", "reason",
    ),
}  # fmt: skip
"""What a table shows; machine formats carry all columns."""


def baseline(
    config: Config,
    event: Annotated[str, typer.Option("--event", help="Its id under `processors.events`.")],
    site: Annotated[list[str] | None, typer.Option(help="Only this site; repeatable.")] = None,
    show: Annotated[
        Show,
        typer.Option(
            help="[b]sites[/]: verdict and sums; [b]blocks[/]: every 15 minutes; [b]days[/]: "
            "which days the baseline rests on, and why others not."
        ),
    ] = Show.SITES,
    as_of: AsOf = None,
    format_: Annotated[query.Format, typer.Option("--format")] = query.Format.TABLE,
    out: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """Judge an event of orderly use (有序用电) or demand response by each site's baseline.

    The baseline is the mean of the X like days of greatest energy among the last Y that are
    eligible, adjusted by the hours of the same day before the notice; `processors.baseline` says
    how. Each 15-minute block complies, fails, or is undecided for a reason: a site for which
    nothing proves that it was notified in time is never said to have failed.

    An event stands under `processors.events`: id, kind (orderly_use or response), start, end and
    its sites, each with cut_kw or cap_kw and its notice: at, told (who), how, sha256 (digest of the
    text).
    """
    settings = loaded(config)
    found = next((one for one in settings.settings.processors.events if one.id == event), None)
    if found is None:
        fail(f"no event {event} under processors.events in {config}")
    unknown = sorted(set(site or ()) - {one.site for one in found.sites})
    if unknown:
        fail(f"{', '.join(unknown)}: not a site of event {event}")
    try:
        told = state(settings, found, site or [one.site for one in found.sites], as_of)
        frame = {Show.SITES: told.events, Show.BLOCKS: told.blocks, Show.DAYS: told.like_days}[show]
        people = format_ is query.Format.TABLE and out is None
        query.write(frame.select(_SHOWN[show]) if people else frame, format_, out)
    except (OSError, ValueError) as error:
        fail(error)


def state(
    config: Configuration, event: Event, site_ids: Sequence[str], as_of: datetime | None = None
) -> Baselines:
    """Return the baselines of an event's sites from history.

    Args:
        config: events, method, sites, calendar.
        event: one of its events.
        site_ids: of the event's.
        as_of: with what was known then, local to the first of them if it has no offset; None: now.

    Raises:
        OSError, ValueError: history cannot be read.
    """
    settings, clock = config.settings.processors, Clock.real()
    sites = [one for one in config.sites if one.id in set(site_ids)]
    at = instant_of(as_of, sites[0].timezone)
    every = orders(settings.events, config.sites)
    mine = every.filter(pl.col("event_id") == event.id, pl.col("site_id").is_in(list(site_ids)))
    history = History.open_readonly(config.data / "history", config.book, clock.now)
    told = [one.notice.at for one in event.sites if one.notice]
    begin = min([event.start, *told]) - timedelta(days=settings.baseline.lookback_days + 2)
    end = event.end + timedelta(days=2)
    meters = [meter for one in sites for meter in mains(one)]
    rows = history.intervals(begin.astimezone(UTC), end.astimezone(UTC), meters, at)
    blocks = site_blocks(rows, config.book).filter(pl.col("meter_id").is_in(list(site_ids)))
    now = at or clock.now()
    span = Span(begin.date(), end.date(), Length.DAY, now, 0.0)
    zones = mine.select("site_id", "timezone").unique()
    types = types_of(zones, config.calendar, span)
    return baselines(blocks, mine, every, types, settings.baseline, now)
