"""Which revision counts: pure, vectorised."""

import polars as pl

_SECONDS = 1 << 33
"""Room for the epoch seconds of any block start until the year 2242."""


def latest_intervals(rows: pl.DataFrame, *, ordered: bool = True) -> pl.DataFrame:
    """Return the latest revision of each (meter_id, start), sorted by both if `ordered`.

    The latest is the row with the greatest (computed_at, revision). One integer key stands for
    meter and start: ten times as fast as sorting by the text, and a day of 10,000 meters is a
    million rows.
    """
    meters = rows["meter_id"].unique().sort()
    code = pl.col("meter_id").cast(pl.Enum(meters)).to_physical().cast(pl.UInt64)
    key = code * _SECONDS + pl.col("start").dt.epoch("s").cast(pl.UInt64)
    keyed = rows.select(key=key)["key"]
    order = keyed.arg_sort()
    if not (keyed.gather(order).diff() == 0).any():
        return rows[order] if ordered else rows
    full = rows.with_columns(_key=keyed).sort("_key", "computed_at", "revision")
    return full.filter((pl.col("_key") != pl.col("_key").shift(-1)).fill_null(value=True)).drop(
        "_key"
    )


def latest(rows: pl.DataFrame, *key: str) -> pl.DataFrame:
    """Return the row with the greatest `computed_at` of each `key`, sorted by `key`."""
    ordered = rows.sort(*key, "computed_at")
    return ordered.unique(key, keep="last", maintain_order=True)
