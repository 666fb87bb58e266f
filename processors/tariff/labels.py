"""The tariff period of every block of many meters, by their sites' dated contracts. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

import polars as pl

from collector.reading import UTC_US
from collector.site import Site
from processors.indices import KEY
from processors.shapes import SHARES, Span, period_shares
from processors.tariff.contract import Rates, spans
from processors.tariff.periods import HOT
from processors.tariff.split import grid

LABELS: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "start": UTC_US,
    "tariff_period": pl.String(),
    "why": pl.String(),
    "heat_open": pl.Boolean(),
}
"""One row a meter and block. `tariff_period` null for `why`: no_supply (no contract in force),
no_tariff (no edition of its tariff), day_type_unknown; `heat_open`: the day would make another
period if it were hot, and whether it was is not known."""

TARIFF_SHARES: dict[str, pl.DataType] = SHARES | {"heat_unknown_days": pl.Int32()}
"""SHARES (尖峰平谷 shares of energy); `reason` of energy without a period as in LABELS;
`heat_unknown_days` of the period that have begun and would hold sharp hours if they were hot, but
whose greatest temperature is not known: rated as not hot."""

Heat = Callable[[str, float], pl.DataFrame]
"""(zone, least maximum in °C) -> HOT rows over the span."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Days `[first, end)` under one edition; hashable, so that sites share plans."""

    first: date
    end: date
    tariff: str
    why: str | None


def labels(
    sites: Iterable[Site], meters: pl.DataFrame, rates: Rates, span: Span, heat: Heat
) -> pl.DataFrame:
    """Return LABELS of all blocks of a span.

    Sites under the same editions are laid out once.

    Args:
        sites: whose contracts decide.
        meters: `meter_id`, `site_id` of what is labelled: meters, or sites as sums.
        rates: packs and calendar; prices part nothing.
        span: the days.
        heat: which days were hot.
    """
    plans: dict[tuple[str, tuple[_Part, ...]], list[str]] = {}
    for site in sites:
        key = site.timezone, tuple(_parts(site, rates, span))
        if key[1]:  # none over an empty span
            plans.setdefault(key, []).append(site.id)
    laid = [pl.DataFrame(schema=LABELS)]
    for (zone, parts), ids in plans.items():
        blocks = pl.concat(_blocks(one, zone, rates, heat) for one in parts)
        mine = meters.filter(pl.col("site_id").is_in(ids)).select(pl.col("meter_id"))
        laid.append(mine.cast(pl.String).join(blocks, how="cross").select(*LABELS))
    return pl.concat(laid)


def _parts(site: Site, rates: Rates, span: Span) -> Iterable[_Part]:
    for one in spans(site, span.first, span.after, Rates(rates.packs)):
        known = one.supply and one.pack
        why = None if known else "no_tariff" if one.supply else "no_supply"
        yield _Part(one.first, one.end, one.supply.tariff if one.supply else "", why)


def _blocks(part: _Part, zone: str, rates: Rates, heat: Heat) -> pl.DataFrame:
    """Return LABELS but `meter_id` of one part."""
    pack = None if part.why else rates.packs.tariff(part.tariff, part.first)
    days, calendar = (part.first, part.end), rates.calendar
    if pack is None:
        bare = grid(*days, None, zone)
        return bare.select(
            "start", tariff_period=None, why=pl.lit(part.why), heat_open=pl.lit(value=False)
        ).cast({"tariff_period": pl.String})
    hot = heat(zone, pack.hot.min_c) if pack.hot else None
    told = grid(*days, pack, zone, hot, calendar)
    if hot is not None:
        warmest = grid(*days, pack, zone, _all_unknown_hot(days, hot), calendar)["period"]
        told = told.with_columns(warmest=warmest)
    else:
        told = told.with_columns(warmest="period")
    name = pl.col("period").cast(pl.String)
    return told.select(
        "start",
        tariff_period=name,
        why=pl.when(name.is_null()).then(pl.lit("day_type_unknown")),
        heat_open=pl.col("warmest").ne_missing(pl.col("period")),
    )


def _all_unknown_hot(days: tuple[date, date], hot: pl.DataFrame) -> pl.DataFrame:
    known = hot.filter(pl.col("hot").is_not_null())
    every = pl.DataFrame({"day": pl.date_range(*days, closed="left", eager=True)})
    other = every.join(known, on="day", how="anti").with_columns(hot=True, max_c=None)
    return pl.concat([known, other.select(pl.col(n).cast(t) for n, t in HOT.items())])


def tariff_shares(
    intervals: pl.DataFrame, zones: pl.DataFrame, labelled: pl.DataFrame, span: Span
) -> pl.DataFrame:
    """Return TARIFF_SHARES rows; arguments as of `shapes.period_shares`, `labelled` LABELS."""
    rows = period_shares(intervals, zones, labelled, span)
    placed = _by_day(labelled, zones, span)
    lacking = placed.filter(pl.col("why").is_not_null())
    why = lacking.group_by(*KEY).agg(pl.col("why").min())
    begun = pl.col("heat_open") & (pl.col("start") <= span.now)
    doubt = placed.group_by(*KEY).agg(
        pl.col("date").filter(begun).n_unique().alias("heat_unknown_days")
    )
    bare = pl.col("tariff_period").is_null()
    told = (
        rows.join(why, on=list(KEY), how="left")
        .join(doubt, on=list(KEY), how="left")
        .with_columns(
            pl.col("heat_unknown_days").fill_null(0),
            reason=pl.when(bare).then(pl.coalesce("why", "reason")).otherwise("reason"),
        )
    )
    return told.select(pl.col(n).cast(t) for n, t in TARIFF_SHARES.items())


def _by_day(labelled: pl.DataFrame, zones: pl.DataFrame, span: Span) -> pl.DataFrame:
    """Add the local `date` and the first `day` of its period to blocks that have a say."""
    some = labelled.filter(pl.col("why").is_not_null() | pl.col("heat_open"))
    zoned = some.join(zones.select("meter_id", "timezone"), on="meter_id")
    at = pl.lit(None, pl.Date())
    for zone in zoned["timezone"].unique():
        here = pl.col("start").dt.convert_time_zone(zone).dt.date()
        at = pl.when(pl.col("timezone") == zone).then(here).otherwise(at)
    dated = zoned.with_columns(date=at)
    return dated.with_columns(day=pl.col("date").dt.truncate(span.length.offset))
