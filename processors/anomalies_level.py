"""Parent-child gap, changes of level, zero use: signals over local days; pure.

`analytic_rules` of the reference data: this product's own, no standard's.
"""

from dataclasses import replace
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from collector.anomaly_limits import Kind
from processors.anomaly import Bound, Signal
from processors.balance import MAINS

WEEK, WEEKS_BEFORE, LEAST_WEEKS = 7, 4, 2
"""A weekday's level before is the mean of those known of four; two of them must be."""
MEDIAN_DAYS, LEAST_MEDIAN_DAYS = 30, 15
HISTORY_DAYS = WEEK * (WEEKS_BEFORE + 1)
"""Days before a day that its judgement may rest on."""
_PAUSE_S = 2 * 3600.0
"""Days follow one another; a missing one parts episodes."""

_TOLD = ("week_kwh", "before_kwh", "least_ratio", "most_ratio", "median_kwh")

Floats = npt.NDArray[np.float64]


MEDIANS: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "day": pl.Date(),
    "median_kwh": pl.Float64(),
}
"""The `median_kwh` (see `levels`) of a meter's last day: a run of zeros goes on from it, however
long ago it began."""


def levels(days: pl.DataFrame, least_coverage: float, before: pl.DataFrame) -> pl.DataFrame:
    """Return the meters' days with their level and that before, as rows of signals.

    Args:
        days: DAY rows of days that are over.
        least_coverage: a day less covered is not known.
        before: schema MEDIANS.

    Returns:
        `week_kwh` mean of a day and the six before; `before_kwh` mean of the same weekdays of the
        four weeks before these; `least_ratio` and `most_ratio` of these seven days, each to its own
        weekday before; `median_kwh` of the 30 days before the run of zeros the day belongs to,
        null for a day that is none. Null where too little is known.
    """
    known = pl.when(pl.col("coverage") >= least_coverage - 1e-9).then("energy_kwh")
    rows = days.select("meter_id", "day", pl.col("start").alias("at"), "end", known.alias("kwh"))
    rows = rows.sort("meter_id", "day").with_columns(gap_s=pl.lit(_PAUSE_S))
    if rows.is_empty():
        return rows.with_columns(pl.lit(None, pl.Float64()).alias(name) for name in _TOLD)
    code, place, grid = _grid(rows)
    joined = rows.join(before, on=["meter_id", "day"], how="left", maintain_order="left")
    held = np.full_like(grid, np.nan)
    held[code, place] = joined["median_kwh"].fill_null(float("nan")).to_numpy()
    found = zip(_TOLD, (*_means(grid), _medians(grid, held)), strict=True)
    told = [pl.Series(name, one[code, place]).fill_nan(None) for name, one in found]
    return rows.with_columns(told)


