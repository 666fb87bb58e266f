"""Like days of events: which days may stand for what a site would have used, and why others not.

X of Y (Oracle DACS, W1_AG_DACS_Baseline_Calculation_Rule; gridmango.com/resource-baseline-methods):
the last Y eligible days of the event day's type; of these the X with the greatest energy in the
event's hours. An hour is found by its local clock time: where clocks go back it comes twice and the
mean of both stands for it; a day on which clocks skip it is not eligible. Pure, over all sites at
once.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import polars as pl

from processors.events import BaselineSettings
from processors.history.days import bounded
from processors.interval import BLOCK, Quality

KEYS = ("event_id", "site_id")

LIKE_DAY: dict[str, pl.DataType] = {
    "event_id": pl.String(),
    "site_id": pl.String(),
    "day": pl.Date(),
    "day_type": pl.String(),
    "energy_kwh": pl.Float64(),
    "coverage": pl.Float64(),
    "hours_coverage": pl.Float64(),
    "estimated_share": pl.Float64(),
    "used": pl.Boolean(),
    "reason": pl.String(),
}
"""One row an event, site and day looked at. `energy_kwh` in the event's hours; `coverage` 0..1 of
the local day, `hours_coverage` of the hours used (the event's and the adjustment window's), that
measurement supports; `estimated_share` 0..1 of energy_kwh; `used`: one of the X; `reason` (Why) it
is not eligible, null if it is: then it is one of the last Y."""

_EPS = 1e-9
_BLOCK_US = BLOCK.seconds * 1_000_000


class Why(StrEnum):
    """Why a day is not one of the Y."""

    OTHER_DAY_TYPE = "other_day_type"
    EVENT_DAY = "event_day"
    BESIDE_EVENT = "beside_event"
    """Just before or after an event, this one included: load is moved there."""
    AFTER_NOTICE = "after_notice"
    """Of the day of the notice or later: who is told can raise his load."""
    LOW_COVERAGE = "low_coverage"
    HOURS_MISSING = "hours_missing"
    """A block of the hours used states no energy, or clocks skip it."""
    NOT_NEEDED = "not_needed"
    """Older than the last Y."""


def placed(rows: pl.DataFrame) -> pl.DataFrame:
    """Add local `day` and `clock` of `start` to rows that have `timezone`."""
    day, clock = pl.lit(None, pl.Date()), pl.lit(None, pl.Time())
    for zone in rows["timezone"].unique():
        here, mine = pl.col("start").dt.convert_time_zone(zone), pl.col("timezone") == zone
        day = pl.when(mine).then(here.dt.date()).otherwise(day)
        clock = pl.when(mine).then(here.dt.time()).otherwise(clock)
    return rows.with_columns(day=day, clock=clock)


def slots(orders: pl.DataFrame, rule: BaselineSettings) -> pl.DataFrame:
    """Return the blocks of the events and of their adjustment windows.

    Args:
        orders: ORDER rows.
        rule: where the window lies.

    Returns:
        `event_id`, `site_id`, `timezone`, `event_day` (local, of its start), `role` (event or
        window), `start`, `clock`, `offset` (local days after event_day). No window rows where it
        would begin on an earlier day than the event.
    """
    due = placed(orders).rename({"day": "event_day"}).drop("clock")
    block = f"{BLOCK.seconds}s"
    event = _blocks(due, "start", "end", "event")
    parts = [event]
    if rule.adjust != "none":
        ends = pl.col("start") - timedelta(hours=rule.adjust_gap_hours)
        if rule.adjust_before == "notice":
            ends = pl.min_horizontal(ends, pl.col("notified_at").dt.truncate(block))
        window = due.with_columns(_from=ends - timedelta(hours=rule.adjust_hours), _to=ends)
        rows = _blocks(window, "_from", "_to", "window")
        parts.append(rows.filter((pl.col("day") == pl.col("event_day")).all().over(KEYS)))
    apart = (pl.col("day") - pl.col("event_day")).dt.total_days().alias("offset")
    return pl.concat(parts).with_columns(apart).drop("day")


def _blocks(due: pl.DataFrame, first: str, end: str, role: str) -> pl.DataFrame:
    starts = pl.datetime_ranges(first, end, f"{BLOCK.seconds}s", closed="left")
    rows = due.select(*KEYS, "timezone", "event_day", pl.lit(role).alias("role"), starts=starts)
    each = rows.explode("starts").rename({"starts": "start"})
    return placed(each.filter(pl.col("start").is_not_null()))


@dataclass(frozen=True, slots=True)
class Cells:
    """What sites used, by local time."""

    hours: pl.DataFrame
    """`site_id`, `day`, `clock` of the slots only: `kwh` (null if any block of it is not known),
    `covered`, `estimated`."""
    days: pl.DataFrame
    """`site_id`, `day`, `covered`: the sum of the day's coverages."""

    @classmethod
    def of(cls, blocks: pl.DataFrame, wanted: pl.DataFrame) -> "Cells":
        """Place the latest blocks of sites (`site_id`, `timezone`) for the slots `wanted`."""
        local = placed(blocks).with_columns(
            pl.col("coverage").fill_null(0.0),
            estimated=pl.col("quality") == Quality.ESTIMATED.value,
        )
        clocks = wanted.select("site_id", "clock").unique()
        # plain sums, stated after: conditions inside the aggregation take ten times as long
        hours = (
            local.join(clocks, on=["site_id", "clock"], how="semi")
            .group_by("site_id", "day", "clock")
            .agg(
                pl.col("energy_kwh").sum(),
                pl.col("energy_kwh").count().alias("known"),
                pl.len().alias("times"),
                pl.col("coverage").sum(),
                pl.col("estimated").any(),
            )
        )
        mean = pl.col("energy_kwh") / pl.col("times")
        return cls(
            hours.select(
                *("site_id", "day", "clock", "estimated"),
                kwh=pl.when(pl.col("known") == pl.col("times")).then(mean),
                covered=pl.col("coverage") / pl.col("times"),
            ),
            local.group_by("site_id", "day").agg(pl.col("coverage").sum().alias("covered")),
        )


