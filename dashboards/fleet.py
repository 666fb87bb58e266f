"""The fleet: which meters are heard, silent or never heard; and the running block; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

import polars as pl

from collector.dated import in_force
from collector.reading import UTC_US
from collector.site import Site
from processors.book import Book
from processors.running import site_running


class Voice(StrEnum):
    """Whether a meter is heard."""

    HEARD = "heard"
    SILENT = "silent"
    NEVER = "never"


FLEET: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "site_id": pl.String(),
    "is_main": pl.Boolean(),
    "rated_power_kw": pl.Float64(),
    "voice": pl.String(),
    "measured_at": UTC_US,
    "silent_s": pl.Float64(),
    "power_kw": pl.Float64(),
    "block_start": UTC_US,
    "energy_so_far_kwh": pl.Float64(),
    "projected_demand_kw": pl.Float64(),
    "projected_low_kw": pl.Float64(),
    "projected_high_kw": pl.Float64(),
    "last_error": pl.String(),
}
"""One row a meter of the book. `silent_s` seconds since its last reading; the momentary figures are
null unless the meter is heard: an old value is not a present one."""

RUNNING: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "power_kw": pl.Float64(),
    "heard_mains": pl.UInt32(),
    "mains": pl.UInt32(),
    "block_start": UTC_US,
    "measured_at": UTC_US,
    "energy_so_far_kwh": pl.Float64(),
    "projected_demand_kw": pl.Float64(),
    "projected_low_kw": pl.Float64(),
    "projected_high_kw": pl.Float64(),
    "contract_demand_kw": pl.Float64(),
    "quota_month_kwh": pl.Float64(),
    "allowed_kw": pl.Float64(),
}
"""One row a site. `power_kw` sums the main meters that are heard (`heard_mains` of `mains`);
energy, projection and `allowed_kw` are SITE_RUNNING's, null unless every main meter is heard in the
same running block; `measured_at` is the newest reading among them."""

_MOMENTARY = (
    "power_kw", "block_start", "energy_so_far_kwh", "projected_demand_kw", "projected_low_kw",
    "projected_high_kw",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Count:
    """How many meters speak."""

    heard: int
    silent: int
    never: int

    @property
    def total(self) -> int:
        """Meters in the book."""
        return self.heard + self.silent + self.never

    @property
    def coverage(self) -> float | None:
        """Share of the meters that are heard, 0..1; None for an empty fleet."""
        return self.heard / self.total if self.total else None


def fleet(
    book: Book,
    live: pl.DataFrame,
    now: datetime,
    silent_after_s: float,
    errors: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return the FLEET at `now`.

    Args:
        book: facts of all meters.
        live: LIVE rows.
        now: site time.
        silent_after_s: seconds without a reading after which a meter is silent.
        errors: optional columns meter_id and last_error (the collector's health).
    """
    silent = (pl.lit(now).cast(UTC_US) - pl.col("measured_at")).dt.total_milliseconds() / 1000
    seen = live.select("meter_id", "measured_at", *_MOMENTARY)
    rows = book.meters.select("meter_id", "site_id", "is_main", "rated_power_kw")
    rows = rows.join(seen, on="meter_id", how="left", maintain_order="left")
    if errors is not None:
        told = errors.select("meter_id", "last_error")
        rows = rows.join(told, on="meter_id", how="left", maintain_order="left")
    else:
        rows = rows.with_columns(last_error=pl.lit(None, pl.String()))
    rows = rows.with_columns(silent_s=silent).with_columns(voice=_voice(silent_after_s))
    heard = pl.col("voice") == Voice.HEARD.value
    rows = rows.with_columns(pl.when(heard).then(pl.col(name)).alias(name) for name in _MOMENTARY)
    return rows.select(pl.col(name).cast(kind) for name, kind in FLEET.items())


def _voice(silent_after_s: float) -> pl.Expr:
    never = pl.col("measured_at").is_null()
    quiet = pl.col("silent_s") > silent_after_s
    never_said = pl.when(never).then(pl.lit(Voice.NEVER.value))
    said = never_said.when(quiet).then(pl.lit(Voice.SILENT.value))
    return said.otherwise(pl.lit(Voice.HEARD.value))


def count(rows: pl.DataFrame) -> Count:
    """Count the voices of FLEET `rows`."""
    found = dict(rows["voice"].value_counts().iter_rows())
    return Count(*(int(found.get(one.value, 0)) for one in Voice))


def limits(sites: Iterable[Site], now: datetime) -> pl.DataFrame:
    """Return site_id, contract_demand_kw and quota_month_kwh in force at `now` (null: none)."""
    rows = []
    for site in sites:
        day = now.astimezone(ZoneInfo(site.timezone)).date()
        contract = in_force(site.contract_demand_kw, day)
        quota = in_force(site.quota_month_kwh, day)
        rows.append((site.id, contract and contract.value, quota and quota.value))
    kinds = {"site_id": pl.String(), "contract_demand_kw": pl.Float64()}
    return pl.DataFrame(rows, schema=kinds | {"quota_month_kwh": pl.Float64()}, orient="row")


def running(rows: pl.DataFrame, facts: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Return RUNNING from FLEET `rows` and the `limits` of all sites; silent meters say nothing."""
    heard = pl.col("voice") == Voice.HEARD.value
    contract = facts.select("site_id", "contract_demand_kw")
    blocks = site_running(rows.filter(heard), contract, book).rename({"at": "measured_at"})
    power = (
        rows.filter("is_main")
        .group_by("site_id")
        .agg(
            pl.when(heard.any()).then(pl.col("power_kw").sum()).alias("power_kw"),
            heard.sum().alias("heard_mains"),
            pl.len().alias("mains"),
        )
    )
    blocks = blocks.drop("power_kw", "contract_demand_kw")
    joined = facts.join(power, on="site_id", how="left", maintain_order="left")
    joined = joined.join(blocks, on="site_id", how="left", maintain_order="left")
    return joined.select(pl.col(name).cast(kind) for name, kind in RUNNING.items())
