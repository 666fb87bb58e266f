"""What happens to the gaps of the ledger when holes are looked at anew; pure."""

from datetime import datetime
from enum import StrEnum

import polars as pl

from collector.imported import standing
from collector.reading import UTC_US
from processors.book import Book
from processors.gaps import Registers, silent

GAP: dict[str, pl.DataType] = {
    "gap_id": pl.Int64(),
    "meter_id": pl.String(),
    "start": UTC_US,
    "end": UTC_US,
    "state": pl.String(),
    "cause": pl.String(),
    "detail": pl.String(),
    "energy_kwh": pl.Float64(),
    "method": pl.String(),
    "missing_from": UTC_US,
    "missing_to": UTC_US,
    "register_before_kwh": pl.Float64(),
    "register_after_kwh": pl.Float64(),
    "noticed_at": UTC_US,
    "closed_at": UTC_US,
    "recovered_at": UTC_US,
    "changed_at": UTC_US,
}
"""One row a gap. `[start, end)` the span in which nothing was known, at its widest (`end` null:
still open); `[missing_from, missing_to)` the hole that is left of it, both null once late readings
filled it. `state` open | closed; `cause` of `processors.causes`, with its `detail`. `energy_kwh`
what the register shows for it (kWh): while readings are missing, of the hole; once recovered, of
`[start, end)`; null if open or not stated. `method`: `spread` (the register's difference, spread
evenly over the blocks), `unstated` (the register was reset or leapt), `late_data` (measured after
all), null while open. The registers are those beside the hole. `noticed_at`, `closed_at` (the
meter spoke again), `recovered_at` and `changed_at` are the system's times."""

CHANGE: dict[str, pl.DataType] = {"change": pl.String()}
"""The column that says what happened, beside GAP: one of `Change`."""


class State(StrEnum):
    """Whether the meter has spoken since."""

    OPEN = "open"
    CLOSED = "closed"


class Method(StrEnum):
    """How the energy of a gap is known."""

    SPREAD = "spread"
    UNSTATED = "unstated"
    LATE_DATA = "late_data"
    WITHDRAWN = "withdrawn"
    """The reading that ended it was withdrawn (an import undone): it is no gap any more."""


class Change(StrEnum):
    """What happened to a gap."""

    OPENED = "opened"
    FOUND = "found"
    """Noticed only after it had ended."""
    CLOSED = "closed"
    NARROWED = "narrowed"
    """Late readings filled a part, or cut it in two: the other part is a gap of its own."""
    ALTERED = "altered"
    """Its edges or energy were corrected."""
    RECOVERED = "recovered"
    """Late readings filled what was left of it."""
    CAUSE = "cause"


def settle(
    known: pl.DataFrame,
    spans: pl.DataFrame,
    readings: pl.DataFrame,
    marks: pl.DataFrame,
    book: Book,
    now: datetime,
    looked: datetime | None = None,
) -> pl.DataFrame:
    """Return the gaps that changed (GAP and `change`) by what the readings of `spans` say.

    Args:
        known: GAP rows with a hole; those that do not touch their meter's span are left alone.
        spans: SPAN, already `gaps.widened` over `known`.
        readings: READING rows of the spans, with `gaps.CONTEXT` register readings on either side.
        marks: schema `marks.MARKS`.
        book: the meters' facts.
        now: stamps the changes.
        looked: when the open gaps were last seen to be open.
    """
    readings = standing(readings)
    registers = Registers.of(readings, book)
    found, known = _within(spans, registers.holes()), _within(spans, known)
    pairs = _pairs(known, found)
    still = known.join(pairs, on="gap_id", how="anti").join(
        silent(marks, book, now), on="meter_id", suffix="_now"
    )
    still = still.filter(pl.col("missing_to").is_null())
    gone = known.join(pairs, on="gap_id", how="anti").join(still, on="gap_id", how="anti")
    fresh = found.join(pairs, on=["meter_id", "missing_from"], how="anti")
    parts = [
        _altered(known, pairs, now),
        _moved(still, now),
        _recovered(gone, _heard_again(gone, readings, looked), registers, now),
        _fresh(fresh, now, Change.FOUND),
    ]
    return pl.concat([part.select(list(GAP | CHANGE)) for part in parts])


