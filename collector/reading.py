"""READING: one row a meter and instant, wide; the row every source makes and the journal keeps."""

import polars as pl

from collector.quantity import QUANTITIES

UTC_US = pl.Datetime("us", "UTC")
"""Every instant in every frame: aware, UTC, microseconds."""

KEY_SCHEMA: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "measured_at": UTC_US,
    "received_at": UTC_US,
    "source": pl.String(),
}
"""`measured_at` is the meter's own instant (a Modbus read: the moment of the read);
`received_at` the collector's; `source` names the kind and the way, e.g. `mqtt`, `modbus:bus-1`,
`import:2026-11-22T08:15`."""

READING: dict[str, pl.DataType] = (
    KEY_SCHEMA | {name: pl.Float64() for name in QUANTITIES} | {"register_words": pl.String()}
)
"""The full schema. Quantity columns are primary values in the unit their name ends with;
null means the meter did not say. `register_words` are the words a Modbus meter sent, kept for
evidence where its source says `keep_raw: true` (`collector/rawwords.py`), else null. A frame may
lack columns nobody filled."""

KEY = ("meter_id", "measured_at")
"""Two rows with the same key are the same reading, told twice or corrected."""


def conform(frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with every READING column, in order and type; missing values are null.

    Raises:
        polars.exceptions.PolarsError: a key column is missing or cannot be cast.
    """
    had = frame.schema
    absent = [name for name in READING if name not in had and name not in KEY_SCHEMA]
    full = frame.with_columns(pl.lit(None, dtype=READING[name]).alias(name) for name in absent)
    return full.select(
        pl.col(name) if name in absent or had.get(name) == kind else pl.col(name).cast(kind)
        for name, kind in READING.items()
    )


def empty() -> pl.DataFrame:
    """Return a READING frame of no rows."""
    return pl.DataFrame(schema=READING)
