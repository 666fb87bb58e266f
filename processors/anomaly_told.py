"""What rules are told of anomalies: those that are open, and once those that ended; pure."""

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
"""There is one active anomaly of a key at a time."""


def active(before: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return the anomalies that are active until the next look, one a key, schema ANOMALY.

    They are the open ones, and those that ended before any look saw them: a register falls in no
    time, and is told all the same.

    Args:
        before: all that was known at the look before.
        known: all that is known now.
    """
    ended = known.filter(pl.col("until").is_not_null())
    news = ended.join(before, on=[*KEY, "since"], how="anti")
    rows = pl.concat([known.filter(pl.col("until").is_null()), news])
    last = rows.sort(*KEY, "until", nulls_last=True, maintain_order=True)
    return last.unique(KEY, keep="last", maintain_order=True)


def told(
    before: pl.DataFrame, now: pl.DataFrame, known: pl.DataFrame, at: datetime
) -> pl.DataFrame:
    """Return what rules are told, schema TOLD.

    Args:
        before: result of `active` at the look before.
        now: result of `active`.
        known: all that is known now, schema ANOMALY.
        at: the instant of the look.
    """
    instant = pl.lit(at, dtype=UTC_US)
    last = known.group_by(KEY).agg(pl.col("until").max().alias("ended"))
    ended = before.join(now, on=KEY, how="anti").join(last, on=KEY, how="left")
    closed = ended.with_columns(until=pl.coalesce("until", "ended", instant), active=False)
    rows = [now.with_columns(active=True), closed.select(*ANOMALY, "active")]
    name = pl.concat_str("meter_id", "kind", "phase", separator=":").str.strip_chars_end(":")
    return pl.concat(rows).with_columns(subject_id=name, at=instant).rename(_NAMES)