def looked_at(
    orders: pl.DataFrame, every: pl.DataFrame, types: pl.DataFrame, rule: BaselineSettings
) -> pl.DataFrame:
    """Return the days before each event, with the reason if the calendar already excludes them.

    Args:
        orders: ORDER rows asked for.
        every: ORDER rows of all events, asked for or not: their days are like no other.
        types: `timezone`, `date`, `day_type`, as far back as `rule` looks.
        rule: how far.
    """
    due = placed(orders).rename({"day": "event_day"}).drop("clock", "start")
    told = placed(due.rename({"notified_at": "start"}))["day"]
    due = due.with_columns(notice_day=told)
    first = pl.min_horizontal("event_day", "notice_day").dt.offset_by(f"-{rule.lookback_days}d")
    last = pl.col("event_day").dt.offset_by("-1d")
    days = due.select(
        *KEYS, "timezone", "event_day", "notice_day", day=pl.date_ranges(first, last)
    ).explode("day")
    kinds = types.rename({"date": "day"})
    own = types.rename({"date": "event_day", "day_type": "own_type"})
    rows = (
        days.join(kinds, on=["timezone", "day"], how="left")
        .join(own, on=["timezone", "event_day"], how="left")
        .join(_busy(every, rule), on=["site_id", "day"], how="left")
    )
    alike = (pl.col("day_type") == pl.col("own_type")).fill_null(value=False)
    reason = (
        pl.when(~alike)
        .then(pl.lit(Why.OTHER_DAY_TYPE.value))
        .when(pl.col("busy").is_not_null())
        .then(pl.col("busy"))
        .when(pl.col("day") >= pl.col("notice_day"))
        .then(pl.lit(Why.AFTER_NOTICE.value))
    )
    return rows.select(*KEYS, "timezone", "day", "day_type", reason=reason)


def _busy(every: pl.DataFrame, rule: BaselineSettings) -> pl.DataFrame:
    """Return site_id, day and why that day is not like others: `event_day` or `beside_event`."""
    begun = placed(every).rename({"day": "first"}).drop("clock", "start")
    last_block = pl.col("end") - BLOCK
    spans = placed(begun.with_columns(start=last_block)).rename({"day": "last"})
    wide = f"{rule.beside_days}d"
    around = pl.date_ranges(
        pl.col("first").dt.offset_by(f"-{wide}"), pl.col("last").dt.offset_by(wide)
    )
    rows = spans.select("site_id", "first", "last", day=around).explode("day")
    inside = pl.col("day").is_between("first", "last").any()
    chosen = pl.when(inside).then(pl.lit(Why.EVENT_DAY.value))
    return rows.group_by("site_id", "day").agg(
        busy=chosen.otherwise(pl.lit(Why.BESIDE_EVENT.value))
    )


