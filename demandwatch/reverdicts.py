"""Verdicts kept in history, judged anew over changed blocks and by the packs in force now."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from demandwatch.recomputing import Job, correction
from demandwatch.settings import Configuration
from processors import verdict
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
    def of(cls, job: Job, config: Configuration, now: datetime) -> "Reverdict":
        """Judge every kept period that touches the job's days, of the job's sites."""
        history = History.open_readonly(config.data / "history", config.book, lambda: now)
        wanted = set(job.meters)
        sites = {s.id: s for s in config.sites if any(m.id in wanted for m in s.meters)}
        kept = history.verdicts(list(sites)).filter(
            pl.col("period_start") < job.end, pl.col("period_end") > job.start
        )
        overlay = Overlay(history, correction(config, now))
        overlay.take(job.rows("intervals"))
        found = list(_judged(kept, overlay, history, config, now))
        verdicts = pl.concat([verdict.empty(), *(after for _, after in found)])
        told = [verdict_changes(before, after) for before, after in found]
        return cls(verdicts, pl.concat([pl.DataFrame(schema=VERDICT_CHANGE), *told]))


def _judged(
    kept: pl.DataFrame, overlay: Overlay, history: History, config: Configuration, now: datetime
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield the verdicts of each period, as kept and as they would be."""
    rules = config.settings.processors.verdicts
    for (start, end), before in kept.partition_by(
        "period_start", "period_end", as_dict=True
    ).items():
        names = set(before["site_id"])
        sites = [one for one in config.sites if one.id in names]
        meters = [meter.id for site in sites for meter in site.meters]
        days = days_anew(
            history.days(start, end, meters), overlay, config.book, now, start, end
        ).filter(pl.col("meter_id").is_in(meters))
        yield before, judge(days, sites, config.packs, Period(start, end), rules, now)
