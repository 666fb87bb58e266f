"""The fleet: which meters are heard, silent or never heard; and the running block; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import polars as pl

from collector.reading import UTC_US
from collector.site import Site, in_force
from processors.book import Book
from processors.interval import BLOCK


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
    "contract_demand_kw": pl.Float64(),
    "quota_month_kwh": pl.Float64(),
    "allowed_kw": pl.Float64(),
}
"""One row a site. Sums over its main meters; energy, projection and `allowed_kw` are null unless
every main meter is heard in the same running block. `allowed_kw` is the mean power the site may
draw until the block's end so that its block demand stays at the contract demand:
(contract x 0.25 h - energy so far) / time left; below zero the contract demand is passed."""

_MOMENTARY = ("power_kw", "block_start", "energy_so_far_kwh", "projected_demand_kw")
_HOURS = BLOCK / timedelta(hours=1)


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


def running(rows: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """Return RUNNING from FLEET `rows` and the `limits` of all sites.

    The allowed power follows from block demand = energy of the block / 0.25 h.
    """
    heard = pl.col("voice") == Voice.HEARD.value
    block = pl.col("block_start").max()
    whole = (heard & (pl.col("block_start") == block)).all()
    sums = (
        rows.filter("is_main")
        .group_by("site_id", maintain_order=True)
        .agg(
            pl.when(heard.any()).then(pl.col("power_kw").sum()).alias("power_kw"),
            heard.sum().alias("heard_mains"),
            pl.len().alias("mains"),
            pl.when(whole).then(block).alias("block_start"),
            pl.when(whole).then(pl.col("measured_at").max()).alias("measured_at"),
            _if_all_known("energy_so_far_kwh", whole),
            _if_all_known("projected_demand_kw", whole),
        )
    )
    left_h = (pl.col("block_start") + BLOCK - pl.col("measured_at")).dt.total_seconds() / 3600
    room = pl.col("contract_demand_kw") * _HOURS - pl.col("energy_so_far_kwh")
    joined = facts.join(sums, on="site_id", how="left", maintain_order="left")
    return joined.with_columns(allowed_kw=pl.when(left_h > 0).then(room / left_h)).select(
        pl.col(name).cast(kind) for name, kind in RUNNING.items()
    )


def _if_all_known(name: str, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole & pl.col(name).is_not_null().all()).then(pl.col(name).sum()).alias(name)