def _grid(rows: pl.DataFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    first, last = rows["day"].min(), rows["day"].max()
    if not isinstance(first, date) or not isinstance(last, date):
        raise TypeError("days have no date")
    code = rows["meter_id"].rle_id().cast(pl.Int64).to_numpy()
    place = (rows["day"] - first).dt.total_days().cast(pl.Int64).to_numpy()
    grid = np.full((int(code[-1]) + 1, (last - first).days + 1), np.nan)
    grid[code, place] = rows["kwh"].fill_null(float("nan")).to_numpy()
    return code, place, grid


def _back(grid: Floats, days: int) -> Floats:
    """Return what the grid showed so many days before."""
    moved = np.full_like(grid, np.nan)
    moved[:, days:] = grid[:, : grid.shape[1] - days] if days < grid.shape[1] else np.nan
    return moved


def _means(grid: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    weeks = np.stack([_back(grid, WEEK * n) for n in range(1, WEEKS_BEFORE + 1)])
    count = (~np.isnan(weeks)).sum(axis=0)
    total = np.nansum(weeks, axis=0)
    same = np.where(count >= LEAST_WEEKS, total / np.maximum(count, 1), np.nan)
    kwh = np.stack([_back(grid, n) for n in range(WEEK)])
    usual = np.stack([_back(same, n) for n in range(WEEK)])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = kwh / usual
    return kwh.mean(axis=0), usual.mean(axis=0), ratio.min(axis=0), ratio.max(axis=0)


def medians(rows: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Return what the next days go on from, schema MEDIANS, of rows of `levels`."""
    told = pl.concat([before, rows.select(pl.col(n).cast(k) for n, k in MEDIANS.items())])
    return told.sort("day", maintain_order=True).group_by("meter_id", maintain_order=True).last()


def _medians(grid: Floats, held: Floats) -> Floats:
    """Return, for days of zero, the median of the 30 days before the run of zeros they belong to.

    Where one is held for a day, that one.
    """
    zero, found = grid == 0, np.full_like(grid, np.nan)
    again = np.zeros_like(zero)
    again[:, 1:] = zero[:, 1:] & zero[:, :-1]
    code, day = np.nonzero(zero & ~again)
    back = day[:, None] - np.arange(1, MEDIAN_DAYS + 1)
    past = np.where(back >= 0, grid[code[:, None], np.maximum(back, 0)], np.nan)
    enough = (~np.isnan(past)).sum(axis=1) >= LEAST_MEDIAN_DAYS
    if enough.any():
        found[code[enough], day[enough]] = np.nanmedian(past[enough], axis=1)
    for n in range(grid.shape[1]):
        if n:
            found[again[:, n], n] = found[again[:, n], n - 1]
        kept = ~np.isnan(held[:, n])
        found[kept, n] = held[kept, n]
    return found


_WEEK, _BEFORE = pl.col("week_kwh"), pl.col("before_kwh")


def drop(bound: Bound) -> Signal:
    """用电量突降: the mean of a week is far below that of the same weekdays before."""
    below = bound["share"] * _BEFORE > _WEEK
    return replace(_level(bound, below, bound["share"]), greatest=False)


def rise(bound: Bound) -> Signal:
    """用电量突增: the mean of a week is far above that of the same weekdays before."""
    return _level(bound, bound["share"] * _BEFORE < _WEEK, bound["share"])


def _level(bound: Bound, on: pl.Expr, threshold: pl.Expr) -> Signal:
    return Signal(
        kind=bound.kind,
        phase="",
        needs=("week_kwh", "before_kwh"),
        on=(_BEFORE > 0) & on,
        value=pl.when(_BEFORE > 0).then(_WEEK / _BEFORE),
        observed=_WEEK,
        reference=_BEFORE,
        threshold=threshold,
        unit="1",
        measure="kWh",
    )


def jump(bound: Bound) -> Signal:
    """变比突变: a week of days that all are the same whole multiple, or part, of the usual.

    Until the level is the usual one again, by coming back or by having become so. The value is how
    many times more or less, the threshold the whole number.
    """
    ratio = _WEEK / _BEFORE
    times = pl.max_horizontal(ratio, 1.0 / ratio)
    whole = times.round()
    even = (pl.col("most_ratio") <= ratio * (1.0 + bound["daily"])) & (
        pl.col("least_ratio") >= ratio * (1.0 - bound["daily"])
    )
    near = ((times / whole - 1.0).abs() <= bound["share"]) & whole.is_between(2.0, bound["most"])
    return replace(
        _level(bound, (_WEEK > 0) & near & even, whole),
        off=(_BEFORE > 0) & ((ratio - 1.0).abs() < bound["clear"]),
        value=pl.when((_WEEK > 0) & (_BEFORE > 0)).then(times),
    )


def zero(bound: Bound) -> Signal:
    """零电量: days of exactly nothing at a meter that used to count."""
    return Signal(
        kind=bound.kind,
        phase="",
        needs=("kwh",),
        on=(pl.col("kwh") == 0) & (pl.col("median_kwh") > bound["median_kwh"]),
        value=pl.col("kwh"),
        observed=pl.col("kwh"),
        reference=pl.col("median_kwh"),
        threshold=bound["days"],
        unit="d",
        measure="kWh",
        applies=(pl.col("kwh") != 0) | pl.col("median_kwh").is_not_null(),
    )


def zeros(found: pl.DataFrame) -> pl.DataFrame:
    """Leave out episodes of `zero` that are too short; the value of the others is their days."""
    mine, days = pl.col("kind") == Kind.ZERO_USE.value, pl.col("samples").cast(pl.Float64)
    long = found.with_columns(pl.when(mine).then(days).otherwise("value").alias("value"))
    return long.filter(~mine | (pl.col("value") >= pl.col("threshold")))


def gaps(
    balances: pl.DataFrame, mains: pl.DataFrame, wholly: pl.DataFrame, least_coverage: float
) -> pl.DataFrame:
    """Return BALANCE rows of days as rows of signals.

    Args:
        balances: of whole days.
        mains: `site_id, meter_id` of main meters: a balance of all mains of a site is told of the
            one main meter, or of `(mains)`.
        wholly: `site_id, wholly`: whether sub-meters cover all of the site.
        least_coverage: a day less covered says nothing.
    """
    named = whose(balances, mains).join(wholly, on="site_id", how="left", maintain_order="left")
    kept = named.filter(pl.col("coverage") >= least_coverage - 1e-9)
    rows = kept.select(
        "meter_id",
        pl.col("start").alias("at"),
        *("end", "site_id", "above_kwh", "loss_kwh"),
        pl.col("wholly").fill_null(value=False),
        gap_s=pl.lit(_PAUSE_S),
    )
    return rows.sort("meter_id", "at")


def whose(rows: pl.DataFrame, mains: pl.DataFrame) -> pl.DataFrame:
    """Add the `meter_id` a balance is told of, behind its site and a line break.

    Several sites have their `(mains)`: so each is a meter of its own until the end.
    """
    single = mains.group_by("site_id").agg(pl.col("meter_id").first(), pl.len().alias("count"))
    named = rows.join(single, on="site_id", how="left", maintain_order="left")
    alone = (pl.col("above") == MAINS) & (pl.col("count") == 1)
    meter = pl.when(alone).then("meter_id").otherwise("above")
    return named.with_columns(pl.concat_str("site_id", meter, separator="\n").alias("meter_id"))


def placed(rows: pl.DataFrame, sites: pl.DataFrame) -> pl.DataFrame:
    """Add `site_id`, by `sites` (`meter_id, site_id`), to rows of meters and of balances."""
    parts = pl.col("meter_id").str.split_exact("\n", 1)
    own = parts.struct.field("field_1")
    split = rows.with_columns(
        pl.when(own.is_null()).then("meter_id").otherwise(own).alias("meter_id"),
        pl.when(own.is_not_null()).then(parts.struct.field("field_0")).alias("own_site"),
    )
    found = split.join(sites, on="meter_id", how="left", maintain_order="left")
    return found.with_columns(site_id=pl.coalesce("own_site", "site_id")).drop("own_site")


def gap(bound: Bound) -> Signal:
    """总分表差: meters behind count more than the one above, or less where they cover all."""
    loss, above = pl.col("loss_kwh"), pl.col("above_kwh")
    most = pl.max_horizontal(bound["least_kwh"], bound["share"] * above.abs())
    return Signal(
        kind=bound.kind,
        phase="",
        needs=("loss_kwh", "above_kwh"),
        on=(loss < -most) | (pl.col("wholly") & (loss > most)),
        value=pl.when(above != 0).then(loss.abs() / above.abs()),
        observed=loss,
        reference=above,
        threshold=bound["share"],
        unit="1",
        measure="kWh",
    )
