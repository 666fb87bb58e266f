"""What a demonstration shows while it runs, and what it concludes."""

import tempfile
import threading
from datetime import timedelta
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.live import Live as Display
from rich.table import Table

from alerting.evidence.export import export
from alerting.evidence.verify import verify
from collector.clock import Clock
from demandwatch.app import App

REFRESH_S = 0.5
SILENT = timedelta(minutes=15)


class Shortfall(RuntimeError):  # noqa: N818 - a result, told to the user as it is
    """A stage of the demonstration saw no data."""


def watch(
    app: App, clock: Clock, seconds: float | None, over: threading.Event, *, headless: bool
) -> None:
    """Show the live summary until the time is over or `over` is set."""
    if headless:
        over.wait(seconds)
        return
    waited = 0.0
    with Display(panel(app, clock), refresh_per_second=4) as display:
        while not over.wait(REFRESH_S) and (seconds is None or waited < seconds):
            waited += REFRESH_S
            display.update(panel(app, clock))


def figures(app: App, clock: Clock) -> dict[str, str]:
    """Return the figures of the summary, by name."""
    live = app.engine.live()
    meters = app.config.book.meters.height
    heard = live.meters.filter(pl.col("measured_at") > clock.now() - SILENT).height
    alerts = app.ledger.alerts()
    firing = alerts.filter(pl.col("resolved_at").is_null()).height
    return {
        "site time": f"{clock.now():%Y-%m-%d %H:%M:%S}Z, {clock.speed:g} x",
        "readings": f"{live.readings_total:,} ({live.readings_per_s:,.0f}/s)",
        "meters": f"{heard} heard, {meters - heard} silent, of {meters}",
        "intervals": f"{live.intervals_total:,} issued",
        "alerts": f"{alerts.height} raised, {firing} firing",
        "rejected": f"{sum(app.rejects.counts().values()):,}",
        "console": app.console.url if app.console else "off",
    }


def panel(app: App, clock: Clock) -> Table:
    """Return the summary as a table for the terminal."""
    table = Table(title=app.config.settings.name.en, show_header=False, min_width=60)
    table.add_column(style="cyan")
    table.add_column()
    for name, told in figures(app, clock).items():
        table.add_row(name, told)
    return table


def conclude(app: App, *, strict: bool) -> None:
    """Print the summary; when strict, check that every stage saw data and a package verifies.

    Raises:
        Shortfall: one did not; names it.
    """
    console = Console()
    console.print(panel(app, app.clock))
    if not strict:
        return
    for told, happened in _stages(app).items():
        if not happened:
            raise Shortfall(f"{told}: the demonstration saw none; see the log above")
    console.print(_proof(app))


def _stages(app: App) -> dict[str, bool]:
    live = app.engine.live()
    published = app.metrics.value("demandwatch_readings_total", {"source": "mqtt"})
    polls = [
        app.metrics.value("demandwatch_modbus_polls_total", {"bus": bus.id, "outcome": "ok"})
        for bus in app.config.settings.collector.buses
    ]
    fired = app.ledger.alerts().filter(pl.col("rule_id") == "contract-demand-overrun")
    return {
        "readings by MQTT": bool(published),
        "readings by Modbus": any(polls),
        "closed intervals": live.intervals_total > 0,
        "overrun alerts": fired.height > 0,
    }


def _proof(app: App) -> str:
    """Export the first overrun's package, verify it, and say so."""
    alerts = app.ledger.alerts().filter(pl.col("rule_id") == "contract-demand-overrun")
    first = alerts.sort("fired_at")["alert_id"][0]
    with tempfile.TemporaryDirectory() as folder:
        package = export(first, app.evidence(), Path(folder), "demandwatch demo")
        report = verify(package)
    if not report.ok:
        raise Shortfall(f"evidence of {first} does not verify: {'; '.join(report.findings)}")
    return f"evidence of overrun {first}: exported and verified, {report.words} polls decoded again"
