"""`demandwatch savings`: what sites saved against the year before, at the weather that was."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import polars as pl
import typer

from collector.clock import Clock
from collector.site import Site
from demandwatch import query
from demandwatch.options import AsOf, Config, fail, instant_of, loaded
from demandwatch.settings import Configuration
from processors import caltrack
from processors.history.store import History
from processors.intensity import mains
from processors.normalised import Method, Span, hours, savings
from processors.subjects import site_blocks


class Show(StrEnum):
    """What is told."""

    SITES = "sites"
    ROWS = "rows"
    FINDINGS = "findings"


_SHOWN = {
    Show.SITES: (
        "site_id", "verdict", "reason", "baseline_kwh", "actual_kwh", "savings_kwh",
        "savings_ratio", "uncertainty_kwh", "coverage", "cvrmse",
    ),
    Show.ROWS: (
        "site_id", "start", "temperature_c", "actual_kwh", "baseline_kwh", "uncertainty_kwh",
    ),
    Show.FINDINGS: ("site_id", "period", "finding", "disqualifies", "text", "data"),
}  # fmt: skip
"""What a table shows; machine formats carry all columns."""

_BASELINE_DAYS = 365
"""CalTRACK 2.2.1.1: the year before the measure, exactly."""


_Day = ["%Y-%m-%d"]
Sites = Annotated[list[str], typer.Option("--site", help="The site; repeatable.")]
Turn = Annotated[
    datetime,
    typer.Option(
        "--baseline-end",
        formats=_Day,
        help="The day the measure began: the baseline is the 365 local days before it.",
    ),
]
First = Annotated[
    datetime | None,
    typer.Option("--from", formats=_Day, help="First day judged; default: the baseline's end."),
]
After = Annotated[
    datetime | None,
    typer.Option("--to", formats=_Day, help="Day after the last; default: today."),
]
Model = Annotated[Method, typer.Option("--method", help="The model of CalTRACK 2.")]
Station = Annotated[
    str | None,
    typer.Option("--station", help="Weather station; default: processors.tariff.weather_station."),
]
Shown = Annotated[
    Show,
    typer.Option(
        "--show",
        help="[b]sites[/]: verdict and sums; [b]rows[/]: each hour or day; [b]findings[/]: "
        "what the sufficiency criteria say.",
    ),
]


def savings_(
    config: Config,
    site: Sites,
    baseline_end: Turn,
    first: First = None,
    after: After = None,
    method: Model = Method.DAILY,
    station: Station = None,
    show: Shown = Show.SITES,
    as_of: AsOf = None,
    format_: Annotated[query.Format, typer.Option("--format")] = query.Format.TABLE,
    out: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """State what a site saved, at the weather that was, against the year before a measure.

    A CalTRACK 2 model (opendsm, the extra `savings`) learns from the 365 days before the measure
    what the site uses at which temperature, and says what that site would have used since. Savings
    are the difference to what was measured, over the hours or days where both are known.

    The sufficiency criteria come first: where they disqualify the data or the fit, no figure is
    stated and `--show findings` says why. Estimated energy is not compared.
    """
    end = baseline_end.date()
    begin = first.date() if first else end
    if begin < end:
        fail(f"--from {begin} lies in the baseline, which ends on {end}")
    desk = _Desk.open(config, station)
    unknown = sorted(set(site) - {one.id for one in desk.settings.sites})
    if unknown:
        fail(f"no site {', '.join(unknown)} in {config}")
    try:
        days = end, begin, after.date() if after else None
        asked = [(one, desk.span(one, *days)) for one in desk.settings.sites if one.id in site]
        weather = desk.weather([span for _, span in asked])
        frame = pl.concat(
            desk.state(one, span, weather, method, show, instant_of(as_of, one.timezone))
            for one, span in asked
        )
        people = format_ is query.Format.TABLE and out is None
        query.write(frame.select(_SHOWN[show]) if people else frame, format_, out)
    except (OSError, ValueError, caltrack.NotInstalledError) as error:
        fail(error)


@dataclass(frozen=True, slots=True)
class _Desk:
    """History, and what is needed of the settings."""

    settings: Configuration
    history: History
    station: str
    now: datetime

    @classmethod
    def open(cls, config: Path, station: str | None) -> "_Desk":
        settings, clock = loaded(config), Clock.real()
        chosen = station or settings.settings.processors.tariff.weather_station
        if chosen is None:
            fail("no temperature: name a weather station under processors.tariff or by --station")
        if chosen not in {meter.id for one in settings.sites for meter in one.meters}:
            fail(f"no meter {chosen} in {config}")
        try:
            history = History.open_readonly(settings.data / "history", settings.book, clock.now)
        except (OSError, ValueError) as error:
            fail(error)
        return cls(settings, history, chosen, clock.now())

    def state(
        self,
        site: Site,
        span: Span,
        weather: pl.DataFrame,
        method: Method,
        show: Show,
        known: datetime | None,
    ) -> pl.DataFrame:
        """Return one site's rows of what is shown, as known at an instant."""
        book, wanted = self.settings.book, list(mains(site))
        parts = ((span.baseline_start, span.baseline_end), (span.start, span.end))
        told = pl.concat(self.history.intervals(*part, wanted, known) for part in parts)
        read = weather if known is None else weather.filter(pl.col("received_at") <= known)
        blocks = site_blocks(told, book).filter(pl.col("meter_id") == site.id)
        hourly = pl.concat(hours(blocks, read, *part) for part in parts)
        fitted = caltrack.fit(hourly, span, method)
        if show is Show.SITES:
            return savings(site.id, method, self.station, span, fitted)
        rows = fitted.rows if show is Show.ROWS else fitted.findings
        return rows.select(pl.lit(site.id).alias("site_id"), pl.all())

    def weather(self, spans: Sequence[Span]) -> pl.DataFrame:
        """Return the station's readings of all the sites' spans, each once."""
        parts = [(one.baseline_start, one.baseline_end) for one in spans]
        parts += [(one.start, one.end) for one in spans]
        read, until = [], min(start for start, _ in parts)
        for start, end in sorted(parts):
            if end > until:
                read.append(self.history.readings(max(start, until), end, [self.station]))
                until = end
        return pl.concat(read)

    def span(self, site: Site, end: date, begin: date, after: date | None) -> Span:
        """Return the instants of a site's days; ValueError if none is left to judge."""
        zone = ZoneInfo(site.timezone)
        last = after or self.now.astimezone(zone).date()
        if last <= begin:
            raise ValueError(f"nothing to judge: from {begin} to {last}")
        marks = (end - timedelta(days=_BASELINE_DAYS), end, begin, last)
        return Span(
            site.timezone,
            *(datetime(one.year, one.month, one.day, tzinfo=zone).astimezone(UTC) for one in marks),
        )
