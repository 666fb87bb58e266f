"""Tariff periods (尖峰平谷) of instants, and the hot days that move them. Pure, vectorised.

Periods by month, day type and local hour, sharp also on days whose maximum in Guangzhou reaches
35 °C: 粤发改价格〔2021〕331号, 深发改〔2021〕1005号 (reference-data/tariff-guangdong.yaml).
"""

from datetime import timedelta

import polars as pl

from collector.imported import standing
from processors.calendar import Calendar, DayType
from processors.history.days import bounded
from processors.policy.tariff_pack import PeriodName, PeriodRule, TariffPack

PERIOD = pl.Enum([one.value for one in PeriodName])
"""sharp 尖, peak 峰, flat 平, valley 谷, in this order."""

HOT: dict[str, pl.DataType] = {
    "day": pl.Date(),
    "max_c": pl.Float64(),
    "hot": pl.Boolean(),
}
"""One row a local day with a reading: `max_c` greatest temperature read (°C); `hot` whether the
day's maximum reaches the tariff's; null: the readings leave too much of the day open to say no."""

MOST_GAP = timedelta(hours=3)
"""A day is called not hot only if no longer stretch of it is without a reading."""


def hot_days(
    readings: pl.DataFrame,
    zone: str,
    min_c: float = 35.0,
    calendar: Calendar | None = None,
    most_gap: timedelta = MOST_GAP,
) -> pl.DataFrame:
    """Return which days were hot, from the readings of one weather station.

    A day is hot from the first reading that reaches `min_c` on: the running day too. What the
    bureau told (`Calendar.hot`) stands before the readings.

    Args:
        readings: READING rows of the station, any order, repetitions allowed: of two with the same
            `measured_at` the later received counts; imports taken back do not.
        zone: the tariff's time zone.
        min_c: daily maximum from which a day is hot.
        calendar: announced maxima.
        most_gap: see MOST_GAP.

    Returns:
        HOT rows sorted by day.
    """
    told = pl.DataFrame(
        [(one.day, one.max_c, one.max_c >= min_c) for one in (calendar or Calendar()).hot],
        schema=HOT,
        orient="row",
    ).unique("day", keep="last")
    read = _read(readings, zone, min_c, most_gap)
    return pl.concat([told, read.join(told, on="day", how="anti")]).sort("day")


def _read(readings: pl.DataFrame, zone: str, min_c: float, most_gap: timedelta) -> pl.DataFrame:
    if "temperature_c" not in readings.columns:
        return pl.DataFrame(schema=HOT)
    at = pl.col("measured_at")
    counted = standing(readings) if "source" in readings.columns else readings
    newest = counted.sort("received_at").unique("measured_at", keep="last").sort("measured_at")
    known = newest.filter(pl.col("temperature_c").is_finite()).select(
        "measured_at", "temperature_c", day=at.dt.convert_time_zone(zone).dt.date()
    )
    days = known.group_by("day").agg(
        at.min().alias("first"),
        at.max().alias("last"),
        at.diff().max().alias("gap"),
        pl.col("temperature_c").max().alias("max_c"),
    )
    whole = bounded(days.with_columns(timezone=pl.lit(zone)))
    gap = pl.max_horizontal(
        "gap", pl.col("first") - pl.col("start"), pl.col("end") - pl.col("last")
    )
    hot = pl.when(pl.col("max_c") >= min_c).then(True).when(gap <= most_gap).then(False)
    return whole.with_columns(hot=hot).select(pl.col(n).cast(t) for n, t in HOT.items())


def period_of(
    starts: pl.Series,
    pack: TariffPack,
    hot_days: pl.DataFrame | None,
    zone: str,
    calendar: Calendar | None = None,
) -> pl.Series:
    """Return the tariff period each block begins in.

    Args:
        starts: UTC instants, in any order; a block of 15 minutes lies in one period.
        pack: the edition in force on those days.
        hot_days: HOT rows; a day that is absent or not known counts as not hot until it is.
        zone: the site's time zone.
        calendar: day types, for packs that know them.

    Returns:
        PERIOD, null where the pack needs the day's type and it is not known.
    """
    hot = [] if hot_days is None else hot_days.filter("hot")["day"].to_list()
    local = starts.dt.convert_time_zone(zone)
    frame = pl.DataFrame(
        {
            "minute": local.dt.hour().cast(pl.Int32) * 60 + local.dt.minute(),
            "month": local.dt.month(),
            "day": local.dt.date(),
        }
    )
    frame = frame.with_columns(hot=pl.col("day").is_in(hot))
    if any(rule.day_types for rule in pack.periods):
        days = frame.select(pl.col("day").unique())
        types = (calendar or Calendar()).types(days["day"], zone).alias("day_type")
        frame = frame.join(days.with_columns(types), on="day", how="left", maintain_order="left")
    return frame.select(_chain(pack).cast(PERIOD).alias("period")).to_series()


def _chain(pack: TariffPack) -> pl.Expr:
    """Return the first rule that holds; null where that hangs on a day type not known."""
    chain = pl.lit(pack.otherwise.value)
    for rule in reversed(pack.periods):
        here, named = _where(rule), pl.lit(rule.period.value)
        if rule.day_types:
            kind = pl.col("day_type").cast(pl.String)
            meant = kind.is_in([one.value for one in rule.day_types])
            unknown = kind == DayType.UNKNOWN.value
            chain = pl.when(here & meant).then(named).when(~here | ~unknown).then(chain)
        else:
            chain = pl.when(here).then(named).otherwise(chain)
    return chain


def _where(rule: PeriodRule) -> pl.Expr:
    minute = pl.col("minute")
    inside = pl.any_horizontal((minute >= a) & (minute < b) for a, b in rule.minutes)
    if not rule.months:
        return inside
    season = pl.col("month").is_in(rule.months)
    return inside & (season | pl.col("hot") if rule.or_hot else season)
