"""What is stated of events: rows of baselines and compliance, and why something is not stated."""

from enum import StrEnum

import polars as pl

from collector.reading import UTC_US

BLOCKS: dict[str, pl.DataType] = {
    "event_id": pl.String(),
    "site_id": pl.String(),
    "start": UTC_US,
    "end": UTC_US,
    "unadjusted_kwh": pl.Float64(),
    "baseline_kwh": pl.Float64(),
    "actual_kwh": pl.Float64(),
    "reduction_kwh": pl.Float64(),
    "limit_kwh": pl.Float64(),
    "verdict": pl.String(),
    "reason": pl.String(),
    "estimated_share": pl.Float64(),
    "coverage": pl.Float64(),
    "quality": pl.String(),
}
"""One row an event, site and block. `unadjusted_kwh` mean of the like days, `baseline_kwh` after
the same-day adjustment; `limit_kwh` the greatest energy that complies (negative where more was
ordered off than the baseline has); `verdict` complies, fails or undecided with its `reason` (Lack);
`estimated_share` 0..1 of unadjusted_kwh; `coverage`, `quality` of the block itself."""

EVENTS: dict[str, pl.DataType] = {
    "event_id": pl.String(),
    "site_id": pl.String(),
    "kind": pl.String(),
    "start": UTC_US,
    "end": UTC_US,
    "cut_kw": pl.Float64(),
    "cap_kw": pl.Float64(),
    "notified_at": UTC_US,
    "notice_sha256": pl.String(),
    "verdict": pl.String(),
    "reason": pl.String(),
    "blocks": pl.Int32(),
    "complied": pl.Int32(),
    "failed": pl.Int32(),
    "undecided": pl.Int32(),
    "blocks_stated": pl.Int32(),
    "baseline_kwh": pl.Float64(),
    "actual_kwh": pl.Float64(),
    "reduction_kwh": pl.Float64(),
    "achieved_ratio": pl.Float64(),
    "like_days": pl.Int32(),
    "adjust_kw": pl.Float64(),
    "adjust_ratio": pl.Float64(),
    "adjust_reason": pl.String(),
    "coverage": pl.Float64(),
    "estimated_share": pl.Float64(),
}
"""One row an event and site. `verdict`: fails if any block fails, complies if all do, else
undecided with the first block's `reason`. The energies are sums over the `blocks_stated` that have
baseline and actual; `achieved_ratio` their reduction over what was ordered off in them, null under
a cap; `adjust_kw`, `adjust_ratio` difference and ratio in the window before the limit is put on
them, null for `adjust_reason` (Lack); `coverage` 0..1 of the event's blocks that measurement
supports; `estimated_share` of the like days' energy."""


class Lack(StrEnum):
    """Why nothing is decided, or not adjusted."""

    NO_PROOF_OF_NOTICE = "no_proof_of_notice"
    NOTIFIED_LATE = "notified_late"
    """The notice was given after the event began."""
    NOT_OVER = "not_over"
    NOT_MEASURED = "not_measured"
    """A main meter states no energy in the block."""
    ESTIMATED = "estimated"
    """The block's energy is a gap's, its spread assumed."""
    TOO_FEW_LIKE_DAYS = "too_few_like_days"
    WINDOW_NOT_MEASURED = "window_not_measured"
    WINDOW_NO_LOAD = "window_no_load"
    """The like days used nothing in the window: no ratio exists."""
    WINDOW_OFF_DAY = "window_off_day"
    """Notice came too early for a window on the event's day: not adjusted, by the method."""
