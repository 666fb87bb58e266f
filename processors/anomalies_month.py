"""Suspected loss of a phase (缺相计量嫌疑): losses added up over a local month; pure.

`analytic_rules` of the reference data: this product's own, no standard's.
"""

from datetime import datetime

import polars as pl

from collector.anomaly_limits import Kind
from collector.reading import UTC_US
from processors.anomaly import ANOMALY, CLUE
from processors.history.days import bounded

LOSSES = (Kind.LOSS_OF_VOLTAGE.value, Kind.LOSS_OF_CURRENT.value)

MONTHLY: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "timezone": pl.String(),
    "hours": pl.Float64(),
    "document": pl.String(),
    "provenance": pl.String(),
}
"""What a meter is judged by: the most hours of loss in a local month."""

_KEY = ["site_id", "meter_id", "phase", "day"]
_HOUR_US = 3_600_000_000


def suspects(found: pl.DataFrame, limits: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Return the months and phases in which losses come to more hours than allowed.

    Args:
        found: ANOMALY rows; losses of voltage and of current of a phase are added up, where they
            overlap once.
        limits: schema MONTHLY; meters without a row are not judged.
        now: a month that is not over by then is still open.

    Returns:
        ANOMALY rows: `since` the moment the hours were exceeded, `until` the month's end; `value`
        and `observed` the hours lost, of the `reference` hours of the month; `samples` the losses.
    """
    ended = pl.col("since") + pl.duration(microseconds=pl.col("held_s") * 1e6)
    lost = found.filter(pl.col("kind").is_in(LOSSES)).join(
        limits.select("meter_id", "timezone", "hours"), on="meter_id"
    )
    parts = _by_month(lost.select(*_KEY[:3], "timezone", "hours", "since_is_bound",
                                  pl.col("since").alias("from"), ended.alias("to")))  # fmt: skip
    if parts.is_empty():
        return pl.DataFrame(schema=ANOMALY)
    over = _added_up(parts).filter(pl.col("value") > pl.col("hours"))
    until = pl.when(pl.col("end") <= now).then("end")
    named = over.join(limits.drop("hours", "timezone"), on="meter_id").with_columns(
        until.alias("until"),
        kind=pl.lit(Kind.PHASE_LOSS_SUSPECT.value),
        threshold="hours",
        observed="value",
        unit=pl.lit("h"),
        measure=pl.lit("h"),
        basis=pl.lit(""),
        held_s=pl.col("value") * 3600.0,
        standing=pl.lit(CLUE),
    )
    return named.select(pl.col(n).cast(kind) for n, kind in ANOMALY.items())


def _by_month(lost: pl.DataFrame) -> pl.DataFrame:
    """Cut losses (`from`, `to`) where local months end; add the month's `day`, `start`, `end`."""
    cut = [
        part.with_columns(_months(str(zone)).alias("day")).explode("day")
        for (zone,), part in lost.partition_by("timezone", as_dict=True).items()
    ]
    if not cut:
        return lost
    whole = bounded(pl.concat(cut), "1mo")
    inside = whole.with_columns(
        pl.max_horizontal("from", "start").alias("from"), pl.min_horizontal("to", "end").alias("to")
    )
    return inside.filter(pl.col("to") > pl.col("from"))


def _months(zone: str) -> pl.Expr:
    first, last = (
        pl.col(name).dt.convert_time_zone(zone).dt.date().dt.truncate("1mo")
        for name in ("from", "to")
    )
    return pl.date_ranges(first, last, "1mo")


def _added_up(parts: pl.DataFrame) -> pl.DataFrame:
    """Return a row a month and phase: hours lost, and since when they are too many."""
    known = pl.col("to").cum_max().shift().over(_KEY)
    begins = pl.max_horizontal("from", known)
    us = pl.max_horizontal((pl.col("to") - begins).dt.total_microseconds(), 0)
    rows = parts.sort(*_KEY, "from", "to").with_columns(begins.alias("from"), us.alias("us"))
    total = rows.with_columns(pl.col("us").cum_sum().over(_KEY).alias("total"))
    most = (pl.col("hours") * _HOUR_US).cast(pl.Int64)
    crossed = pl.col("from") + pl.duration(microseconds=most - pl.col("total") + pl.col("us"))
    return total.group_by(_KEY, maintain_order=True).agg(
        (pl.col("us").sum() / _HOUR_US).alias("value"),
        crossed.filter(pl.col("total") > most).first().cast(UTC_US).alias("since"),
        pl.col("since_is_bound").any(),
        pl.col("hours").first(),
        pl.col("end").first(),
        ((pl.col("end") - pl.col("start")).first().dt.total_hours()).alias("reference"),
        pl.len().alias("samples"),
    )