def like_days(
    days: pl.DataFrame, hours: pl.DataFrame, cells: Cells, rule: BaselineSettings
) -> pl.DataFrame:
    """Return LIKE_DAY: the X of Y, and why the others are not.

    Args:
        days: from `looked_at`.
        hours: from `beside`.
        cells: of the sites.
        rule: X, Y and the coverage wanted.
    """
    mine = pl.col("role") == "event"
    kwh, guessed = pl.col("kwh").filter(mine), pl.col("kwh").filter(mine & pl.col("estimated"))
    figures = hours.group_by(*KEYS, "day").agg(
        pl.when(kwh.null_count() == 0).then(kwh.sum()).alias("energy_kwh"),
        pl.col("kwh").null_count().alias("_missing"),
        pl.col("covered").fill_null(0.0).mean().alias("hours_coverage"),
        pl.when(kwh.sum() > 0).then(guessed.sum() / kwh.sum()).alias("estimated_share"),
    )
    rows = _covered(days, cells).join(figures, on=[*KEYS, "day"], how="left")
    least = rule.min_coverage - _EPS
    low = (pl.col("coverage") < least) | (pl.col("hours_coverage") < least)
    judged = rows.with_columns(
        reason=pl.when(pl.col("reason").is_not_null())
        .then("reason")
        .when(pl.col("_missing") > 0)
        .then(pl.lit(Why.HOURS_MISSING.value))
        .when(low)
        .then(pl.lit(Why.LOW_COVERAGE.value))
    )
    return _chosen(judged, rule).select(pl.col(n).cast(t) for n, t in LIKE_DAY.items())


def _covered(days: pl.DataFrame, cells: Cells) -> pl.DataFrame:
    """Add the coverage of each local day of 23, 24 or 25 hours; an absent block counts 0."""
    sums = cells.days.rename({"covered": "_sum"})
    due = bounded(days.select("timezone", "day").unique()).select(
        "timezone",
        "day",
        _due=(pl.col("end") - pl.col("start")).dt.total_microseconds() / _BLOCK_US,
    )
    share = (pl.col("_sum").fill_null(0.0) / pl.col("_due")).clip(upper_bound=1.0)
    return (
        days.join(sums, on=["site_id", "day"], how="left")
        .join(due, on=["timezone", "day"])
        .with_columns(coverage=share)
    )


def beside(days: pl.DataFrame, wanted: pl.DataFrame, cells: Cells) -> pl.DataFrame:
    """Return the energy of every day not yet excluded at every slot of its event.

    Args:
        days: from `looked_at`.
        wanted: from `slots`.
        cells: of the sites.

    Returns:
        `event_id`, `site_id`, `day`, `start` and `role` of the slot, `kwh`, `covered`, `estimated`.
    """
    left = days.filter(pl.col("reason").is_null()).select(*KEYS, "day")
    at = wanted.select(*KEYS, "role", "start", "clock", "offset")
    pairs = left.join(at, on=list(KEYS)).with_columns(
        _day=(pl.col("day") + pl.duration(days=pl.col("offset"))).cast(pl.Date)
    )
    known = cells.hours.rename({"day": "_day"})
    return pairs.join(known, on=["site_id", "_day", "clock"], how="left").drop("_day")


def _chosen(judged: pl.DataFrame, rule: BaselineSettings) -> pl.DataFrame:
    newest = judged.sort(*KEYS, "day", descending=[False, False, True])
    fit = pl.col("reason").is_null()
    place = fit.cum_sum().over(KEYS)
    beyond = fit & (place > rule.of)
    counted = newest.with_columns(
        reason=pl.when(beyond).then(pl.lit(Why.NOT_NEEDED.value)).otherwise("reason"),
        _enough=fit.sum().over(KEYS) >= rule.of,
    )
    ranked = counted.sort(
        *KEYS, "energy_kwh", "day", descending=[False, False, True, True], nulls_last=True
    )
    rank = fit.cum_sum().over(KEYS)
    used = fit & pl.col("_enough") & (rank <= rule.keep)
    return ranked.with_columns(used=used).sort(*KEYS, "day", descending=[False, False, True])
