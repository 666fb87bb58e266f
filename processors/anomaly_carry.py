"""What one look for anomalies carries over to the next: when open ones really began; pure."""

from datetime import datetime

import polars as pl

from collector.reading import UTC_US
from processors.anomaly import ANOMALY

_NAMES = {"phase": "of_phase", "since": "begun_at", "until": "ended_at"}
"""Rules keep a phase and a since of their own."""

TOLD: dict[str, pl.DataType] = {_NAMES.get(n, n): kind for n, kind in ANOMALY.items()} | {
    "active": pl.Boolean()
}
"""What rules are told of an anomaly: the columns of ANOMALY, some by another name. `active` is
false in the one row that tells its end: there a rule resolves (`alerting.rules.Compiled`)."""

KEY = ["site_id", "meter_id", "kind", "phase"]
"""There is one open anomaly of a key at a time."""


def carried(before: pl.DataFrame, found: pl.DataFrame, sought: pl.DataFrame) -> pl.DataFrame:
    """Return `found` with what the look before it knew.

    Args:
        before: ANOMALY rows that the look before knew.
        found: ANOMALY rows of the look.
        sought: its SOUGHT rows.

    Returns:
        ANOMALY rows. An episode that was there when the look begins has the beginning it had
        before; one of a meter that nothing was heard of since is still open, as far as known.
    """
    known = before.group_by(*KEY, "until").agg(
        pl.col("since").min().alias("was_since"),
        pl.col("since_is_bound").sort_by("since").first().alias("was_bound"),
    )
    first = pl.col("since_is_bound") & (pl.col("since") == pl.col("since").min().over(KEY))
    closed = known.filter(pl.col("until").is_not_null())
    was_open = known.filter(pl.col("until").is_null()).drop("until")
    joined = (
        found.with_columns(first.alias("first"))
        .join(was_open, on=KEY, how="left")
        .join(closed, on=[*KEY, "until"], how="left", suffix="_closed")
        .with_columns(
            was_since=pl.coalesce("was_since_closed", "was_since"),
            was_bound=pl.coalesce("was_bound_closed", "was_bound"),
        )
    )
    goes_on = pl.col("first") & (pl.col("was_since") < pl.col("since"))
    merged = joined.with_columns(
        since=pl.when(goes_on).then("was_since").otherwise("since"),
        since_is_bound=pl.when(goes_on).then("was_bound").otherwise("since_is_bound"),
    ).select(list(ANOMALY))
    judged = sought.filter(pl.col("judged") > 0)
    silent = before.filter(pl.col("until").is_null()).join(
        judged, on=["site_id", "meter_id", "kind"], how="anti"
    )
    again = silent.join(found, on=KEY, how="anti").select(list(ANOMALY))
    return pl.concat([merged, again]).sort(*KEY, "since")


def told(before: pl.DataFrame, now_known: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Return what rules are told (TOLD): the open anomalies, and once those that ended.

    Args:
        before: ANOMALY rows that were open at the look before.
        now_known: result of `carried`.
        now: the instant of the look.
    """
    open_ = now_known.filter(pl.col("until").is_null())
    ended = before.filter(pl.col("until").is_null()).join(open_, on=KEY, how="anti")
    last = now_known.group_by(KEY).agg(pl.col("until").max().alias("ended"))
    at = pl.lit(now, dtype=UTC_US)
    closed = ended.join(last, on=KEY, how="left").with_columns(
        until=pl.coalesce("ended", at), active=False
    )
    rows = [open_.with_columns(active=True), closed.select(*ANOMALY, "active")]
    name = pl.concat_str("meter_id", "kind", "phase", separator=":").str.strip_chars_end(":")
    return pl.concat(rows).with_columns(subject_id=name, at=at).rename(_NAMES)
