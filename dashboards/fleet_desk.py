"""The desk of the Fleet page: reads health, gaps and rejects, keeps each for a moment."""

from collections.abc import Callable

import polars as pl

from collector.healthrow import HEALTH
from collector.rejects import REJECTED
from dashboards import meter_series, view_fleet
from dashboards.kept import Kept
from dashboards.settings import ConsoleSettings
from dashboards.sources import Sources
from dashboards.view_fleet import FleetPage, Wanted
from processors.anomaly import ANOMALY, SOUGHT
from processors.causes import ways
from processors.condition import Limits, condition
from processors.gap_changes import GAP
from processors.live import Live

MOST_GAPS = 20_000
"""Gaps the page looks in: the open ones and the newest."""
MOST_REJECTS = 2000


class FleetDesk:
    """Answers the Fleet page and /metrics. Thread-safe; every method may read the disk.

    Args:
        sources: what there is to read.
        settings: pace, and when a meter is silent.
        live: the processor's picture.
        timezone: the city's.
        most_series: meters with series of their own in /metrics.
    """

    def __init__(
        self,
        sources: Sources,
        settings: ConsoleSettings,
        live: Callable[[], Live],
        timezone: Callable[[], str],
        most_series: int = 10_000,
    ) -> None:
        self._sources, self._live, self._timezone = sources, live, timezone
        self._most_series = most_series
        self._limits = Limits(settings.silent_after_s, sources.fleet_settings)
        self._way, self._names = ways(sources.sites), view_fleet.names(sources.sites)
        self._now_views = Kept(settings.refresh_s / 2)
        self._slow_views = Kept(2.5 * settings.refresh_s)
        self._places = view_fleet.places(sources.sites)
        self._districts = tuple(sorted({site.district for site in sources.sites}))
        self._links = tuple(sorted(self._way["link"].unique().to_list()))

    def condition(self) -> pl.DataFrame:
        """Return the CONDITION of every meter now."""
        return self._now_views.get("condition", self._condition)

    def _condition(self) -> pl.DataFrame:
        known = self._sources.health() if self._sources.health else pl.DataFrame(schema=HEALTH)
        live, now = self._live().meters, self._sources.now()
        return condition(self._sources.book, self._way, live, known, now, self._limits)

    def gaps(self) -> pl.DataFrame | None:
        """Return the open and the newest gaps, schema GAP; None: there is no ledger here."""
        ledger = self._sources.gaps
        if ledger is None:
            return None
        return self._slow_views.get("gaps", lambda: ledger.gaps(limit=MOST_GAPS))

    def anomalies(self) -> pl.DataFrame | None:
        """Return what the last look for metering anomalies found; None: not known here."""
        return None if self._sources.anomalies is None else self._sources.anomalies()

    def sought(self) -> pl.DataFrame:
        """Return what that look looked for, schema SOUGHT."""
        told = self._sources.sought
        return pl.DataFrame(schema=SOUGHT) if told is None else told()

    def series(self) -> bytes:
        """Return the fleet's part of /metrics."""
        return self._now_views.get(
            "series", lambda: meter_series.series(self.condition(), self._most_series)
        )

    def page(self, wanted: Wanted) -> FleetPage:
        """Return the Fleet page."""
        rows, ledger, now = self.condition(), self.gaps(), self._sources.now()
        known = pl.DataFrame(schema=GAP) if ledger is None else ledger
        week = view_fleet.week_of(known, now)
        shown = self._shown(wanted, rows, known, week)
        heard, expected, share = view_fleet.heard(rows)
        open_ = known.filter(pl.col("end").is_null())
        return FleetPage(
            at=now,
            timezone=self._timezone(),
            counts=dict(rows["state"].value_counts().iter_rows()),
            heard=heard,
            expected=expected,
            kw_heard=share,
            open_causes=None if ledger is None else dict(open_["cause"].value_counts().iter_rows()),
            spread_kwh=_total(week, "spread_kwh"),
            recovered_kwh=_total(week, "recovered_kwh"),
            rows=view_fleet.cut(shown, wanted.page),
            found=shown.height,
            wanted=wanted,
            districts=self._districts,
            links=self._links,
            places=self._places,
            open_anomalies=self._open_anomalies(),
            not_sought=self.sought()["reason"].count(),
        )

    def _shown(
        self, wanted: Wanted, rows: pl.DataFrame, known: pl.DataFrame, week: pl.DataFrame
    ) -> pl.DataFrame:
        if wanted.tab == "gaps":
            return view_fleet.gaps(known, rows, wanted, self._names)
        if wanted.tab == "anomalies":
            found = self.anomalies()
            odd = pl.DataFrame(schema=ANOMALY) if found is None else found
            return view_fleet.anomalies(odd, rows, wanted, self._names)
        if wanted.tab == "rejects":
            return view_fleet.rejects(self._rejects(), wanted)
        return view_fleet.meters(rows, week, wanted, self._names)

    def _open_anomalies(self) -> int | None:
        found = self.anomalies()
        return None if found is None else found["until"].null_count()

    def _rejects(self) -> pl.DataFrame:
        book = self._sources.rejects
        if book is None:
            return pl.DataFrame(schema=REJECTED)
        return self._now_views.get("rejects", lambda: book.latest(MOST_REJECTS))


def _total(week: pl.DataFrame, column: str) -> float | None:
    """Return a sum, None if there is nothing to sum: a dash is shown, not a zero."""
    told = week[column].drop_nulls()
    return float(told.sum()) if told.len() else None
