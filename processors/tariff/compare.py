"""Bills before and after a change of tariff, prices or contract: totals and changed lines. Pure."""

from decimal import Decimal

import polars as pl

from processors.tariff.lines import LINES, Item

CHANGED_LINES: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "month": pl.Date(),
    "item": LINES["item"],
    "period": LINES["period"],
    "start": LINES["start"],
    "quantity_before": pl.Float64(),
    "quantity_after": pl.Float64(),
    "unit": pl.String(),
    "price_before_yuan": pl.Float64(),
    "price_after_yuan": pl.Float64(),
    "amount_before_yuan": pl.Float64(),
    "amount_after_yuan": pl.Float64(),
    "difference_yuan": pl.Float64(),
    "reason_before": pl.String(),
    "reason_after": pl.String(),
    "factors_before": pl.List(pl.String()),
    "factors_after": pl.List(pl.String()),
    "provenance_after": pl.String(),
}
"""One row a line that differs in a figure, its reason or its sources; a line of one bill alone has
nulls on the other side. Units and figures as of LINES; `difference_yuan` after - before, null
unless both amounts are known, a line that is not there counting 0."""

COMPARED: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "month": pl.Date(),
    "before_yuan": pl.Float64(),
    "after_yuan": pl.Float64(),
    "difference_yuan": pl.Float64(),
    "known_difference_yuan": pl.Float64(),
    "lines_changed": pl.Int32(),
    "changed": pl.List(pl.String()),
    "reason_before": pl.String(),
    "reason_after": pl.String(),
    "notes": pl.List(pl.String()),
    "provenance_after": pl.String(),
}
"""One row a site and month. `before_yuan`, `after_yuan` the totals (simulations, 测算), null for
`reason_*` (REASONS, or `no_such_site`: the site is not in those settings); `known_difference_yuan`
of the changed lines whose amounts are known, the simulated surcharge left out: part of the
difference where a total lacks a line; `changed` item:period of the `lines_changed`; `notes` of the
total after, or before if there is none after."""

_KEY = ["site_id", "month", "item", "period", "start", "nth"]
_FIGURES = ("quantity", "price_yuan", "amount_yuan", "reason", "factors")
_SIDES = {
    f"{name}{yuan}{side}": f"{name}{side or '_before'}{yuan}"
    for name, yuan in (("quantity", ""), ("price", "_yuan"), ("amount", "_yuan"), ("reason", ""),
                       ("factors", ""))
    for side in ("", "_after")
}  # fmt: skip
NO_SITE = "no_such_site"


def changed_lines(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Return CHANGED_LINES of two sets of LINES, totals left out.

    Lines are matched by what they charge, and several of the same (tiers) by their order.
    """
    old, new = (_keyed(one) for one in (before, after))
    both = old.join(new, on=_KEY, how="full", coalesce=True, nulls_equal=True, suffix="_after")
    differs = pl.any_horizontal(
        pl.col("line").is_null() != pl.col("line_after").is_null(),
        *(pl.col(n).ne_missing(pl.col(f"{n}_after")) for n in _FIGURES),
    )
    cents = (_yuan("_after", "line_after") - _yuan("", "line")).round(2)
    told = both.filter(differs).with_columns(
        unit=pl.coalesce("unit_after", "unit"), difference_yuan=cents
    )
    renamed = told.rename(_SIDES).select(pl.col(n).cast(t) for n, t in CHANGED_LINES.items())
    return renamed.sort("site_id", "month", "item", "period", "start", nulls_last=True)


def _keyed(lines: pl.DataFrame) -> pl.DataFrame:
    own = lines.filter(pl.col("item") != Item.TOTAL.value)
    key = _KEY[:-1]
    return own.sort("line").with_columns(nth=pl.int_range(pl.len()).over(key))


def _yuan(suffix: str, line: str) -> pl.Expr:
    """Return an amount; 0 where there is no such line, null where it has none."""
    return pl.when(pl.col(line).is_null()).then(0.0).otherwise(f"amount_yuan{suffix}")


def compared(before: pl.DataFrame, after: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Return COMPARED rows of two sets of LINES and their `changed_lines`."""
    totals = (one.filter(item=Item.TOTAL.value) for one in (before, after))
    key = ["site_id", "month"]
    both = next(totals).join(next(totals), on=key, how="full", coalesce=True, suffix="_after")
    label = pl.concat_str("item", "period", separator=":", ignore_nulls=True)
    counted = pl.col("item") != Item.SURCHARGE.value
    names = lines.group_by(key).agg(
        pl.col("difference_yuan").filter(counted).sum().round(2).alias("known_difference_yuan"),
        pl.len().alias("lines_changed"),
        label.unique(maintain_order=True).alias("changed"),
    )
    told = both.join(names, on=key, how="left").with_columns(
        before_yuan="amount_yuan",
        after_yuan="amount_yuan_after",
        difference_yuan=(pl.col("amount_yuan_after") - pl.col("amount_yuan")).round(2),
        known_difference_yuan=pl.col("known_difference_yuan").fill_null(0.0),
        lines_changed=pl.col("lines_changed").fill_null(0),
        changed=pl.col("changed").fill_null([]),
        reason_before=_why("", "line"),
        reason_after=_why("_after", "line_after"),
        notes=pl.coalesce("notes_after", "notes"),
    )
    return told.select(pl.col(n).cast(t) for n, t in COMPARED.items()).sort(key)


def _why(suffix: str, line: str) -> pl.Expr:
    absent = pl.col(line).is_null()
    return pl.when(absent).then(pl.lit(NO_SITE)).otherwise(f"reason{suffix}")


def sum_known(rows: pl.DataFrame) -> tuple[Decimal, int]:
    """Return the sum of the differences known, to the 分, and of how many rows it is."""
    told = rows["difference_yuan"].drop_nulls()
    return sum((Decimal(repr(one)) for one in told), Decimal(0)), len(told)
