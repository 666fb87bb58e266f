"""CAP_ACCOUNT: load limits (负荷限额, orderly use 有序用电) against the blocks they bound. Pure.

A block's load is the sum of the block demands of the site's main meters (kW, mean of 15 minutes).

    above       load > cap; hours above = blocks above x 0.25 h
    kwh above   Σ (load - cap) x 0.25 h over the blocks above

A sum that lacks a meter is a lower bound: above the cap it counts, below it decides nothing and the
block counts as not known.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import polars as pl

from collector.reading import UTC_US
from collector.site import Site
from processors.intensity import mains
from processors.interval import BLOCK, Quality

CAP_ACCOUNT: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "kind": pl.String(),
    "start": UTC_US,
    "end": UTC_US,
    "cap_kw": pl.Float64(),
    "declared_by": pl.String(),
    "blocks_due": pl.Int32(),
    "blocks": pl.Int32(),
    "coverage": pl.Float64(),
    "estimated_share": pl.Float64(),
    "blocks_above": pl.Int32(),
    "hours_above": pl.Float64(),
    "kwh_above": pl.Float64(),
    "worst_kw": pl.Float64(),
    "worst_at": UTC_US,
    "used_ratio": pl.Float64(),
    "remaining_kw": pl.Float64(),
}
"""One row a site and cap. `kind` cap; `start`/`end` of its part of the span that has passed;
`blocks_due` that ended in it, `blocks` of them decided, `coverage` = blocks / blocks_due;
`estimated_share` 0..1 of the decided blocks with estimated energy; `blocks_above`, `hours_above`
(h) and `kwh_above` (kWh) as above; `worst_kw` the greatest load, `worst_at` the start of its block,
the earliest of equals; `used_ratio` = worst_kw / cap_kw; `remaining_kw` = cap_kw - worst_kw,
negative once crossed. Null, never 0, where no block is decided."""

CAP_STATE: dict[str, pl.DataType] = CAP_ACCOUNT | {"at": UTC_US}
"""The account of the running month at the instant `at`, one row a site with caps: that of the last
one that has begun to bind in it. Where none has, `cap_kw` is null and nothing is due or above."""

CAP_DAY: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "day": pl.Date(),
    "cap_kw": pl.Float64(),
    "blocks": pl.Int32(),
    "blocks_above": pl.Int32(),
    "kwh_above": pl.Float64(),
    "worst_kw": pl.Float64(),
}
"""The account day by day (local): figures of that day alone, names as in CAP_ACCOUNT."""

_BLOCK_H = BLOCK.seconds / 3600


def cap_accounts(
    intervals: pl.DataFrame, sites: Iterable[Site], start: date, end: date, now: datetime
) -> pl.DataFrame:
    """State the account of every cap in force on local days of [start, end), as far as passed.

    Args:
        intervals: latest INTERVAL rows of the main meters over the span.
        sites: those without a cap in the span are left out.
        start: first local day.
        end: first local day no longer meant.
        now: blocks that have not ended by then are left out.

    Returns:
        CAP_ACCOUNT rows sorted by site and start.
    """
    terms = _terms(sites, start, end, now)
    rows = _decided(intervals, terms).group_by("site_id", "cap_start").agg(_figures())
    full = terms.join(rows, on=["site_id", "cap_start"], how="left").with_columns(
        kind=pl.lit("cap"),
        start="cap_start",
        end="cap_end",
        blocks=pl.col("blocks").fill_null(0),
        coverage=pl.col("blocks").fill_null(0) / pl.col("blocks_due"),
        used_ratio=pl.col("worst_kw") / pl.col("cap_kw"),
        remaining_kw=pl.col("cap_kw") - pl.col("worst_kw"),
        hours_above=pl.col("blocks_above") * _BLOCK_H,
    )
    return _shaped(full, CAP_ACCOUNT).sort("site_id", "start")


def cap_states(intervals: pl.DataFrame, sites: Iterable[Site], now: datetime) -> pl.DataFrame:
    """State the caps of the running month: CAP_STATE rows sorted by site.

    Args:
        intervals: latest INTERVAL rows of the main meters since the month began at each site.
        sites: those without a cap are left out.
        now: the instant of the statement.
    """
    by_day: dict[date, list[Site]] = {}
    for site in sites:
        if site.cap_kw:
            by_day.setdefault(now.astimezone(ZoneInfo(site.timezone)).date(), []).append(site)
    parts = [pl.DataFrame(schema=CAP_ACCOUNT)]
    for day, some in by_day.items():
        month = day.replace(day=1)
        found = cap_accounts(intervals, some, month, day + timedelta(days=1), now)
        last = found.sort("start").unique("site_id", keep="last")
        free = pl.DataFrame({"site_id": [one.id for one in some]}).join(last, "site_id", how="anti")
        parts += [last, _nothing_above(free)]
    return _shaped(pl.concat(parts).with_columns(at=pl.lit(now)), CAP_STATE).sort("site_id")


def _nothing_above(sites: pl.DataFrame) -> pl.DataFrame:
    told: dict[str, object] = {"kind": "cap"}
    for name in ("blocks_due", "blocks", "blocks_above", "hours_above", "kwh_above"):
        told[name] = 0
    others = [pl.lit(told.get(name)).alias(name) for name in CAP_ACCOUNT if name != "site_id"]
    return _shaped(sites.with_columns(others), CAP_ACCOUNT)


def cap_days(
    intervals: pl.DataFrame, sites: Iterable[Site], start: date, end: date, now: datetime
) -> pl.DataFrame:
    """Return the accounts day by day: CAP_DAY rows of days with a decided block."""
    terms = _terms(sites, start, end, now)
    zones = terms.select("site_id", "zone").unique()
    parts = [
        part.with_columns(day=pl.col("start").dt.convert_time_zone(str(zone)).dt.date())
        for (zone,), part in _decided(intervals, terms)
        .join(zones, on="site_id")
        .partition_by("zone", as_dict=True)
        .items()
    ]
    if not parts:
        return pl.DataFrame(schema=CAP_DAY)
    rows = pl.concat(parts).group_by("site_id", "day", "cap_kw").agg(_figures())
    return _shaped(rows, CAP_DAY).sort("site_id", "day")


def _terms(sites: Iterable[Site], start: date, end: date, now: datetime) -> pl.DataFrame:
    """Return one row a site and cap: its part of the span, and its number of main meters."""
    schema = {
        "site_id": pl.String(),
        "cap_start": UTC_US,
        "cap_end": UTC_US,
        "cap_kw": pl.Float64(),
        "declared_by": pl.String(),
        "meters": pl.List(pl.String()),
        "zone": pl.String(),
    }
    rows = [one for site in sites for one in _spans(site, start, end, now)]
    due = (pl.col("cap_end") - pl.col("cap_start")).dt.total_seconds() // BLOCK.seconds
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(blocks_due=due)


def _spans(site: Site, start: date, end: date, now: datetime) -> Iterator[tuple[object, ...]]:
    zone, meters = ZoneInfo(site.timezone), list(mains(site))
    for cap, following in pairwise([*site.cap_kw, None]):
        if cap is None:
            continue
        ends = [end, *(one for one in (cap.until, following and following.since) if one)]
        first, last = (_midnight(day, zone) for day in (max(cap.since, start), min(ends)))
        stop = min(last, now - timedelta(seconds=now.timestamp() % BLOCK.seconds))
        if first < stop:
            declared = cap.declared_by or None
            yield (site.id, first, stop, cap.value, declared, meters, site.timezone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def _decided(intervals: pl.DataFrame, terms: pl.DataFrame) -> pl.DataFrame:
    """Return the load of each site and block that is known to be above its cap or not."""
    known = intervals.filter(pl.col("demand_kw").is_not_null())
    estimated = (pl.col("quality") == Quality.ESTIMATED.value).any()
    mine = terms.with_columns(count=pl.col("meters").list.len()).explode("meters")
    return (
        known.with_columns(pl.col("meter_id").cast(pl.String()))
        .join(mine, left_on="meter_id", right_on="meters")
        .filter(pl.col("start") >= pl.col("cap_start"), pl.col("start") < pl.col("cap_end"))
        .group_by("site_id", "cap_start", "cap_kw", "start")
        .agg(
            load_kw=pl.col("demand_kw").sum(),
            whole=pl.len() == pl.col("count").first(),
            estimated=estimated,
        )
        .filter(pl.col("whole") | (pl.col("load_kw") > pl.col("cap_kw")))
    )


def _figures() -> list[pl.Expr]:
    load, over = pl.col("load_kw"), pl.col("load_kw") - pl.col("cap_kw")
    return [
        pl.len().alias("blocks"),
        (over > 0).sum().alias("blocks_above"),
        (over.clip(lower_bound=0.0).sum() * _BLOCK_H).alias("kwh_above"),
        load.max().alias("worst_kw"),
        pl.col("start").filter(load == load.max()).min().alias("worst_at"),
        pl.col("estimated").mean().alias("estimated_share"),
    ]


def _shaped(rows: pl.DataFrame, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    return rows.select(pl.col(name).cast(kind) for name, kind in schema.items())
