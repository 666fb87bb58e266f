"""ALERT and TIMELINE: the rows the ledger gives to screens, queries and packages."""

import polars as pl

from collector.reading import UTC_US

ALERT: dict[str, pl.DataType] = {
    "alert_id": pl.String(),
    "rule_id": pl.String(),
    "rule_digest": pl.String(),
    "kind": pl.String(),
    "severity": pl.String(),
    "subject_id": pl.String(),
    "site_id": pl.String(),
    "since": UTC_US,
    "fired_at": UTC_US,
    "resolved_at": UTC_US,
    "state": pl.String(),
    "handling": pl.String(),
    "handled_by": pl.String(),
    "handled_at": UTC_US,
    "note": pl.String(),
    "text_zh": pl.String(),
    "text_en": pl.String(),
    "labels": pl.String(),
    "row": pl.String(),
}
"""`kind` of subject (see subjects.py); `since` the breach began, `fired_at`, `resolved_at` in event
time; `state` firing | resolved; `handling` open | acknowledged | disputed | dispute_accepted |
dispute_rejected | closed, by whom and when (`handled_at`, recorded time), with `note`; `labels`
and `row` (the values that fired it) are JSON objects."""

TIMELINE: dict[str, pl.DataType] = {
    "seq": pl.Int64(),
    "at": UTC_US,
    "actor": pl.String(),
    "act": pl.String(),
    "alert_id": pl.String(),
    "detail": pl.String(),
    "prev_hash": pl.String(),
    "hash": pl.String(),
}
"""Acts in the order of the chain; `at` is when the act was recorded, `detail` a JSON object."""


def typed(rows: list[dict[str, object]], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """Return rows whose instants are ISO 8601 text as a frame of `schema`."""
    times = [name for name, kind in schema.items() if kind == UTC_US]
    raw = schema | dict.fromkeys(times, pl.String())
    frame = pl.DataFrame([{name: row[name] for name in schema} for row in rows], schema=raw)
    return frame.with_columns(
        pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S%.6f%z", time_unit="us", time_zone="UTC")
        for name in times
    )
