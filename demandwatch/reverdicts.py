"""Verdicts kept in history, judged anew over changed blocks and by the packs in force now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from collector.clock import Clock
from collector.site import Site
from demandwatch.app import App
from demandwatch.correcting import Correction
from demandwatch.datafolder import DataFolderInUseError
from demandwatch.declaring import Declaring
from demandwatch.handover import hand_over
from demandwatch.recomputing import Job
from demandwatch.settings import Configuration
from processors import verdict
from processors.bases import year_before
from processors.history.store import History
from processors.intensity import Period
from processors.judge import judge
from processors.recompute import VERDICT_CHANGE, Overlay, days_anew, verdict_changes


@dataclass(frozen=True, slots=True)
class Reverdict:
    """What the judging found."""

    verdicts: pl.DataFrame
    """VERDICT rows as they would be."""
    changed: pl.DataFrame
    """Schema VERDICT_CHANGE."""

    @classmethod
    def of(cls, job: Job, config: Configuration, clock: Clock) -> "Reverdict":
        """Judge every kept period that touches the job's days, of the job's sites."""
        now = clock.now()
        history = History.open_readonly(config.data / "history", config.book, clock.now)
        wanted = set(job.meters)
        declared = Declaring(config, clock).sites()
        sites = [s for s in declared if any(m.id in wanted for m in s.meters)]
        kept = history.verdicts([site.id for site in sites]).filter(
            pl.col("period_start") < job.end, pl.col("period_end") > job.start
        )
        overlay = Overlay(history, Correction.of(config, now))
        overlay.take(job.rows("intervals"))
        found = []
        for (start, end), before in kept.partition_by(
            "period_start", "period_end", as_dict=True
        ).items():
            meant = [site for site in sites if site.id in set(before["site_id"])]
            after = _judged(before, Period(start, end), meant, overlay, history, config, now)
            found.append((before, after))
        verdicts = pl.concat([verdict.empty(), *(after for _, after in found)])
        told = [verdict_changes(before, after) for before, after in found]
        return cls(verdicts, pl.concat([pl.DataFrame(schema=VERDICT_CHANGE), *told]))


def _judged(
    before: pl.DataFrame,
    period: Period,
    sites: Sequence[Site],
    overlay: Overlay,
    history: History,
    config: Configuration,
    now: datetime,
) -> pl.DataFrame:
    """Return the verdicts of one period anew."""
    # scaled by season only what was: a short rolling period of a running system never is
    seasonal = before["annualised"].str.starts_with("shape").any()
    start = year_before(period) if seasonal else period.start
    meters = [meter.id for site in sites for meter in site.meters]
    days = days_anew(
        history.days(start, period.end, meters), overlay, config.book, now, start, period.end
    ).filter(pl.col("meter_id").is_in(meters))
    rules = config.settings.processors.verdicts
    return judge(days, sites, config.packs, period, rules, now)


def keep(config: Configuration, clock: Clock, verdicts: pl.DataFrame) -> bool:
    """Keep verdicts in history, as revisions of those kept.

    Returns:
        Whether they are kept; False: handed to the running system, which keeps them in seconds.

    Raises:
        OSError: they cannot be written.
    """
    try:
        app = App(config, clock, console=False)
    except DataFolderInUseError:
        hand_over(config.data, verdicts)
        return False
    try:
        app.history.add_verdicts(verdicts)
    finally:
        app.stop()
    return True
