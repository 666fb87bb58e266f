"""Customer baseline (基线) of events of orderly use and demand response, and compliance; pure.

    baseline(t)    = mean of the X like days' energy at t's clock time      (X of Y: eligible.py)
    additive       + clip(mean over the window of (actual - baseline), ±cap × baseline(t))
    ratio          × clip(actual / baseline over the window, 1 - cap, 1 + cap)
    reduction(t)   = baseline(t) - actual(t)
    complies(t)    reduction >= ordered kW × 0.25 h, or actual <= cap kW × 0.25 h

The adjustment by hours of the same day is recalled (domain section 5, unverified); GB/T 32127's and
Guangdong's own formula were not found in public. So no figure here is the law's: the settings say
which method the bureau chose, and each result what it rests on.
"""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from processors.baseline_rows import BLOCKS, EVENTS, Lack
from processors.eligible import KEYS, LIKE_DAY, Cells, beside, like_days, looked_at, slots
from processors.events import BaselineSettings
from processors.interval import BLOCK, Quality

_BLOCK_H = BLOCK.seconds / 3600
_EPS = 1e-9


@dataclass(frozen=True, slots=True)
class Baselines:
    """What is known of events."""

    events: pl.DataFrame
    """EVENTS."""
    blocks: pl.DataFrame
    """BLOCKS."""
    like_days: pl.DataFrame
    """LIKE_DAY."""


def baselines(
    blocks: pl.DataFrame,
    orders: pl.DataFrame,
    every: pl.DataFrame,
    types: pl.DataFrame,
    rule: BaselineSettings,
    now: datetime,
) -> Baselines:
    """State baseline, reduction and compliance of events.

    Args:
        blocks: latest blocks of the sites (`subjects.site_blocks`: the site in `meter_id`), as far
            back as `rule` looks.
        orders: ORDER rows wanted.
        every: ORDER rows of all events: their days are no like days.
        types: `timezone`, `date`, `day_type` of the days looked at and of the event days.
        rule: the method.
        now: blocks that have not ended by then are undecided.
    """
    zones = orders.select("site_id", "timezone").unique()
    known = blocks.with_columns(site_id=pl.col("meter_id").cast(pl.String())).join(
        zones, on="site_id"
    )
    wanted = slots(orders, rule)
    cells = Cells.of(known, wanted)
    days = looked_at(orders, every, types, rule)
    hours = beside(days, wanted, cells)
    likes = like_days(days, hours, cells, rule)
    mean = _mean(hours, likes)
    at = wanted.join(mean, on=[*KEYS, "start", "role"], how="left").join(
        known.select("site_id", "start", "energy_kwh", "coverage", "quality"),
        on=["site_id", "start"],
        how="left",
    )
    windows = _windows(orders, at.filter(pl.col("role") == "window"), rule)
    judged = _judged(at.filter(pl.col("role") == "event"), windows, rule, now)
    told = judged.select(pl.col(n).cast(t) for n, t in BLOCKS.items()).sort(*KEYS, "start")
    return Baselines(_events(windows, judged, likes), told, likes.select(list(LIKE_DAY)))


def _mean(hours: pl.DataFrame, likes: pl.DataFrame) -> pl.DataFrame:
    """Return the mean of the days used at each slot: `unadjusted_kwh`, `estimated_share`."""
    used = likes.filter("used").select(*KEYS, "day")
    kwh = pl.col("kwh")
    guessed = kwh.filter(pl.col("estimated")).sum()
    return (
        hours.join(used, on=[*KEYS, "day"], how="semi")
        .group_by(*KEYS, "role", "start")
        .agg(
            kwh.mean().alias("unadjusted_kwh"),
            pl.when(kwh.sum() > 0).then(guessed / kwh.sum()).alias("estimated_share"),
        )
    )


def _windows(orders: pl.DataFrame, rows: pl.DataFrame, rule: BaselineSettings) -> pl.DataFrame:
    """Return the orders with what their windows say: `adjust_kw`, `_ratio`, `adjust_reason`."""
    measured = pl.col("energy_kwh").is_not_null() & (
        pl.col("quality") != Quality.ESTIMATED.value
    ).fill_null(value=False)
    sums = rows.group_by(KEYS).agg(
        pl.col("energy_kwh").mean().alias("_actual"),
        pl.col("unadjusted_kwh").mean().alias("_base"),
        measured.all().alias("_measured"),
    )
    found = pl.col("_measured").is_not_null()
    reason = (
        pl.when(~found & pl.lit(rule.adjust != "none"))
        .then(pl.lit(Lack.WINDOW_OFF_DAY.value))
        .when(~pl.col("_measured"))
        .then(pl.lit(Lack.WINDOW_NOT_MEASURED.value))
        .when(pl.col("_base").is_null() & found)
        .then(pl.lit(Lack.TOO_FEW_LIKE_DAYS.value))
        .when((pl.col("_base") <= 0) & pl.lit(rule.adjust == "ratio"))
        .then(pl.lit(Lack.WINDOW_NO_LOAD.value))
    )
    stated = pl.col("adjust_reason").is_null()
    ratio = pl.when(pl.col("_base") > 0).then(pl.col("_actual") / pl.col("_base"))
    return (
        orders.join(sums, on=list(KEYS), how="left")
        .with_columns(adjust_reason=reason)
        .with_columns(
            adjust_kw=pl.when(stated).then((pl.col("_actual") - pl.col("_base")) / _BLOCK_H),
            adjust_ratio=pl.when(stated).then(ratio),
        )
    )


