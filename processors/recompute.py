"""What history would say if it were computed anew, and in what that differs; pure.

Readings are what was received; their figures may be corrected (a new map or ratio over the words
kept beside them). Blocks follow from readings, facts, limits and edits in force now.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import polars as pl

from collector.reading import conform
from processors.book import Book
from processors.history.days import day_rows, local
from processors.interval import INTERVAL
from processors.late import Past

CHANGE: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "blocks": pl.Int64(),
    "first": INTERVAL["start"],
    "last": INTERVAL["end"],
    "now_known": pl.Int64(),
    "now_missing": pl.Int64(),
    "energy_before_kwh": pl.Float64(),
    "energy_after_kwh": pl.Float64(),
    "max_demand_before_kw": pl.Float64(),
    "max_demand_after_kw": pl.Float64(),
    "readings_corrected": pl.Int64(),
    "readings_left": pl.Int64(),
}
"""One row a meter that changes. `blocks` that would be revised, from `first` to `last`;
`now_known` of them had no energy before, `now_missing` have none after. Energies are of these
blocks alone, maximum demands too; null where none of them has a figure. `readings_corrected`: how
many readings say something else by the map and ratios in force now; `readings_left`: how many may,
and cannot be corrected (`collector/rescale.py`)."""

VERDICT_CHANGE: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "kind": pl.String(),
    "row_id": pl.String(),
    "period_start": pl.Date(),
    "period_end": pl.Date(),
    "edition_before": pl.String(),
    "edition_after": pl.String(),
    "outcome_before": pl.String(),
    "outcome_after": pl.String(),
    "energy_kwh_before": pl.Float64(),
    "energy_kwh_after": pl.Float64(),
    "actual_before": pl.Float64(),
    "actual_after": pl.Float64(),
    "threshold_before": pl.Float64(),
    "threshold_after": pl.Float64(),
    "unit": pl.String(),
}
"""One row a verdict kept in history that would be another one; null: not known or none."""

_DAY = timedelta(days=2)
"""Wider than any local day's distance from the UTC day."""
_VERDICT = ["site_id", "kind", "row_id", "period_start", "period_end"]
_TOLD = ["edition", "outcome", "energy_kwh", "actual", "threshold"]

Correct = Callable[[pl.DataFrame], pl.DataFrame]
"""Takes READING rows, every version received; returns the corrected ones alone."""