def opened(
    known: pl.DataFrame, marks: pl.DataFrame, book: Book, now: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Look at the meters that are silent now.

    Args:
        known: the GAP rows that are open.
        marks: of the meters that are expected to speak by themselves or when polled.
        book: the meters' limits.
        now: site time.

    Returns:
        New gaps (GAP and `change`), and SPAN rows of open gaps whose meter was heard since.
    """
    holes = silent(marks, book, now).join(known, on="meter_id", how="anti")
    heard = known.join(marks.select("meter_id", "watermark"), on="meter_id").filter(
        pl.col("watermark") > pl.col("missing_from")
    )
    again = heard.select("meter_id", low="missing_from", high="watermark")
    return _fresh(holes, now, Change.OPENED), again


def _within(spans: pl.DataFrame, holes: pl.DataFrame) -> pl.DataFrame:
    """Return the holes that touch their meter's span."""
    both = holes.join(spans, on="meter_id")
    ended = pl.col("missing_to").fill_null(pl.col("high"))
    touched = both.filter(pl.col("missing_from") < pl.col("high"), ended > pl.col("low"))
    once = touched.unique(["meter_id", "missing_from"], keep="first", maintain_order=True)
    return once.drop("low", "high")


def _pairs(known: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Return which hole carries on which gap: HOLE and gap_id; each at most once."""
    both = found.join(
        known.select("gap_id", "meter_id", "missing_from", "missing_to"),
        on="meter_id",
        suffix="_was",
    )
    ended = pl.col("missing_to_was").is_null() | (pl.col("missing_from") < pl.col("missing_to_was"))
    overlap = both.filter(ended, pl.col("missing_to") > pl.col("missing_from_was"))
    overlap = overlap.sort("meter_id", "missing_from_was", "missing_from")
    once = overlap.unique("gap_id", keep="first", maintain_order=True)
    return once.unique(["meter_id", "missing_from"], keep="first", maintain_order=True)


def _altered(known: pl.DataFrame, pairs: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Close gaps, or move their edges."""
    new = pairs.select(
        "gap_id",
        *(
            pl.col(name).alias(f"{name}_new")
            for name in (
                *("missing_from", "missing_to", "energy_kwh"),
                *("register_before_kwh", "register_after_kwh"),
            )
        ),
    )
    both = known.join(new, on="gap_id")
    hole = ("missing_from", "missing_to", "energy_kwh", "register_before_kwh", "register_after_kwh")
    differs = [pl.col(name).ne_missing(pl.col(f"{name}_new")) for name in hole]
    both = both.filter(pl.any_horizontal(differs))
    shorter = (pl.col("missing_to_new") - pl.col("missing_from_new")) < (
        pl.col("missing_to") - pl.col("missing_from")
    )
    return both.with_columns(
        pl.when(pl.col("missing_to").is_null())
        .then(pl.lit(Change.CLOSED.value))
        .when(shorter)
        .then(pl.lit(Change.NARROWED.value))
        .otherwise(pl.lit(Change.ALTERED.value))
        .alias("change"),
        pl.min_horizontal("start", "missing_from_new").alias("start"),
        pl.max_horizontal("end", "missing_to_new").alias("end"),
        *(pl.col(f"{name}_new").alias(name) for name in hole),
        pl.col("closed_at").fill_null(pl.lit(now, dtype=UTC_US)),
        *_closed(pl.col("energy_kwh_new"), now),
    )


def _closed(energy: pl.Expr, now: datetime) -> list[pl.Expr]:
    spread, unstated = pl.lit(Method.SPREAD.value), pl.lit(Method.UNSTATED.value)
    return [
        pl.lit(State.CLOSED.value).alias("state"),
        pl.when(energy.is_null()).then(unstated).otherwise(spread).alias("method"),
        pl.lit(now, dtype=UTC_US).alias("changed_at"),
    ]


def _moved(still: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Late readings filled the beginning of a gap whose meter is still silent."""
    further = still.filter(pl.col("missing_from_now") > pl.col("missing_from"))
    return further.with_columns(
        pl.col("missing_from_now").alias("missing_from"),
        pl.col("register_before_kwh_now").alias("register_before_kwh"),
        pl.lit(now, dtype=UTC_US).alias("changed_at"),
        pl.lit(Change.NARROWED.value).alias("change"),
    )


def _recovered(
    gone: pl.DataFrame, ends: pl.DataFrame, registers: Registers, now: datetime
) -> pl.DataFrame:
    """Late readings filled these gaps: state their measured energy over their widest span."""
    spans = gone.rename({"end": "was"}).join(ends, on="gap_id", how="left")
    spans = spans.with_columns(
        pl.coalesce("end", "was", "start").alias("end"), filled=pl.col("end").is_not_null()
    )
    gained = registers.gained(spans.select("meter_id", "start", "end"))
    stamp, nothing = pl.lit(now, dtype=UTC_US), pl.lit(None, dtype=UTC_US)
    return spans.with_columns(
        pl.when("filled").then(gained).alias("energy_kwh"),
        nothing.alias("missing_from"),
        nothing.alias("missing_to"),
        pl.when("filled").then(stamp).alias("recovered_at"),
        stamp.alias("changed_at"),
        pl.col("closed_at").fill_null(stamp),
        pl.lit(State.CLOSED.value).alias("state"),
        _either(Method.LATE_DATA, Method.WITHDRAWN).alias("method"),
        _either(Change.RECOVERED, Change.ALTERED).alias("change"),
    )


def _either(filled: StrEnum, else_: StrEnum) -> pl.Expr:
    return pl.when("filled").then(pl.lit(filled.value)).otherwise(pl.lit(else_.value))


def _heard_again(
    gone: pl.DataFrame, readings: pl.DataFrame, looked: datetime | None
) -> pl.DataFrame:
    """Return gap_id and `end`: for a gap that was open, the last reading when it was heard again.

    A gateway that kept its readings sends hours at once; nothing was known until it did. An edge
    stamps `received_at` itself, so that a look at the open gap may prove more.
    """
    told = readings.filter(pl.col("energy_import_kwh").is_not_null())
    after = gone.select("gap_id", "meter_id", "end", "missing_from", "noticed_at").join(
        told.select("meter_id", "measured_at", "received_at"), on="meter_id", how="left"
    )
    after = after.filter(pl.col("measured_at") > pl.col("missing_from"))
    at, seen = pl.col("measured_at"), pl.lit(looked, dtype=UTC_US)
    known = pl.max_horizontal(pl.col("received_at").min(), pl.col("noticed_at").first(), seen)
    heard = after.group_by("gap_id").agg(
        pl.col("end").first().alias("was"),
        at.filter(at <= known).max().alias("until"),
        at.min().alias("first"),
    )
    return heard.select("gap_id", end=pl.coalesce("was", "until", "first"))


def _fresh(holes: pl.DataFrame, now: datetime, change: Change) -> pl.DataFrame:
    """Return holes as gaps without a number."""
    stamp = pl.lit(now, dtype=UTC_US)
    open_ = pl.col("missing_to").is_null()
    base = holes.with_columns(
        start="missing_from",
        end="missing_to",
        noticed_at=stamp,
        change=pl.lit(change.value),
        closed_at=pl.when(~open_).then(stamp),
    ).with_columns(_closed(pl.col("energy_kwh"), now))
    base = base.with_columns(
        state=pl.when(open_).then(pl.lit(State.OPEN.value)).otherwise("state"),
        method=pl.when(~open_).then("method"),
    )
    absent = [pl.lit(None).alias(name) for name in GAP if name not in base.columns]
    full = base.with_columns(absent)
    return full.select(pl.col(name).cast(kind) for name, kind in (GAP | CHANGE).items())
