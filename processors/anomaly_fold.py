"""How signals are cut into episodes, one span of rows after another; pure.

A kind is judged by *signals*: a condition that begins an episode and one that ends it, over the
rows that hold every column it needs. Rows further apart than the meter's allowed gap belong to
different episodes: what was in between nobody saw. So an episode is a function of the rows in and
beside it, whatever order they came in.

A fold ends with what the next one goes on from (CARRY): folds over the parts of a time, one after
another, cut the episodes that one fold over all of it cuts.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import polars as pl

from collector.reading import UTC_US
from processors.anomaly import Signal

CARRY: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "kind": pl.String(),
    "phase": pl.String(),
    "end": UTC_US,
    "on": pl.Boolean(),
    "since": UTC_US,
    "bound": pl.Boolean(),
    "value": pl.Float64(),
    "observed": pl.Float64(),
    "reference": pl.Float64(),
    "basis": pl.String(),
    "threshold": pl.Float64(),
    "delay_s": pl.Float64(),
    "samples": pl.Int64(),
}
"""One row a meter, kind and phase that was judged. `end` of the last row judged; `on`: it showed
the signal, and the other columns are the episode's so far, as in ANOMALY (`bound` its
`since_is_bound`, `delay_s` how long it must last to be one); else they are null."""

KEY = ["kind", "phase", "meter_id"]
_OPEN = [name for name in CARRY if name not in {*KEY, "end", "on"}]
_SEEN: dict[str, pl.DataType] = {
    "kind": pl.String(),
    "phase": pl.String(),
    "meter_id": pl.String(),
    "judged": pl.Int64(),
    "since": UTC_US,
    "until": UTC_US,
    "end": UTC_US,
    "shown": pl.Boolean(),
}
_MOST_ROWS = 1_000_000
"""Rows that are cut at a time, about 150 bytes each."""

Asked = Sequence[tuple[pl.DataFrame, Signal]]
"""Signals, each with its rows: sorted by `meter_id` and `at`, with `end` (of a block or day; of a
reading `at`), with `gap_s`, the longest pause (s) an episode may bridge, and the signal's columns.
"""


class Fold(NamedTuple):
    """What a fold over some rows found."""

    episodes: pl.DataFrame
    """Columns of ANOMALY but those of the meter's site and the bound's; ended and open ones."""
    seen: pl.DataFrame
    """KEY, `judged, since, until`: the rows there were to judge, those judged before too."""
    carry: pl.DataFrame
    """Schema CARRY."""


def fold(asked: Asked, carry: pl.DataFrame, judged_to: datetime) -> Fold:
    """Go on with signals over the rows that end after `judged_to`.

    Args:
        asked: the signals and their rows.
        carry: CARRY rows of the fold before; of signals that are not asked they are dropped.
        judged_to: rows that end here or before are judged already.
    """
    facts, fresh = _facts(asked), pl.col("end") > judged_to
    mine = carry.join(facts, on=["kind", "phase"], how="semi")
    lazy = [_seen(rows, one, fresh) for rows, one in asked]
    seen = pl.concat([pl.DataFrame(schema=_SEEN), *pl.collect_all(lazy)])
    # of most meters nothing is wrong, and nothing was: these need no cutting
    odd = pl.concat([seen.filter("shown").select(KEY), mine.filter("on").select(KEY)]).unique()
    runs = pl.concat(_runs(rows, facts) for rows in _odd_rows(asked, odd, mine, fresh))
    open_ = runs.filter(pl.col("until").is_null())
    carried = open_.with_columns(on=pl.lit(value=True)).select(list(CARRY))
    return Fold(
        _episodes(runs, facts),
        seen.select(*KEY, "judged", "since", "until"),
        pl.concat([carried, _shut(seen, mine, carried)]),
    )


def _facts(asked: Asked) -> pl.DataFrame:
    columns = ("kind", "phase", "unit", "measure", "greatest", "total", "steps")
    told = [[str(getattr(one, n)) if n == "kind" else getattr(one, n) for n in columns]
            for _, one in asked]  # fmt: skip
    kinds = [pl.String()] * 4 + [pl.Boolean()] * 3
    return pl.DataFrame(told, schema=dict(zip(columns, kinds, strict=True)), orient="row")


def _named(signal: Signal) -> list[pl.Expr]:
    return [pl.lit(signal.kind.value).alias("kind"), pl.lit(signal.phase).alias("phase")]


def _tells(signal: Signal) -> pl.Expr:
    whole = [pl.col(name).is_not_null() for name in signal.needs]
    keep = pl.all_horizontal(*whole, *([] if signal.applies is None else [signal.applies]))
    return keep.fill_null(value=False)


def _seen(rows: pl.DataFrame, signal: Signal, fresh: pl.Expr) -> pl.LazyFrame:
    """Return what each meter told, where its fresh rows `end`, and whether one is `shown`."""
    end, on = pl.col("end"), signal.on.fill_null(value=False)
    grouped = (
        rows.lazy()
        .filter(_tells(signal))
        .group_by("meter_id")
        .agg(
            pl.len().cast(pl.Int64).alias("judged"),
            pl.col("at").min().alias("since"),
            end.max().alias("until"),
            end.filter(fresh).max(),
            (on & fresh).any().alias("shown"),
        )
    )
    return grouped.with_columns(_named(signal)).select(list(_SEEN))


def _odd_rows(
    asked: Asked, odd: pl.DataFrame, mine: pl.DataFrame, fresh: pl.Expr
) -> Iterator[pl.DataFrame]:
    """Yield the fresh rows of the odd meters behind what is carried of them, some at a time."""
    meters = odd.partition_by("kind", "phase", as_dict=True)
    before = _carried(mine.join(odd, on=KEY, how="semi"))
    carried = before.partition_by("kind", "phase", as_dict=True)
    some = [before.clear()]
    for rows, signal in asked:
        name = (signal.kind.value, signal.phase)
        if name not in meters:
            continue
        told = rows.lazy().filter(_tells(signal), fresh)
        told = told.join(meters[name].lazy(), on="meter_id", how="semi")
        some += [carried.get(name, before.clear()), _judged(told, signal).collect()]
        if sum(one.height for one in some) > _MOST_ROWS:
            yield pl.concat(some)
            some = []
    if some:
        yield pl.concat(some)


def _judged(rows: pl.LazyFrame, signal: Signal) -> pl.LazyFrame:
    basis = pl.lit("") if signal.basis is None else pl.col(signal.basis)
    return rows.select(
        *_named(signal),
        *("meter_id", "at", "end", "gap_s"),
        signal.on.fill_null(value=False).alias("on"),
        (~signal.on if signal.off is None else signal.off).fill_null(value=False).alias("off"),
        pl.col("at").alias("since"),
        pl.lit(None, pl.Boolean()).alias("bound"),
        signal.value.cast(pl.Float64).alias("value"),
        signal.observed.cast(pl.Float64).alias("observed"),
        signal.reference.cast(pl.Float64).alias("reference"),
        basis.cast(pl.String).alias("basis"),
        signal.threshold.cast(pl.Float64).alias("threshold"),
        (pl.lit(0.0) if signal.delay_s is None else signal.delay_s).alias("delay_s"),
        pl.lit(1, pl.Int64()).alias("samples"),
    )


def _carried(before: pl.DataFrame) -> pl.DataFrame:
    """Return CARRY rows as rows of `_judged`: an episode so far is one row of it."""
    at, shut = pl.col("end").alias("at"), (~pl.col("on")).alias("off")
    return before.select(*KEY, at, "end", pl.lit(0.0).alias("gap_s"), "on", shut, *_OPEN)


def _runs(judged: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """Cut the rows where they change; return those in which the signal was in force."""
    pause = (pl.col("at") - pl.col("end").shift()).dt.total_microseconds() / 1e6
    other = pl.any_horizontal(pl.col(n) != pl.col(n).shift() for n in KEY).fill_null(value=True)
    state = pl.when("on").then(1).when(pl.col("off") | pl.col("begins")).then(0)
    marked = (
        judged.sort(*KEY, "end", "at")
        .with_columns(other.alias("other"))
        .with_columns((pl.col("other") | (pause > pl.col("gap_s"))).alias("begins"))
        .with_columns(state.cast(pl.Int8).forward_fill().alias("state"))
    )
    changes = pl.col("begins") | (pl.col("state") != pl.col("state").shift()).fill_null(value=True)
    ahead = {name: pl.col(name).shift(-1) for name in ("at", "other", "begins")}
    until = (
        pl.when(~ahead["begins"])
        .then(ahead["at"])
        .when(~ahead["other"])
        .then(pl.col("end"))
        .otherwise(None)
    )
    numbered = marked.with_columns(changes.cum_sum().alias("run"), until.alias("until"))
    shown = numbered.filter(pl.col("state") == 1)
    return _summed(shown.join(facts, on=["kind", "phase"], maintain_order="left"))


def _summed(shown: pl.DataFrame) -> pl.DataFrame:
    value, observed = pl.col("value"), pl.col("observed")
    worst = pl.when("greatest").then(value).otherwise(-value).arg_max()
    total = pl.col("total").first()
    return shown.group_by("run", maintain_order=True).agg(
        *(pl.col(name).first() for name in (*KEY, "since", "basis", "delay_s")),
        # a row that goes on from before says itself how its episode began
        pl.coalesce("bound", pl.col("begins") & ~pl.col("steps")).first().alias("bound"),
        *(pl.col(name).last() for name in ("end", "until")),
        value.get(worst),
        pl.when(total).then(observed.sum()).otherwise(observed.get(worst)),
        pl.col("reference").get(worst),
        pl.col("threshold").get(worst),
        pl.col("samples").sum(),
    )


def _episodes(runs: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """Return the runs that lasted long enough as episodes."""
    held = (pl.col("end") - pl.col("since")).dt.total_microseconds() / 1e6
    lasted = runs.with_columns(held.alias("held_s")).filter(pl.col("held_s") >= pl.col("delay_s"))
    return lasted.join(facts, on=["kind", "phase"], maintain_order="left").select(
        *("meter_id", "kind", "phase", "since", "until", pl.col("bound").alias("since_is_bound")),
        *("value", "threshold", "unit", "observed", "reference", "measure", "basis", "samples"),
        "held_s",
    )


def _shut(seen: pl.DataFrame, mine: pl.DataFrame, open_: pl.DataFrame) -> pl.DataFrame:
    """Return up to where all other meters are judged, schema CARRY."""
    ends = pl.concat([mine.select(*KEY, "end"), seen.select(*KEY, "end")])
    rest = ends.join(open_, on=KEY, how="anti").group_by(KEY).agg(pl.col("end").max())
    blank = [pl.lit(None, CARRY[name]).alias(name) for name in _OPEN]
    named = rest.drop_nulls().with_columns(*blank, on=pl.lit(value=False))
    return named.select(list(CARRY))