def _adjusted(rule: BaselineSettings) -> pl.Expr:
    base, cap = pl.col("unadjusted_kwh"), rule.adjust_cap
    if rule.adjust == "ratio":
        moved = base * pl.col("adjust_ratio").clip(1.0 - cap, 1.0 + cap)
    else:
        most = base * cap
        moved = base + pl.max_horizontal(
            -most, pl.min_horizontal(most, pl.col("adjust_kw") * _BLOCK_H)
        )
    asked = pl.col("adjust_kw").is_not_null() & pl.lit(rule.adjust != "none")
    return pl.when(asked).then(moved).otherwise(base)


def _judged(
    rows: pl.DataFrame, windows: pl.DataFrame, rule: BaselineSettings, now: datetime
) -> pl.DataFrame:
    facts = windows.select(
        *(*KEYS, "cut_kw", "cap_kw", "notified_at", "adjust_kw", "adjust_ratio", "adjust_reason"),
        begins="start",
    )
    full = rows.join(facts, on=list(KEYS)).with_columns(
        end=pl.col("start") + BLOCK, actual_kwh="energy_kwh", baseline_kwh=_adjusted(rule)
    )
    limit = pl.coalesce(
        pl.col("cap_kw") * _BLOCK_H, pl.col("baseline_kwh") - pl.col("cut_kw") * _BLOCK_H
    )
    placed = full.with_columns(
        reduction_kwh=pl.col("baseline_kwh") - pl.col("actual_kwh"),
        limit_kwh=limit,
        reason=_lack(now),
    )
    within = pl.col("actual_kwh") <= pl.col("limit_kwh") + _EPS
    verdict = (
        pl.when(pl.col("reason").is_not_null())
        .then(pl.lit("undecided"))
        .when(within)
        .then(pl.lit("complies"))
        .otherwise(pl.lit("fails"))
    )
    return placed.with_columns(verdict=verdict)


def _lack(now: datetime) -> pl.Expr:
    told, cut = pl.col("notified_at"), pl.col("cap_kw").is_null()
    unsure = pl.col("adjust_reason").is_in(
        [Lack.WINDOW_NOT_MEASURED.value, Lack.WINDOW_NO_LOAD.value]
    )
    return (
        pl.when(told.is_null())
        .then(pl.lit(Lack.NO_PROOF_OF_NOTICE.value))
        .when(told > pl.col("begins"))
        .then(pl.lit(Lack.NOTIFIED_LATE.value))
        .when(pl.col("end") > now)
        .then(pl.lit(Lack.NOT_OVER.value))
        .when(pl.col("actual_kwh").is_null())
        .then(pl.lit(Lack.NOT_MEASURED.value))
        .when(pl.col("quality") == Quality.ESTIMATED.value)
        .then(pl.lit(Lack.ESTIMATED.value))
        .when(cut & pl.col("baseline_kwh").is_null())
        .then(pl.lit(Lack.TOO_FEW_LIKE_DAYS.value))
        .when(cut & unsure)
        .then("adjust_reason")
    )


def _events(windows: pl.DataFrame, judged: pl.DataFrame, likes: pl.DataFrame) -> pl.DataFrame:
    both = pl.col("reduction_kwh").is_not_null()
    verdict, asked = pl.col("verdict"), pl.col("cut_kw").filter(both).sum() * _BLOCK_H
    base = pl.col("unadjusted_kwh")
    sums = (
        judged.sort("start")
        .group_by(KEYS)
        .agg(
            pl.len().alias("blocks"),
            (verdict == "complies").sum().alias("complied"),
            (verdict == "fails").sum().alias("failed"),
            (verdict == "undecided").sum().alias("undecided"),
            pl.col("reason").drop_nulls().first(),
            both.sum().alias("blocks_stated"),
            *(
                pl.when(both.any()).then(pl.col(name).filter(both).sum()).alias(name)
                for name in ("baseline_kwh", "actual_kwh", "reduction_kwh")
            ),
            pl.when(asked > 0).then(pl.col("reduction_kwh").sum() / asked).alias("achieved_ratio"),
            pl.col("coverage").fill_null(0.0).mean(),
            pl.when(base.sum() > 0)
            .then((base * pl.col("estimated_share").fill_null(0.0)).sum() / base.sum())
            .alias("estimated_share"),
        )
    )
    used = likes.group_by(KEYS).agg(pl.col("used").sum().alias("like_days"))
    whole = (
        pl.when(pl.col("failed") > 0)
        .then(pl.lit("fails"))
        .when(pl.col("undecided") > 0)
        .then(pl.lit("undecided"))
        .otherwise(pl.lit("complies"))
    )
    rows = windows.join(sums, on=list(KEYS), how="left").join(used, on=list(KEYS), how="left")
    named = rows.with_columns(pl.col("like_days").fill_null(0), verdict=whole).with_columns(
        reason=pl.when(pl.col("verdict") == "undecided").then("reason")
    )
    return named.select(pl.col(n).cast(t) for n, t in EVENTS.items()).sort(*KEYS)
