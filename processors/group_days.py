"""GROUP_DAY: sums of groups over local days, with the greatest load of all at the same time."""

import polars as pl

from collector.reading import UTC_US
from processors.interval import BLOCK

GROUP_DAY: dict[str, pl.DataType] = {
    "group_kind": pl.String(),
    "group_id": pl.String(),
    "day": pl.Date(),
    "start": UTC_US,
    "end": UTC_US,
    "energy_kwh": pl.Float64(),
    "max_demand_kw": pl.Float64(),
    "max_demand_at": UTC_US,
    "export_kwh": pl.Float64(),
    "generation_kwh": pl.Float64(),
    "charge_kwh": pl.Float64(),
    "discharge_kwh": pl.Float64(),
    "net_import_kwh": pl.Float64(),
    "consumption_kwh": pl.Float64(),
    "reason": pl.String(),
    "coverage_count": pl.Float64(),
    "coverage_kw": pl.Float64(),
    "estimated_share": pl.Float64(),
    "blocks": pl.Int64(),
    "blocks_expected": pl.Int64(),
    "revision": pl.Int64(),
    "computed_at": UTC_US,
}
"""One row a group and local day `[start, end)`. `energy_kwh` (kWh), other flows: of the blocks
known; `max_demand_kw` the greatest block demand of the group, all meters at the same time, in the
block that starts at `max_demand_at`, the earlier of equals; `net_import_kwh` and `consumption_kwh`
null, with the first `reason`, unless every block told has them. Coverage is over all blocks of the
day, those not told counting 0. `blocks` with energy of `blocks_expected`: 92, 96 or 100."""

_FLOWS = ("energy_kwh", "export_kwh", "generation_kwh", "charge_kwh", "discharge_kwh")
_BALANCES = ("net_import_kwh", "consumption_kwh")
_COVERAGES = ("coverage_count", "coverage_kw")


def by_day(groups: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Add GROUP rows up to local days of an IANA zone.

    Returns:
        GROUP_DAY rows sorted by (group_kind, group_id, day).
    """
    local = pl.col("start").dt.convert_time_zone(zone).dt.truncate("1d").alias("local")
    keys = ["group_kind", "group_id", "local"]
    energy, estimated = pl.col("energy_kwh"), pl.col("estimated_share")
    demand = pl.col("demand_kw")
    days = (
        groups.sort("start")
        .group_by("group_kind", "group_id", local)
        .agg(
            *(_sum(name, pl.col(name).count() > 0) for name in _FLOWS),
            *(_sum(name, pl.col(name).count() == pl.len()) for name in _BALANCES),
            pl.col("reason").drop_nulls().first(),
            demand.max().alias("max_demand_kw"),
            pl.col("start").filter(demand == demand.max()).first().alias("max_demand_at"),
            *(_sum(name, pl.col(name).count() == pl.len()) for name in _COVERAGES),
            pl.when(energy.sum() != 0)
            .then((estimated * energy).sum() / energy.sum())
            .otherwise(estimated.mean())
            .alias("estimated_share"),
            energy.count().alias("blocks"),
            pl.col("revision").sum(),
            pl.col("computed_at").max(),
        )
    )
    end = pl.col("local").dt.offset_by("1d")
    expected = ((end - pl.col("local")) / BLOCK).round()
    told = days.with_columns(
        pl.col("local").dt.date().alias("day"),
        pl.col("local").dt.convert_time_zone("UTC").alias("start"),
        end.dt.convert_time_zone("UTC").alias("end"),
        expected.alias("blocks_expected"),
        *(pl.col(name) / expected for name in _COVERAGES),
    )
    return told.sort(keys).select(pl.col(name).cast(kind) for name, kind in GROUP_DAY.items())


def _sum(name: str, known: pl.Expr) -> pl.Expr:
    return pl.when(known).then(pl.col(name).sum()).alias(name)
