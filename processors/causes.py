"""Why nothing was read over a gap: one class each, from what was noted at the time; pure.

The weightiest explanation that covers the gap stands: we were not running; the link was down, or
every meter behind it fell silent at once; data came but were refused, for their clock or for
something else; polls were answered with an error, or not at all; or the meter just said nothing.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import polars as pl

from collector.reading import UTC_US
from collector.reason import Reason
from collector.site import Site


class Cause(StrEnum):
    """Cause class of a gap."""

    COLLECTOR = "collector"
    """The collector itself was not running for half of the gap or more."""
    LINK = "link"
    """Bus, broker or gateway: the link was down, all meters behind it fell silent together, or the
    readings were kept on the way and came later."""
    CLOCK = "clock"
    """Readings came, but their times could not be taken."""
    REJECTED = "rejected"
    """Readings came, but were refused."""
    EXCEPTION = "exception"
    """The meter answered polls with an error."""
    NO_ANSWER = "no_answer"
    """The meter did not answer polls."""
    SILENT = "silent"
    """A meter that speaks by itself did not, while its link was up."""
    UNKNOWN = "unknown"


WAY: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "site_id": pl.String(),
    "via": pl.String(),
    "link": pl.String(),
}
"""How a meter is reached: `via` of its source, `link` the bus, line or edge behind which it is,
else `via`."""

DOWN: dict[str, pl.DataType] = {"link": pl.String(), "start": UTC_US, "end": UTC_US}
"""Spans in which a link was down; `link` `collector`: in which nothing ran at all."""

COLLECTOR = "collector"
_CLOCK = [
    one.value
    for one in (
        *(Reason.BAD_TIME, Reason.AMBIGUOUS_TIME, Reason.NO_TIME),
        *(Reason.TIME_IN_FUTURE, Reason.TIME_BEFORE_2000),
    )
]
ERRORS = [Reason.MODBUS_EXCEPTION.value, Reason.DLT645_ERROR.value]
"""How a meter answers a poll with an error."""
_TOGETHER = timedelta(minutes=5)
"""Meters whose last readings lie this close fell silent together."""
_SHARE = 0.5


def ways(sites: Iterable[Site]) -> pl.DataFrame:
    """Return the WAY of every meter."""
    rows = []
    for site in sites:
        for meter in site.meters:
            named = (getattr(meter.source, name, None) for name in ("bus", "line", "edge"))
            link = next((one for one in named if one), meter.source.via)
            rows.append((meter.id, site.id, meter.source.via, str(link)))
    return pl.DataFrame(rows, schema=WAY, orient="row")


def causes(
    gaps: pl.DataFrame, way: pl.DataFrame, down: pl.DataFrame, health: pl.DataFrame, now: datetime
) -> pl.DataFrame:
    """Return `gaps` with `cause` and `detail` as far as they can be told now.

    Args:
        gaps: rows with meter_id, start, end (null: open), method.
        way: schema WAY.
        down: schema DOWN.
        health: schema HEALTH: the last failure and refusal of each meter.
        now: ends the open gaps.
    """
    if gaps.is_empty():
        return gaps
    told = gaps.drop("cause", "detail").join(way, on="meter_id", how="left", maintain_order="left")
    told = told.join(
        health.select("meter_id", *_NOTED), on="meter_id", how="left", maintain_order="left"
    ).with_columns(until=pl.col("end").fill_null(pl.lit(now, dtype=UTC_US)))
    told = told.with_columns(
        off=_overlap(told, down.filter(pl.col("link") == COLLECTOR), by_link=False),
        cut=_overlap(told, down.filter(pl.col("link") != COLLECTOR), by_link=True),
    )
    told = told.with_columns(
        _together("link", told, way).alias("link_together"),
        _together("site_id", told, way).alias("site_together"),
    )
    known = told.with_columns(_cause().alias("cause")).with_columns(_detail().alias("detail"))
    return known.select(gaps.columns)


_NOTED = ("last_error", "last_error_at", "failed_how", "refused_why", "refused_at")


def _cause() -> pl.Expr:
    length = (pl.col("until") - pl.col("start")).dt.total_microseconds()
    refused, failed = (_during(name) for name in ("refused_at", "last_error_at"))
    together = pl.col("link_together") | (
        pl.col("site_together") & pl.col("via").is_in(["mqtt", "edge"])
    )
    unreachable = failed & (pl.col("failed_how") == Reason.UNREACHABLE.value)
    kept = (pl.col("method") == "late_data") & ~failed & ~refused
    rules = (
        (pl.col("off") >= _SHARE * length, Cause.COLLECTOR),
        ((pl.col("cut") >= _SHARE * length) | unreachable, Cause.LINK),
        (refused & pl.col("refused_why").is_in(_CLOCK), Cause.CLOCK),
        (refused, Cause.REJECTED),
        (together | kept, Cause.LINK),
        (failed & pl.col("failed_how").is_in(ERRORS), Cause.EXCEPTION),
        (failed, Cause.NO_ANSWER),
        (pl.col("via").is_in(["mqtt", "edge"]), Cause.SILENT),
    )
    chosen = pl.coalesce(
        pl.when(when.fill_null(value=False)).then(pl.lit(cause.value)) for when, cause in rules
    )
    return chosen.fill_null(Cause.UNKNOWN.value)


def _during(name: str) -> pl.Expr:
    at = pl.col(name)
    return ((at > pl.col("start")) & (at <= pl.col("until"))).fill_null(value=False)


def _detail() -> pl.Expr:
    """Return the words or the code behind the cause, null where the class says all."""
    cause = pl.col("cause")
    refusals = [Cause.CLOCK.value, Cause.REJECTED.value]
    errors = [Cause.EXCEPTION.value, Cause.NO_ANSWER.value]
    return (
        pl.when(cause.is_in(refusals))
        .then("refused_why")
        .when(cause.is_in(errors))
        .then("last_error")
        .when(cause == Cause.LINK.value)
        .then(pl.col("link"))
    )


def _overlap(gaps: pl.DataFrame, spans: pl.DataFrame, *, by_link: bool) -> pl.Series:
    """Return how much of each gap the spans cover (microseconds); spans do not overlap.

    A span is one start of the program or one failure of a link: few, so they are looped over.
    """
    start, until = (gaps[name].to_physical().to_numpy() for name in ("start", "until"))
    total = np.zeros(len(gaps), dtype=np.int64)
    if not len(gaps):
        return pl.Series(total)
    recent = spans.filter(
        pl.col("end") > gaps["start"].min(), pl.col("start") < gaps["until"].max()
    )
    for link, low, high in recent.with_columns(pl.col("start", "end").to_physical()).iter_rows():
        shared = np.minimum(until, high) - np.maximum(start, low)
        mine: npt.NDArray[np.bool_] = shared > 0
        if by_link:
            mine &= (gaps["link"] == link).fill_null(value=False).to_numpy()
        total[mine] += shared[mine]
    return pl.Series(total)


def _together(group: str, gaps: pl.DataFrame, way: pl.DataFrame) -> pl.Series:
    """Return whether all meters of each gap's group, two or more, fell silent together."""
    size = way.group_by(group).agg(pl.len().alias("meters"))
    fell = gaps.group_by(group).agg(
        pl.col("meter_id").n_unique().alias("gapped"),
        (pl.col("start").max() - pl.col("start").min()).alias("apart"),
    )
    all_ = fell.join(size, on=group).select(
        group,
        whole=(pl.col("gapped") == pl.col("meters"))
        & (pl.col("meters") > 1)
        & (pl.col("apart") <= _TOGETHER),
    )
    return gaps.join(all_, on=group, how="left", maintain_order="left")["whole"].fill_null(
        value=False
    )