@dataclass(slots=True)
class Overlay:
    """A past with corrected readings and revised blocks above it; nothing in it is changed."""

    past: Past
    correct: Correct
    news: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=INTERVAL))
    """INTERVAL rows that revise what `past` has, one a block."""

    def readings(
        self, start: datetime, end: datetime, meters: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """See late.Past."""
        return self._with(self.past.readings(start, end, meters))

    def neighbours(
        self, meters: Sequence[str], start: datetime, end: datetime, count: int
    ) -> pl.DataFrame:
        """See late.Past."""
        return self._with(self.past.neighbours(meters, start, end, count))

    def intervals(
        self, start: datetime, end: datetime, meters: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """See late.Past."""
        issued = self.past.intervals(start, end, meters)
        inside = (pl.col("start") >= start) & (pl.col("start") < end)
        mine = inside if meters is None else inside & pl.col("meter_id").is_in(list(meters))
        news = self.news.filter(mine)
        rest = issued.join(news, on=["meter_id", "start"], how="anti")
        return pl.concat([_shaped(rest), news]).sort("meter_id", "start")

    def _with(self, rows: pl.DataFrame) -> pl.DataFrame:
        known = conform(rows)
        return pl.concat([known, self.correct(known)])

    def take(self, revised: pl.DataFrame) -> None:
        """Lay INTERVAL rows above what is there."""
        rest = self.news.join(revised, on=["meter_id", "start"], how="anti")
        self.news = pl.concat([rest, _shaped(revised)])


def torn(corrections: pl.DataFrame, left: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Return the readings left as they were whose register corrected ones run on from, or to.

    A register corrected in part jumps, and the jump is no energy. Where a change of meter or ratio
    lies between, the register ends there anyhow.

    Args:
        corrections: READING rows that were corrected.
        left: LEFT rows (`collector/rescale.py`).
        steps: CHANGE rows of the book (`processors/book.py`).
    """
    ends = steps.select("meter_id", pl.col("at").cast(INTERVAL["start"])).sort("at")

    def placed(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.sort("measured_at").join_asof(
            ends.with_columns(since="at"), left_on="measured_at", right_on="at", by="meter_id",
            check_sortedness=False,
        )  # fmt: skip

    mended = placed(corrections.select("meter_id", "measured_at"))
    return placed(left.filter("register")).join(
        mended, on=["meter_id", "since"], how="semi", nulls_equal=True
    ).select(left.columns)  # fmt: skip


def changes(
    before: pl.DataFrame, after: pl.DataFrame, corrections: pl.DataFrame, left: pl.DataFrame
) -> pl.DataFrame:
    """Return CHANGE rows, sorted by meter.

    Args:
        before: INTERVAL rows as issued, of the blocks in `after` and perhaps others.
        after: INTERVAL rows that would revise them, one a block.
        corrections: READING rows that were corrected.
        left: LEFT rows: told of the meters that change, and of no other.
    """
    figures = ["energy_kwh", "max_demand_kw"]
    old = before.select("meter_id", "start", *(pl.col(n).alias(f"{n}_old") for n in figures))
    both = after.join(old, on=["meter_id", "start"], how="left")
    known, was = pl.col("energy_kwh").is_not_null(), pl.col("energy_kwh_old").is_not_null()
    told = both.group_by("meter_id").agg(
        pl.len().alias("blocks"),
        pl.col("start").min().alias("first"),
        pl.col("end").max().alias("last"),
        (known & ~was).sum().alias("now_known"),
        (was & ~known).sum().alias("now_missing"),
        _total("energy_kwh_old").alias("energy_before_kwh"),
        _total("energy_kwh").alias("energy_after_kwh"),
        pl.col("max_demand_kw_old").max().alias("max_demand_before_kw"),
        pl.col("max_demand_kw").max().alias("max_demand_after_kw"),
    )
    counted = corrections.group_by("meter_id").agg(pl.len().alias("readings_corrected"))
    rest = left.group_by("meter_id").agg(pl.col("readings").sum().alias("readings_left"))
    whole = told.join(counted, on="meter_id", how="full", coalesce=True)
    whole = whole.join(rest, on="meter_id", how="left").with_columns(
        pl.col("blocks", "readings_corrected", "readings_left").fill_null(0)
    )
    return _shaped(whole, CHANGE).sort("meter_id")


def spans_of(after: pl.DataFrame) -> pl.DataFrame:
    """Return the span of each meter's changes: `meter_id, first, last` (the last block's start)."""
    return after.group_by("meter_id").agg(
        pl.col("start").min().alias("first"), pl.col("start").max().alias("last")
    ).sort("meter_id")  # fmt: skip


def days_anew(
    days: pl.DataFrame, overlay: Overlay, book: Book, now: datetime, start: date, end: date
) -> pl.DataFrame:
    """Return DAY rows with those the changes touch computed anew.

    Args:
        days: DAY rows with `day` in `[start, end)`.
        overlay: holds the changes.
        book: the meters' time zones.
        now: what has ended is expected.
        start: first day.
        end: excluded.
    """
    placed = local(overlay.news, book.meters).filter(pl.col("day") >= start, pl.col("day") < end)
    touched = placed.select(pl.col("meter_id").cast(pl.String), "day").unique()
    if touched.is_empty():
        return days
    low, high = placed.select(pl.col("start").min(), pl.col("end").max()).row(0)
    meters = touched["meter_id"].unique().to_list()
    wide = overlay.intervals(low - _DAY, high + _DAY, meters)
    anew = day_rows(wide, book.meters, now).with_columns(pl.col("meter_id").cast(pl.String))
    mine = anew.join(touched, on=["meter_id", "day"], how="semi")
    rest = days.join(mine, on=["meter_id", "day"], how="anti")
    return pl.concat([rest, mine.select(rest.columns).cast(pl.Schema(rest.schema))])


def verdict_changes(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Return VERDICT_CHANGE rows: where edition, outcome or figures differ.

    Args:
        before: VERDICT rows as kept.
        after: of the same sites and periods.
    """
    pair = before.select(*_VERDICT, "unit", *_named("before")).join(
        after.select(*_VERDICT, "unit", *_named("after")),
        on=_VERDICT, how="full", coalesce=True, nulls_equal=True,
    )  # fmt: skip
    differs = pl.any_horizontal(
        pl.col(f"{name}_before").ne_missing(pl.col(f"{name}_after")) for name in _TOLD
    )
    unit = pl.coalesce("unit_right", "unit").alias("unit")
    return _shaped(pair.filter(differs).with_columns(unit), VERDICT_CHANGE).sort(_VERDICT)


def _named(when: str) -> Iterable[pl.Expr]:
    return [pl.col(name).alias(f"{name}_{when}") for name in _TOLD]


def _total(name: str) -> pl.Expr:
    return pl.when(pl.col(name).count() > 0).then(pl.col(name).sum())


def _shaped(rows: pl.DataFrame, schema: dict[str, pl.DataType] = INTERVAL) -> pl.DataFrame:
    return rows.select(pl.col(name).cast(kind) for name, kind in schema.items())
