"""The desk: reads the sources, computes the pure views and keeps each for a moment."""

from collections import Counter
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import polars as pl

from collector.site import Site
from dashboards import curve, fleet, view_alerts, view_city, view_indices, view_site, view_verdict
from dashboards.fleet_desk import FleetDesk
from dashboards.kept import Kept
from dashboards.settings import ConsoleSettings
from dashboards.sources import Sources
from dashboards.view_alerts import AlertDetail, AlertRow
from dashboards.view_city import City
from dashboards.view_month import MonthPage, month_page
from dashboards.view_site import SitePage
from processors.live import Live
from processors.quota import burn_down
from processors.terms import Span, history_of

_RESOLVED_SHOWN = 500
_ACTIVE_SHOWN = 5000


class UnknownSiteError(LookupError):
    """No site has this id."""


class Desk:
    """Answers the screens and the API. Thread-safe; every method may read the disk."""

    def __init__(
        self, sources: Sources, settings: ConsoleSettings, most_series: int = 10_000
    ) -> None:
        self.sources = sources
        self.settings = settings
        self._now_views = Kept(settings.refresh_s / 2)
        self._day_views = Kept(settings.refresh_s)
        self._slow_views = Kept(2.5 * settings.refresh_s)
        self._past_views = Kept(60.0)
        self._month_views = Kept(300.0, limit=32)
        self.meters = FleetDesk(sources, settings, self.live, lambda: self.timezone, most_series)

    @cached_property
    def sites(self) -> dict[str, Site]:
        """The sites by id."""
        return {site.id: site for site in self.sources.sites}

    @cached_property
    def timezone(self) -> str:
        """The city's time zone: the one most sites are in."""
        return Counter(site.timezone for site in self.sources.sites).most_common(1)[0][0]

    @property
    def grace(self) -> timedelta:
        """How long after its end a block may still be arriving, site time."""
        return timedelta(seconds=self.settings.silent_after_s)

    def site_of(self, site_id: str) -> Site:
        """Return a site.

        Raises:
            UnknownSiteError: no site has this id.
        """
        if site_id not in self.sites:
            raise UnknownSiteError(site_id)
        return self.sites[site_id]

    def live(self) -> Live:
        """Return the processor's present picture."""
        return self._now_views.get("live", self.sources.live)

    def fleet(self) -> pl.DataFrame:
        """Return the FLEET now."""
        return self._now_views.get("fleet", self._fleet)

    def _fleet(self) -> pl.DataFrame:
        return fleet.fleet(
            self.sources.book,
            self.live().meters,
            self.sources.now(),
            self.settings.silent_after_s,
            self.sources.health() if self.sources.health else None,
        )

    def running(self) -> pl.DataFrame:
        """Return RUNNING now, one row a site."""
        facts = self._past_views.get(
            ("limits", self.sources.now().date()),
            lambda: fleet.limits(self.sources.sites, self.sources.now()),
        )
        return self._now_views.get(
            "running", lambda: fleet.running(self.fleet(), facts, self.sources.book)
        )

    def accounts(self) -> pl.DataFrame:
        """Return the latest monthly ACCOUNT of each site."""
        return self.limits(Span.MONTH.value)

    def limits(self, kind: str) -> pl.DataFrame:
        """Return the latest account of each site, of kind month, year or cap."""
        return self._slow_views.get(
            ("limits", kind),
            lambda: self.sources.limits(kind).sort("at").unique("site_id", keep="last"),
        )

    def city(self, day: date | None = None, search: str = "") -> City:
        """Return the City view of `day` (None: today); `search` narrows the sites table."""
        now = self.sources.now()
        shown = day or now.astimezone(ZoneInfo(self.timezone)).date()
        picture = view_city.Picture(
            at=now,
            timezone=self.timezone,
            day=shown,
            today=self.curve(shown),
            yesterday=self.curve(shown - timedelta(days=1)),
            grace=self.grace,
            fleet=self.fleet(),
            running=self.running(),
            accounts=self.accounts(),
            sites=self.sources.sites,
            alerts=self.alerts(),
        )
        return view_city.city(picture, search)

    def curve(self, day: date, site: Site | None = None) -> pl.DataFrame:
        """Return the CURVE of a local day for the city or a site."""
        zone = site.timezone if site else self.timezone
        past = curve.bounds(day, zone)[1] < self.sources.now() - timedelta(hours=6)
        kept = self._past_views if past else self._day_views if site else self._slow_views
        meters = None if site is None else [one.id for one in site.meters if one.role == "main"]
        name = site.id if site else ""
        return kept.get(("curve", name, day), lambda: self._curve(day, zone, meters))

    def _curve(self, day: date, zone: str, meters: list[str] | None) -> pl.DataFrame:
        rows = self.sources.history.intervals(*curve.bounds(day, zone), meters)
        return curve.curve(rows, self.sources.book, day, zone, meters)

    def site(self, site_id: str, day: date | None = None) -> SitePage:
        """Return the Site view of `day` (None: today).

        Raises:
            UnknownSiteError: no site has this id.
        """
        site = self.site_of(site_id)
        now = self.sources.now()
        today = now.astimezone(ZoneInfo(site.timezone)).date()
        shown = day or today
        whole, before = self.curve(shown, site), self.curve(shown - timedelta(days=1), site)
        until = curve.settled(whole, now, self.grace)
        running = self.running().filter(site_id=site.id).row(0, named=True)
        return SitePage(
            at=now,
            site=site,
            day=shown,
            is_today=shown == today,
            until=until,
            today=curve.shown(whole, until),
            yesterday=before,
            total=curve.total(whole, until),
            yesterday_total=curve.total(before, until - timedelta(days=1)),
            running=view_site.running_of(running),
            quota=self._quota(site, Span.MONTH),
            year=self._quota(site, Span.YEAR),
            cap=self._cap(site),
            intensities=self._intensities(site),
            meters=self._meters(site, shown, now),
            alerts=tuple(row for row in self.alerts() if row.site_id == site.id),
            latest_day=self._latest_day(site),
            indices=self._past_views.get(
                ("indices", site.id), lambda: view_indices.month_of(self.sources, site)
            ),
        )

    def _quota(self, site: Site, span: Span) -> view_site.Quota | None:
        account = self.limits(span.value).filter(site_id=site.id)
        if account.is_empty():
            return None
        row = account.row(0, named=True)
        kept = self._slow_views if span is Span.MONTH else self._past_views
        curve = kept.get(("burn", site.id, span), lambda: self._burn_down(site, row["month"], span))
        return view_site.quota_of(row, curve)

    def _burn_down(self, site: Site, first: date, span: Span) -> pl.DataFrame:
        lookback, now = self.sources.lookback_days, self.sources.now()
        mains = [one.id for one in site.meters if one.role == "main"]
        today = now.astimezone(ZoneInfo(site.timezone)).date()
        since = history_of(span, first, today, lookback)
        days = self.sources.history.days(since, today + timedelta(days=1), mains)
        return burn_down(days, [site], now, lookback, first, span)

    def _cap(self, site: Site) -> view_site.Cap | None:
        account = self.limits("cap").filter(site_id=site.id)
        return None if account.is_empty() else view_site.cap_of(account.row(0, named=True))

    def _intensities(self, site: Site) -> tuple[view_verdict.Intensity, ...]:
        verdicts = self._slow_views.get("verdicts", self.sources.verdicts)
        return view_verdict.intensities(verdicts, self.sources.packs, site.id)

    def month(self, site_id: str, month: date | None = None) -> MonthPage:
        """Return bill, tariff periods and power quality of a month (None: the running one).

        Raises:
            UnknownSiteError: no site has this id.
        """
        site = self.site_of(site_id)
        return self._month_views.get(
            (site_id, month), lambda: month_page(self.sources, site, month)
        )

    def _meters(self, site: Site, day: date, now: datetime) -> tuple[view_site.MeterRow, ...]:
        ids = [meter.id for meter in site.meters]
        rows = self._day_views.get(
            ("meters", site.id, day),
            lambda: self.sources.history.intervals(*curve.bounds(day, site.timezone), ids),
        )
        heard = (
            self.fleet().filter(site_id=site.id).rows_by_key("meter_id", named=True, unique=True)
        )
        return tuple(
            view_site.meter_row(
                meter,
                heard[meter.id],
                curve.total(
                    curve.curve(rows, self.sources.book, day, site.timezone, [meter.id]), now
                ),
            )
            for meter in site.meters
        )

    def _latest_day(self, site: Site) -> date | None:
        seen = self.live().meters.filter(site_id=site.id)["measured_at"].max()
        if not isinstance(seen, datetime):
            return None
        return seen.astimezone(ZoneInfo(site.timezone)).date()

    def alerts(self) -> tuple[AlertRow, ...]:
        """Return all active alerts and the latest resolved ones."""
        return self._now_views.get("alerts", self._alerts)

    def _alerts(self) -> tuple[AlertRow, ...]:
        ledger = self.sources.ledger
        active = ledger.alerts(state="firing", limit=_ACTIVE_SHOWN)
        past = ledger.alerts(state="resolved", limit=_RESOLVED_SHOWN)
        return view_alerts.rows_of(pl.concat([active, past]), self.sites)

    def alert(self, alert_id: str) -> AlertDetail:
        """Return one alert with its timeline.

        Raises:
            LedgerError: there is no such alert.
        """
        alert = self.sources.ledger.alert(alert_id)
        timeline = self.sources.ledger.timeline(alert_id)
        return view_alerts.detail_of(alert.facts, timeline, self.sites)

    def acknowledge(self, alert_id: str, actor: str, note: str) -> None:
        """Acknowledge an alert in the ledger; the lists show it at once.

        Raises:
            LedgerError: unknown alert, no actor, or it is not open.
        """
        self.sources.ledger.acknowledge(alert_id, actor, note)
        self._now_views.drop("alerts")
