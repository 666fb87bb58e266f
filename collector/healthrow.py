"""HEALTH: one row a meter, how its communication goes."""

import polars as pl

from collector.reading import UTC_US
from collector.repeats import REPEATS

HEALTH: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "last_heard_at": UTC_US,
    "last_error": pl.String(),
    "last_error_at": UTC_US,
    "failures": pl.Int64(),
    "successes": pl.Int64(),
    "response_ms": pl.Float64(),
    "failed_how": pl.String(),
    "refused": pl.Int64(),
    "refused_why": pl.String(),
    "refused_at": UTC_US,
    "successes_hour": pl.Int64(),
    "failures_hour": pl.Int64(),
    "refused_hour": pl.Int64(),
    "response_mean_ms": pl.Float64(),
    "response_p95_ms": pl.Float64(),
    "every_s": pl.Float64(),
    **REPEATS,
}
"""One row a meter ever heard, failed or refused. `last_heard_at` when readings of it were last made
durable (arrival, our clock); `failures`, `successes` and `refused` count since the process began,
the `_hour` columns over the last hour; `response_ms` is the last poll's answer time (ms), mean and
95th percentile (to 15 %) over the hour, null for meters that speak by themselves; `failed_how` the
`Reason` of the last failed poll, `refused_why` that of the last data that could not be taken;
`every_s` how often it is usually heard (s)."""
