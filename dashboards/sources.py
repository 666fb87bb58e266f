"""What the screens and the API read; the map fills it in and passes it on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from alerting.ledger import Ledger
from collector.site import Site
from processors.activity import Declaration, none
from processors.book import Book
from processors.live import Live
from processors.policy.load import Packs
from processors.settings import FleetSettings
from processors.tariff.desk import History, Tariffs


class RejectsReader(Protocol):
    """The part of the rejects the API shows."""

    def latest(self, limit: int) -> pl.DataFrame:
        """The newest notes first: at, reason, source, subject, excerpt, count."""


class GapsReader(Protocol):
    """The part of the gap ledger the screens use."""

    def gaps(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        meters: Sequence[str] | None = None,
        limit: int = 100_000,
    ) -> pl.DataFrame:
        """GAP rows that touch `[start, end)`, open ones first, then the newest."""

    def changes(self, gap_id: int) -> list[dict[str, Any]]:
        """What happened to a gap, the oldest first."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything the console and the API read. All callables are safe from any thread."""

    sites: tuple[Site, ...]
    book: Book
    now: Callable[[], datetime]
    """Site time."""
    history: History
    live: Callable[[], Live]
    ledger: Ledger
    limits: Callable[[str], pl.DataFrame]
    """Accounts of the running month and year (kind month, year: schema ACCOUNT) and of load caps
    (kind cap: CAP_STATE)."""
    verdicts: Callable[[], pl.DataFrame]
    """Verdicts, schema VERDICT; several revisions are allowed."""
    packs: Packs
    metrics: Callable[[], bytes]
    """The Prometheus text exposition."""
    ready: Callable[[], Mapping[str, str]]
    """What is not ready yet, part -> problem; empty when all is."""
    lookback_days: int = 28
    """History a quota's projection rests on: the processors' setting."""
    index_min_coverage: float = 0.95
    """Coverage below which load indices are not told: the processors' setting."""
    quality_min_coverage: float = 0.9
    """Coverage below which power quality is not told: the processors' setting."""
    tariffs: Tariffs = field(default_factory=Tariffs)
    """What bills and tariff periods rest on."""
    health: Callable[[], pl.DataFrame] | None = None
    """The collector's health, schema HEALTH; None: not known here."""
    fleet_settings: FleetSettings = field(default_factory=FleetSettings)
    """From when on a meter is not well: the processors' setting."""
    gaps: GapsReader | None = None
    """The gap ledger; None: not known here."""
    rejects: RejectsReader | None = None
    anomalies: Callable[[], pl.DataFrame] | None = None
    """What the last look for metering anomalies found, schema ANOMALY; None: not known here."""
    sought: Callable[[], pl.DataFrame] | None = None
    """What it looked for, schema SOUGHT."""
    export: Callable[[str, str], Path] | None = None
    """Writes the evidence package of (alert id, who exports) and returns its path; None: the
    screens offer no download."""
    activity: Callable[[], pl.DataFrame] = none
    """Every declaration and withdrawal, schema ACTIVITY."""
    declare: Callable[[str, Declaration], tuple[int, bool]] | None = None
    """Keeps a declaration of (site id); returns its id and whether it is new. None: not here."""
