"""`demandwatch query anomalies|anomalies-sought`: metering anomalies found in history."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import polars as pl

from demandwatch.settings import Configuration
from processors.anomaly import bounds
from processors.anomaly_look import Look, look
from processors.history.store import History

USUAL = timedelta(days=30)
"""Span looked at where none is named."""
SHOWN = (
    *("meter_id", "kind", "phase", "since", "until", "value", "threshold", "unit"),
    *("observed", "reference", "measure", "provenance", "standing"),
)
"""Columns that fit a terminal; files carry all."""


@dataclass(frozen=True, slots=True)
class Span:
    """What is asked."""

    start: datetime | None
    end: datetime | None
    as_of: datetime | None
    now: datetime


def anomalies(
    config: Configuration,
    history: History,
    meters: list[str] | None,
    span: Span,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return ANOMALY rows that touch the span, by default the last 30 days; SOUGHT rows."""
    until = min(span.end or span.now, span.now)
    settings = config.settings.processors
    pack = config.packs.anomaly(settings.anomalies.pack, until.date())
    asked = Look(
        start=span.start or until - USUAL,
        end=until,
        bounds=partial(bounds, pack, settings.anomalies),
        least_coverage=settings.indices.min_coverage,
        meters=None if meters is None else tuple(meters),
        as_of=span.as_of,
    )
    found = look(history, config.sites, asked)
    return found.anomalies, found.sought
