"""CONDITION: how each meter is, one state and the reasons for it; pure, vectorised over meters.

The worst of what applies is the state. A false "no data" is avoided by asking when the meter was
last *heard* (arrival, our clock), not only what time it wrote on its reading; and a constant load
is told from a stale value by what cannot stand still while power flows (`collector.repeats`).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import polars as pl

from collector.healthrow import HEALTH
from collector.reading import UTC_US
from processors.book import Book
from processors.causes import ERRORS
from processors.settings import FleetSettings


class State(StrEnum):
    """How a meter is; the worst first."""

    NEVER = "never"
    """Never heard. It has no gap: nobody knows since when it should speak."""
    SILENT = "silent"
    REFUSED = "refused"
    """It speaks, but nothing it says could be taken."""
    STALE = "stale"
    """It repeats itself: the values are old though their time is fresh."""
    CLOCK = "clock"
    """Its clock is off."""
    LATE = "late"
    """Overdue, often without an answer, or its readings come late."""
    OK = "ok"
    FILE = "file"
    """It arrives by file import only; nobody waits for it."""


CONDITION: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "site_id": pl.String(),
    "district": pl.String(),
    "link": pl.String(),
    "is_main": pl.Boolean(),
    "rated_power_kw": pl.Float64(),
    "state": pl.String(),
    "reasons": pl.List(pl.String()),
    "measured_at": UTC_US,
    "received_at": UTC_US,
    "power_kw": pl.Float64(),
    "heard_at": UTC_US,
    "silent_s": pl.Float64(),
    "success_hour": pl.Float64(),
    "success_rate": pl.Float64(),
    **{
        name: kind
        for name, kind in HEALTH.items()
        if name not in {"meter_id", "last_heard_at", "newest_at"}
    },
}
"""One row a meter of the book. `state` and `reasons` (codes of `Why`, the state's own first);
`measured_at`, `received_at`, `power_kw` of its last reading, `power_kw` only while heard;
`heard_at` last arrival (our clock) and `silent_s` seconds since; `success_hour` and `success_rate`
share (0..1) of polls or messages that brought readings, over the last hour and since the process
began, null without any. The rest are the columns of HEALTH."""


class Why(StrEnum):
    """Reasons, in the order they are told."""

    NEVER_HEARD = "never_heard"
    NO_READING = "no_reading"
    REFUSED = "refused"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    EXCEPTION = "exception"
    REGISTER_STANDS = "register_stands"
    """Identical readings, and the register does not move although power flows."""
    VALUES_STAND = "values_stand"
    """Identical readings of several momentary values, to the last digit, for too long."""
    CLOCK_OFF = "clock_off"
    CLOCK_AHEAD = "clock_ahead"
    """Readings arrive before the time they say."""
    ARRIVES_LATE = "arrives_late"
    """Readings come long after the time they say: kept on the way, or its clock is slow."""
    OVERDUE = "overdue"
    OFTEN_FAILS = "often_fails"
    SOME_REFUSED = "some_refused"


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on something is a state."""

    silent_after_s: float
    """Site seconds without an arrival."""
    fleet: FleetSettings


def condition(
    book: Book,
    way: pl.DataFrame,
    live: pl.DataFrame,
    health: pl.DataFrame,
    now: datetime,
    limits: Limits,
) -> pl.DataFrame:
    """Return the CONDITION of every meter of the book.

    Args:
        book: facts of all meters.
        way: schema `causes.WAY`.
        live: LIVE rows.
        health: schema HEALTH.
        now: site time.
        limits: thresholds.
    """
    rows = _known(book, way, live, health, now)
    state, told = _judged(limits)
    file = (pl.col("via") == "file").fill_null(value=False)
    heard = pl.col("silent_s") <= limits.silent_after_s
    rows = rows.with_columns(
        state=pl.when(file).then(pl.lit(State.FILE.value)).otherwise(state),
        reasons=pl.when(file).then(pl.lit([], pl.List(pl.String()))).otherwise(told),
        power_kw=pl.when(heard).then("power_kw"),
    )
    return rows.select(pl.col(name).cast(kind) for name, kind in CONDITION.items()).sort("meter_id")


def _known(
    book: Book, way: pl.DataFrame, live: pl.DataFrame, health: pl.DataFrame, now: datetime
) -> pl.DataFrame:
    """Join what is known of each meter, and how long ago it was."""
    rows = book.meters.select("meter_id", "site_id", "district", "is_main", "rated_power_kw")
    rows = rows.join(way.select("meter_id", "via", "link"), on="meter_id", how="left")
    seen = live.select("meter_id", "measured_at", "received_at", "power_kw")
    rows = rows.join(seen, on="meter_id", how="left").join(health, on="meter_id", how="left")
    at = pl.lit(now, dtype=UTC_US)
    heard_at = pl.max_horizontal("last_heard_at", "received_at")
    return rows.with_columns(heard_at=heard_at).with_columns(
        silent_s=_seconds(at - pl.col("heard_at")),
        refused_s=_seconds(at - pl.col("refused_at")),
        success_hour=_share("successes_hour", "failures_hour", "refused_hour"),
        success_rate=_share("successes", "failures", "refused"),
    )


def _judged(limits: Limits) -> tuple[pl.Expr, pl.Expr]:
    """Return the worst state that applies, and all the reasons."""
    rules = [(why, state, when.fill_null(value=False)) for why, state, when in _rules(limits)]
    told = pl.concat_list(pl.when(when).then(pl.lit(why.value)) for why, _, when in rules)
    worst = [pl.when(when).then(pl.lit(state.value)) for _, state, when in rules if state]
    return pl.coalesce(*worst, pl.lit(State.OK.value)), told.list.drop_nulls()


Rule = tuple[Why, State | None, pl.Expr]


def _rules(limits: Limits) -> list[Rule]:
    """Return why, the state it makes (None: a reason beside another) and when; the worst first."""
    fleet, after = limits.fleet, limits.silent_after_s
    heard = pl.col("silent_s") <= after
    quiet = pl.col("silent_s") > after
    never = pl.col("heard_at").is_null()
    refused = (pl.col("refused_s") <= after) & ~heard.fill_null(value=False)
    failing = pl.col("last_error_at") >= pl.col("heard_at").fill_null(pl.col("last_error_at"))
    how = pl.col("failed_how").fill_null("")
    away = (never | quiet) & failing
    overdue = (
        heard
        & (pl.col("silent_s") > fleet.late_periods * pl.col("every_s"))
        & (pl.col("silent_s") > fleet.late_least_s)
    )
    late = heard & (pl.col("arrival_lag_s") > after)
    few = (pl.col("success_hour") < fleet.success_least) & (
        pl.col("failures_hour") + pl.col("refused_hour") > 2
    )
    return [
        (Why.REFUSED, State.REFUSED, refused),
        (Why.NEVER_HEARD, State.NEVER, never),
        (Why.NO_READING, State.SILENT, quiet),
        (Why.UNREACHABLE, None, away & (how == "unreachable")),
        (Why.EXCEPTION, None, away & how.is_in(ERRORS)),
        (Why.NO_ANSWER, None, away & ~how.is_in(["unreachable", *ERRORS])),
        (Why.REGISTER_STANDS, State.STALE, heard & _register_stands(fleet)),
        (Why.VALUES_STAND, State.STALE, heard & _values_stand(fleet) & ~_register_stands(fleet)),
        (Why.CLOCK_OFF, State.CLOCK, heard & (pl.col("clock_offset_s").abs() > fleet.clock_off_s)),
        (Why.CLOCK_AHEAD, State.CLOCK, heard & (pl.col("arrival_lag_s") < -fleet.clock_off_s)),
        (Why.ARRIVES_LATE, State.LATE, late),
        (Why.OVERDUE, State.LATE, overdue),
        (Why.OFTEN_FAILS, State.LATE, heard & few),
        (Why.SOME_REFUSED, None, heard & (pl.col("refused_s") <= 3600)),
    ]


def _register_stands(fleet: FleetSettings) -> pl.Expr:
    """Power told over the repetition comes to energy the register should have counted."""
    enough = (pl.col("repeats") >= fleet.stale_readings) & _repeating(fleet)
    return (enough & (pl.col("repeating_kwh") >= fleet.stale_kwh)).fill_null(value=False)


def _values_stand(fleet: FleetSettings) -> pl.Expr:
    """Three momentary values or more do not stay the same to the last digit for so long."""
    enough = (pl.col("repeats") >= fleet.stale_readings) & _repeating(fleet)
    return enough & (pl.col("repeating_gauges") >= 3)


def _repeating(fleet: FleetSettings) -> pl.Expr:
    lasted = pl.col("newest_at") - pl.col("repeating_since")
    return _seconds(lasted) >= fleet.stale_after_s


def _seconds(span: pl.Expr) -> pl.Expr:
    return span.dt.total_microseconds() / 1e6


def _share(good: str, bad: str, refused: str) -> pl.Expr:
    """Of a polled meter refused values are a part of an answer; else they are whole messages."""
    own = pl.when(pl.col("response_ms").is_null()).then(refused).otherwise(0)
    total = pl.col(good) + pl.col(bad) + own
    return pl.when(total > 0).then(pl.col(good) / total)
