"""`demandwatch query fleet`: how each meter is, from what a running or the last process left."""

from pathlib import Path

import polars as pl

from collector import healthfile
from collector.clock import Clock
from collector.reading import UTC_US
from dashboards.console.says_fleet import reasons
from demandwatch.fleetcare import GAPS_FILE, HEALTH_FILE, limits
from demandwatch.settings import Configuration
from processors import running, snapshot
from processors.causes import ways
from processors.condition import condition
from processors.gap_changes import GAP
from processors.gap_ledger import GapLedger
from processors.step import State

_FIRST = ("meter_id", "site_id", "measured_at", "received_at", "power_kw", "state")


def fleet(config: Configuration) -> pl.DataFrame:
    """Return one row a meter: its last reading, its state and the reasons, its health, its gap.

    Everything is as of `as_of`, when health was last written: seconds ago beside a running system,
    its end without one. A meter is not called silent for the time that nothing ran.
    """
    book = config.book
    health, written = healthfile.load(config.data / HEALTH_FILE)
    found = snapshot.load(config.data / "state.bin")
    state = found[0] if found else State.empty()
    live = running.running(state, book, book.meters["meter_id"])
    at = written or Clock.real().now()
    rows = condition(book, ways(config.sites), live, health, at, limits(config))
    last = live.select("meter_id", "power_kw")  # of the last reading, however old: the contract
    rows = rows.drop("power_kw").join(last, on="meter_id", how="left")
    told = [reasons(row, "en") for row in rows.iter_rows(named=True)]
    zh = [reasons(row, "zh") for row in rows.iter_rows(named=True)]
    named = rows.with_columns(
        pl.Series("reasons_en", told, dtype=pl.String()),
        pl.Series("reasons_zh", zh, dtype=pl.String()),
        pl.lit(written, dtype=UTC_US).alias("as_of"),
    )
    return named.join(_open_gaps(config.data), on="meter_id", how="left").select(
        *_FIRST, pl.exclude(_FIRST)
    )


def gaps(config: Configuration) -> pl.DataFrame:
    """Return the whole gap ledger, schema GAP with `site_id`, open gaps first."""
    path = config.data / GAPS_FILE
    rows = pl.DataFrame(schema=GAP)
    if path.exists():
        ledger = GapLedger(path)
        try:
            rows = ledger.gaps()
        finally:
            ledger.close()
    sites = config.book.meters.select("meter_id", "site_id")
    return rows.join(sites, on="meter_id", how="left", maintain_order="left")


def _open_gaps(data: Path) -> pl.DataFrame:
    rows = pl.DataFrame(schema=GAP)
    if (data / GAPS_FILE).exists():
        ledger = GapLedger(data / GAPS_FILE)
        try:
            rows = ledger.open()
        finally:
            ledger.close()
    return rows.select("meter_id", gap_since="start", gap_cause="cause")
