"""What a rule may speak about: the columns of each kind of subject.

Every frame has `subject_id`, `site_id` and `at`, the instant the row was true (for a block: its
end). Null means "not known": it neither fires nor resolves anything.
"""

from enum import StrEnum

import polars as pl

from collector.reading import UTC_US
from processors.anomaly_told import TOLD
from processors.cap import CAP_STATE
from processors.interval import INTERVAL
from processors.quota import ACCOUNT
from processors.verdict import VERDICT


class Subject(StrEnum):
    """Kinds of subject a rule is `on`."""

    INTERVAL = "interval"
    """One meter's closed 15-minute block."""
    SITE_INTERVAL = "site_interval"
    """One site's closed 15-minute block: the sum of its main meters."""
    RUNNING = "running"
    """One site's block that is still running."""
    QUOTA = "quota"
    """One site's monthly quota account."""
    QUOTA_YEAR = "quota_year"
    """One site's yearly quota account."""
    CAP = "cap"
    """One site's account of its load cap in the running month."""
    VERDICT = "verdict"
    """One site's verdict against a guide or product quota."""
    FLEET = "fleet"
    """One meter as the collector hears it."""
    ANOMALY = "anomaly"
    """One kind of metering anomaly of one meter and phase: a clue (线索)."""


BLOCKS = frozenset({Subject.INTERVAL, Subject.SITE_INTERVAL})
"""Kinds whose rows cover a span `[start, at)`; the others are true at the instant `at` only. (An
account's `start` is its month's: the breach did not begin there.)"""

WHO: dict[str, pl.DataType] = {
    "subject_id": pl.String(),
    "site_id": pl.String(),
    "at": UTC_US,
}

_SITE_INTERVAL: dict[str, pl.DataType] = {
    "start": UTC_US,
    "end": UTC_US,
    "energy_kwh": pl.Float64(),
    "demand_kw": pl.Float64(),
    "coverage": pl.Float64(),
    "contract_demand_kw": pl.Float64(),
}
"""Sums of the site's main meters over one block; null energy if no meter is known, `coverage`
0..1 over all main meters (an absent one counts 0); `contract_demand_kw` in force that day."""

_RUNNING: dict[str, pl.DataType] = {
    "block_start": UTC_US,
    "energy_so_far_kwh": pl.Float64(),
    "power_kw": pl.Float64(),
    "projected_demand_kw": pl.Float64(),
    "projected_low_kw": pl.Float64(),
    "projected_high_kw": pl.Float64(),
    "contract_demand_kw": pl.Float64(),
    "allowed_kw": pl.Float64(),
}
"""`allowed_kw`: mean power for the rest of the block that just reaches the contract demand;
`projected_low_kw`, `projected_high_kw` hold the block's demand four times in five."""

_FLEET: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "measured_at": UTC_US,
    "silent_s": pl.Float64(),
    "power_kw": pl.Float64(),
}
"""`silent_s`: seconds since the meter's last reading; null if it was never heard."""

IDENTITY: dict[Subject, tuple[tuple[str, ...], str]] = {
    Subject.INTERVAL: (("meter_id",), "end"),
    Subject.SITE_INTERVAL: (("site_id",), "end"),
    Subject.RUNNING: (("site_id",), "at"),
    Subject.QUOTA: (("site_id",), "at"),
    Subject.QUOTA_YEAR: (("site_id",), "at"),
    Subject.CAP: (("site_id",), "at"),
    Subject.VERDICT: (("site_id", "pack_id", "row_id"), "computed_at"),
    Subject.FLEET: (("meter_id",), "at"),
    Subject.ANOMALY: (("meter_id", "kind", "of_phase"), "at"),
}
"""The columns that make `subject_id` (joined by `:`) and `at` where a frame does not bring them. A
verdict's period is no part of it: one that moves on by a day is about the same subject."""


def columns(subject: Subject) -> dict[str, pl.DataType]:
    """Return the columns a rule on `subject` may name, with their types."""
    own = {
        Subject.INTERVAL: INTERVAL | {"contract_demand_kw": pl.Float64()},
        Subject.SITE_INTERVAL: _SITE_INTERVAL,
        Subject.RUNNING: _RUNNING,
        Subject.QUOTA: ACCOUNT,
        Subject.QUOTA_YEAR: ACCOUNT,
        Subject.CAP: CAP_STATE,
        Subject.VERDICT: VERDICT,
        Subject.FLEET: _FLEET,
        Subject.ANOMALY: TOLD,
    }[subject]
    return WHO | {name: kind for name, kind in own.items() if not isinstance(kind, pl.List)}


def conform(subject: Subject, frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with the subject's columns in order and type; absent ones are null.

    `subject_id` and `at` are taken from the columns of IDENTITY where they are absent.

    Raises:
        polars.exceptions.PolarsError: `site_id` or what identifies the subject is absent, or a
            type differs.
    """
    wanted = columns(subject)
    who, when = IDENTITY[subject]
    if "subject_id" not in frame.columns:
        frame = frame.with_columns(
            pl.concat_str(who, separator=":", ignore_nulls=True).alias("subject_id")
        )
    if "at" not in frame.columns:
        frame = frame.with_columns(pl.col(when).alias("at"))
    absent = [
        pl.lit(None, dtype=kind).alias(name)
        for name, kind in wanted.items()
        if name not in frame.columns and name not in WHO
    ]
    full = frame.with_columns(absent)
    return full.select(pl.col(name).cast(kind) for name, kind in wanted.items())
