"""Evaluation of ice storage (蓄冰空调): what moved to the valley, and what that saved. Pure.

The baseline is the site's own typical day (典型日) before: the mean load at each quarter hour,
working days and days off apart. It is laid over the very blocks the later month knows, so both
sides have the same span. Money at the later month's prices: the *shift* is worth what the baseline
would have cost at its own ratios less what the actual curve costs at them; the *ratio* is worth
what changes when the actual curve is priced at the later contract (an ice-storage row has its own
ratios). The method is this product's own; domain.md section 4 names the ratios.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import polars as pl

from collector.site import Site
from processors.book import Book
from processors.calendar import AT_WORK, Calendar, DayType
from processors.subjects import site_blocks
from processors.tariff.contract import Rates, Segment, next_month, price_of, segments
from processors.tariff.periods import PERIOD
from processors.tariff.split import grid

ICE: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "baseline_month": pl.Date(),
    "month": pl.Date(),
    "period": PERIOD,
    "baseline_kwh": pl.Float64(),
    "actual_kwh": pl.Float64(),
    "shift_kwh": pl.Float64(),
    "baseline_kw": pl.Float64(),
    "actual_kw": pl.Float64(),
    "cut_kw": pl.Float64(),
    "baseline_price_yuan": pl.Float64(),
    "price_yuan": pl.Float64(),
    "saved_by_shift_yuan": pl.Float64(),
    "saved_by_ratio_yuan": pl.Float64(),
    "saved_yuan": pl.Float64(),
    "baseline_coverage": pl.Float64(),
    "coverage": pl.Float64(),
    "day_types": pl.Boolean(),
    "scaled": pl.Boolean(),
    "reason": pl.String(),
}
"""One row a tariff period, and last the whole (`period` null). `baseline_kwh` the typical day of
`baseline_month` over the blocks known of `month`; `shift_kwh` = actual - baseline (in the valley:
what was moved there; over all: the storage's losses and what else changed); `baseline_kw`,
`actual_kw` the greatest mean load of the typical days in the period, over all that of sharp and
peak hours, `cut_kw` their difference: no billed maximum demand. Prices without funds; saved is
positive. `coverage` 0..1 of each month; `day_types` false: a day's type is not known, all days
make one typical day; `scaled` the baseline has the actual's total energy. `reason` why figures are
null: `no_tariff` and the like as in a bill, `no_data`, `no_baseline`, `no_price` (kWh stand)."""


@dataclass(frozen=True, slots=True)
class _Side:
    """One month: its blocks on a grid, and its typical days."""

    rows: pl.DataFrame
    """`start, period, group, slot, energy_kwh`."""
    typical: pl.DataFrame
    """`group, slot, kwh`: mean energy of a quarter hour."""
    coverage: float


def ice_storage(
    site: Site,
    baseline_month: date,
    month: date,
    intervals: pl.DataFrame,
    rates: Rates,
    *,
    same_energy: bool = False,
) -> pl.DataFrame:
    """Compare a month with ice storage to one without.

    Args:
        site: whose main meters and contracts count.
        baseline_month: first local day of the month before.
        month: first local day of the month with storage.
        intervals: latest INTERVAL rows of the main meters over both months.
        rates: tariffs and prices.
        same_energy: scale the baseline to the month's total energy, so that only the shape counts.

    Returns:
        ICE rows.
    """
    now, before = segments(site, month, rates)[-1], segments(site, baseline_month, rates)[-1]
    if (missing := now.missing or before.missing) is not None:
        return _shaped([{"reason": missing}], site, baseline_month, month)
    blocks = site_blocks(intervals, Book.of([site]))
    typed = not _unknown(site, (baseline_month, month), rates.calendar)
    old, new = (_side(site, m, now, blocks, rates, typed=typed) for m in (baseline_month, month))
    if new.rows["energy_kwh"].count() == 0:
        return _shaped([{"reason": "no_data"}], site, baseline_month, month)
    laid = new.rows.filter(pl.col("energy_kwh").is_not_null()).join(
        old.typical, on=["group", "slot"], how="left", maintain_order="left"
    )
    if laid["kwh"].null_count():
        return _shaped([{"reason": "no_baseline"}], site, baseline_month, month)
    factor = _scale(laid) if same_energy else 1.0
    rows = _rows(laid.with_columns(kwh=pl.col("kwh") * factor), old, new, factor)
    old_priced = replace(now, supply=before.supply, ratios=before.ratios)
    priced = [_priced(row, old_priced, now) for row in rows]
    told = {
        "baseline_coverage": old.coverage,
        "coverage": new.coverage,
        "day_types": typed,
        "scaled": same_energy,
    }
    every = [one | told for one in [*priced, _whole(priced)]]
    return _shaped(every, site, baseline_month, month)


def _scale(laid: pl.DataFrame) -> float:
    actual, typical = float(laid["energy_kwh"].sum()), float(laid["kwh"].sum())
    return actual / typical if typical > 0 else 1.0


def _days(month: date) -> pl.Series:
    return pl.date_range(month, next_month(month), closed="left", eager=True)


def _unknown(site: Site, months: tuple[date, ...], calendar: Calendar) -> bool:
    types = [calendar.types(_days(month), site.timezone) for month in months]
    return any((one == DayType.UNKNOWN.value).any() for one in types)


def _side(
    site: Site, month: date, now: Segment, blocks: pl.DataFrame, rates: Rates, *, typed: bool
) -> _Side:
    """Lay a month out; its periods are those of the later edition."""
    zone, calendar = site.timezone, rates.calendar
    days = pl.DataFrame({"day": _days(month)})
    at_work = calendar.types(days["day"], zone).cast(pl.String).is_in(AT_WORK)
    groups = days.with_columns(group=at_work if typed else pl.lit(value=True))
    local = pl.col("start").dt.convert_time_zone(zone)
    minute = local.dt.hour().cast(pl.Int32) * 60 + local.dt.minute()
    axis = grid(month, next_month(month), now.pack, zone, rates.hot, calendar)
    rows = (
        axis.with_columns(day=local.dt.date(), slot=minute)
        .join(groups, on="day", how="left", maintain_order="left")
        .join(blocks.select("start", "energy_kwh", "coverage"), on="start", how="left")
    )
    typical = rows.group_by("group", "slot").agg(pl.col("energy_kwh").mean().alias("kwh"))
    covered = rows["coverage"].fill_null(0.0).sum() / rows.height
    return _Side(rows, typical.filter(pl.col("kwh").is_not_null()), float(covered))


def _rows(laid: pl.DataFrame, old: _Side, new: _Side, factor: float) -> list[dict[str, Any]]:
    energy = laid.group_by("period").agg(
        pl.col("kwh").sum().alias("baseline_kwh"), pl.col("energy_kwh").sum().alias("actual_kwh")
    )
    # the typical days' loads in the later month's periods, so that both look at the same hours
    hours = laid.select("period", "group", "slot").unique()
    top = {
        name: hours.join(side.typical, on=["group", "slot"])
        .group_by("period")
        .agg((pl.col("kwh").max() * 4.0 * scale).alias(name))
        for name, side, scale in (("baseline_kw", old, factor), ("actual_kw", new, 1.0))
    }
    both = energy.join(top["baseline_kw"], on="period", how="left", nulls_equal=True)
    whole = both.join(top["actual_kw"], on="period", how="left", nulls_equal=True)
    differences = whole.with_columns(
        shift_kwh=pl.col("actual_kwh") - pl.col("baseline_kwh"),
        cut_kw=pl.col("baseline_kw") - pl.col("actual_kw"),
    )
    return differences.sort("period").to_dicts()


def _priced(row: dict[str, Any], before: Segment, now: Segment) -> dict[str, Any]:
    if row["period"] is None:
        return row | {"reason": "day_type_unknown"}
    old, new = (price_of(one, row["period"])[0] for one in (before, now))
    if old is None or new is None:
        return row | {"reason": "no_price"}
    by_shift = (row["baseline_kwh"] - row["actual_kwh"]) * float(old)
    by_ratio = row["actual_kwh"] * (float(old) - float(new))
    return row | {
        "baseline_price_yuan": float(old),
        "price_yuan": float(new),
        "saved_by_shift_yuan": by_shift,
        "saved_by_ratio_yuan": by_ratio,
        "saved_yuan": by_shift + by_ratio,
    }


def _whole(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up the periods; loads are those of sharp and peak hours."""
    summed = ("baseline_kwh", "actual_kwh", "shift_kwh")
    money = ("saved_by_shift_yuan", "saved_by_ratio_yuan", "saved_yuan")
    reason = next((one["reason"] for one in rows if one.get("reason")), None)
    whole: dict[str, Any] = {"period": None, "reason": reason}
    whole |= {name: sum(one[name] for one in rows) for name in summed}
    if reason is None:
        whole |= {name: sum(one[name] for one in rows) for name in money}
    dear = [one for one in rows if one["period"] in {"sharp", "peak"}]
    if dear:
        tops = {name: max(one[name] for one in dear) for name in ("baseline_kw", "actual_kw")}
        whole |= tops | {"cut_kw": tops["baseline_kw"] - tops["actual_kw"]}
    return whole


def _shaped(
    rows: list[dict[str, Any]], site: Site, baseline_month: date, month: date
) -> pl.DataFrame:
    shared = {"site_id": site.id, "baseline_month": baseline_month, "month": month}
    full = [dict.fromkeys(ICE) | shared | row for row in rows]
    return pl.DataFrame([{n: one[n] for n in ICE} for one in full], schema=ICE, orient="row")
