"""Turns what the engine issues into the subjects that rules speak about."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from threading import Event
from zoneinfo import ZoneInfo

import polars as pl

from alerting.limits import Limits
from alerting.office import Alerting
from alerting.site_blocks import contracts, meter_blocks, site_blocks
from collector.clock import Clock
from collector.reading import UTC_US
from collector.site import Site
from processors.bases import year_before
from processors.book import Book
from processors.claims import Period, Span
from processors.history.store import History
from processors.judge import judge
from processors.live import Live
from processors.policy.load import Packs
from processors.running import site_running
from processors.settings import ProcessorsSettings
from processors.verdict import VERDICT

_IDLE_S = 0.2


class Watch:
    """Feeds the alerting office; `on_step` runs in the engine's thread, `run` in its own."""

    def __init__(
        self,
        office: Alerting,
        history: History,
        book: Book,
        sites: Sequence[Site],
        packs: Packs,
        settings: ProcessorsSettings,
        clock: Clock,
        live: Callable[[], Live],
        ready: Event,
        judge_within: timedelta = timedelta(days=7),
        declared: Callable[[datetime], Sequence[Site]] | None = None,
    ) -> None:
        """Prepare; nothing is judged before the first call.

        Args:
            office: judges the rows.
            history: intervals and days.
            book: which meters are main meters.
            sites: dated contracts and quotas.
            packs: the policy folder.
            settings: statistics periods and pace.
            clock: site time.
            live: the running blocks.
            ready: set once what waited in the journal is processed; before, a meter that only
                looks silent would raise an alarm.
            judge_within: blocks that ended longer ago are history, not news: an import of last year
                raises no alert.
            declared: the sites with what was declared of them by an instant; None: the settings'.
        """
        self._office, self._history, self._book = office, history, book
        self._sites, self._packs, self._settings = tuple(sites), packs, settings
        self._clock, self._live, self._ready, self._within = clock, live, ready, judge_within
        self._declared = declared
        self._contracts = contracts(sites)
        mains = book.meters.filter("is_main")
        self._mains = mains["meter_id"].to_list()
        self._mains_of = mains.select("site_id", "meter_id")
        self._started = clock.now()
        self._limits = Limits(history, sites, packs, settings.quotas)
        self._judged_at: datetime | None = None

    def on_step(self, intervals: pl.DataFrame, live: Live) -> None:
        """Judge newly issued blocks and the blocks that are running."""
        news = intervals.filter(pl.col("end") > live.at - self._within)
        if news.height:
            self._office.observe("interval", meter_blocks(news, self._book, self._contracts))
            self._office.observe("site_interval", self._sites_of(news))
        current = self._contracts.filter(pl.col("since") <= live.at).group_by("site_id").last()
        in_force = current.select("site_id", "contract_demand_kw")
        fresh = live.meters.filter(pl.col("block_start") > live.at - timedelta(minutes=30))
        self._office.observe("running", site_running(fresh, in_force, self._book))

    def run(self, stop: Event) -> None:
        """State accounts and caps, look at the fleet and judge, at the pace of the settings."""
        wait = self._clock.wall_seconds(self._settings.engine.refresh_s)
        while not stop.is_set() and not self._ready.wait(_IDLE_S):
            pass
        while not stop.is_set():
            self.look()
            stop.wait(wait)

    def look(self) -> None:
        """Do once what `run` repeats."""
        now = self._clock.now()
        self._office.observe("fleet", self._fleet(now))
        for kind, rows in self._limits.look(now).items():
            self._office.observe(kind, rows)
        hour = now.replace(minute=0, second=0, microsecond=0)
        if hour != self._judged_at:
            self._office.observe("verdict", self._judge(now))
            self._judged_at = hour

    def on_anomalies(self, rows: pl.DataFrame) -> None:
        """Judge metering anomalies: rows of `processors.anomaly_told.told`."""
        self._office.observe("anomaly", rows)

    def limits(self, kind: str) -> pl.DataFrame:
        """Return the accounts of kind month, year or cap as last stated; safe from any thread."""
        return self._limits.stated(kind)

    def _sites_of(self, news: pl.DataFrame) -> pl.DataFrame:
        """Return the site sums of every block that a new row belongs to."""
        placed = news.join(self._mains_of, on="meter_id").select("site_id", "start").unique()
        if placed.is_empty():
            return site_blocks(news.clear(), self._book, self._contracts)
        meters = placed.select("site_id").unique().join(self._mains_of, on="site_id")
        low, high = placed.select(
            pl.col("start").min().alias("low"), pl.col("start").max().alias("high")
        ).row(0)
        end = high + timedelta(microseconds=1)
        known = self._history.intervals(low, end, meters["meter_id"].to_list())
        sums = site_blocks(known, self._book, self._contracts)
        starts = placed.with_columns((pl.col("start") + timedelta(minutes=15)).alias("end"))
        return sums.join(starts, on=["site_id", "end"], how="semi")

    def _fleet(self, now: datetime) -> pl.DataFrame:
        """Return one row a meter of the book, heard or not."""
        heard = self._live().meters.select("meter_id", "measured_at", "power_kw")
        silent = pl.lit(now, dtype=UTC_US) - pl.col("measured_at").fill_null(self._started)
        return (
            self._book.meters.select("meter_id", "site_id")
            .join(heard, on="meter_id", how="left")
            .with_columns(
                at=pl.lit(now, dtype=UTC_US),
                silent_s=silent.dt.total_microseconds() / 1e6,
            )
        )

    def _judge(self, now: datetime) -> pl.DataFrame:
        """Judge the rolling period that ended yesterday; keep what is new."""
        zone = ZoneInfo(self._sites[0].timezone) if self._sites else UTC
        today = now.astimezone(zone).date()
        since = today - timedelta(days=self._settings.engine.verdict_days)
        days = self._history.days(since, today)
        period = Period(since, today)
        sites = self._declared(now) if self._declared else self._sites
        verdicts = judge(days, sites, self._packs, period, self._settings.verdicts, now)
        kept = [verdicts, *(self._over(span, today, sites, now) for span in self._spans())]
        self._history.add_verdicts(pl.concat(kept))
        return verdicts if verdicts.height else pl.DataFrame(schema=VERDICT)

    def _spans(self) -> tuple[Span, ...]:
        return tuple(dict.fromkeys(self._settings.verdicts.periods))

    def _over(self, span: Span, today: date, sites: Sequence[Site], now: datetime) -> pl.DataFrame:
        """Judge another period, which no rule sees."""
        period = Period.of(span, today)
        days = self._history.days(year_before(period), period.end)
        return judge(days, sites, self._packs, period, self._settings.verdicts, now)
