"""Power quality (电能质量) of a meter by local day, month and year; pure.

Meters report momentary magnitudes, where the standards ask for recorders with windows of 3 s to
10 min. What is stated is therefore a share of *readings*, with their number: a sign, no
measurement by the standard's method.
"""

from collections.abc import Iterable

import polars as pl

from collector.reading import KEY as READING_KEY
from collector.site import Site
from processors.history.days import local
from processors.indices import KEY, Why
from processors.interval import BLOCK
from processors.quality_limits import MEASURES, SUPPLY, Limit, Measure
from processors.shapes import Span, slots

POWER_QUALITY: dict[str, pl.DataType] = KEY | {
    "quantity": pl.String(),
    "unit": pl.String(),
    "mean": pl.Float64(),
    "p95": pl.Float64(),
    "min": pl.Float64(),
    "max": pl.Float64(),
    "limit_low": pl.Float64(),
    "limit_high": pl.Float64(),
    "limit_short": pl.Float64(),
    "qualified_share": pl.Float64(),
    "standard": pl.String(),
    "provenance": pl.String(),
    "nominal_v": pl.Float64(),
    "readings": pl.Int64(),
    "blocks": pl.Int32(),
    "blocks_expected": pl.Int32(),
    "coverage": pl.Float64(),
    "reason": pl.String(),
    "basis": pl.String(),
}
"""One row a meter, period and quantity. `mean`, `min`, `max` of the readings in `unit`; `p95` the
greatest after the top 5 % of readings (95 % 概率大值); `qualified_share` (合格率) 0..1 of the
readings inside [`limit_low`, `limit_high`] of `standard`, whose `provenance` is published or
unverified. `limit_short`: what `max` may reach for short times.

Quantities: `voltage_deviation_{a,b,c}` (U - Un) / Un in % of `nominal_v`, GB/T 12325; 0 V counts
as -100 %. `voltage_unbalance` U2/U1 in %, GB/T 15543-2008, by symmetrical components of the three
magnitudes, phases taken 120 degrees apart. `thd_voltage` in %, GB/T 14549-1993. `frequency` in Hz,
GB/T 15945. `power_factor` Wp / sqrt(Wp2 + Wq2) of the period's energies, (83)水电财字第215号: in
`mean`, over the `blocks` that state all it rests on; which standard (0.90, 0.85, 0.80) holds is the
bill's. Its `basis` says what Wq is: `drawn_and_fed_back`, both added as in the bill (a rule that is
recalled: `provenance` unverified where anything was fed back), or `drawn` alone where the meter
does not tell what it fed back: an upper bound if capacitors over-compensate. A block's own
`power_factor` (INTERVAL) is the physical one, of the energies drawn.

`readings` it rests on; `blocks` of 15 min that hold one, of `blocks_expected` that have ended;
`coverage` their ratio (of the power factor: measured share). `reason` why figures are null:
no_data, low_coverage, no_nominal_voltage (not told for the meter), no_voltage (a phase reads 0
throughout: not connected or lost); or why `qualified_share` alone is: no_limit."""

_EPS = 1e-9
"""235.4 V are +7 % of 220 V, and not more, in binary fractions too."""

BASES = _DRAWN, _BOTH = "drawn", "drawn_and_fed_back"
"""What the power factor's reactive energy is."""

NO_NOMINAL, NO_VOLTAGE, NO_LIMIT = "no_nominal_voltage", "no_voltage", "no_limit"


def supplies(sites: Iterable[Site]) -> pl.DataFrame:
    """Return SUPPLY of all meters."""
    rows = [(m.id, m.nominal_voltage_v, m.supply_phases) for site in sites for m in site.meters]
    return pl.DataFrame(rows, schema=SUPPLY, orient="row")


def power_quality(
    readings: pl.DataFrame,
    intervals: pl.DataFrame,
    zones: pl.DataFrame,
    supply: pl.DataFrame,
    span: Span,
) -> pl.DataFrame:
    """Return POWER_QUALITY rows, for each meter those quantities it told in the span.

    Args:
        readings: READING rows of whole periods; of several versions of an instant the later
            received stands, column by column.
        intervals: latest INTERVAL rows of the same periods, for the power factor; with
            `fed_back_kvarh` (FED_BACK) where it is asked for.
        zones: `meter_id`, `timezone`; meters absent here have no rows.
        supply: SUPPLY; a meter absent here has no nominal voltage.
        span: the periods.
    """
    expected = slots(zones, span).group_by("timezone", "day")
    count = expected.agg(pl.len().alias("blocks_expected"))
    rows = _placed(_settled(readings), zones, supply, span)
    told = [_judged(rows, one, count, span) for one in MEASURES]
    factors = _power_factors(intervals, zones, count, span)
    order = {one.name: place for place, one in enumerate(MEASURES)}
    place = pl.col("quantity").replace_strict(order, default=len(order), return_dtype=pl.Int64)
    return pl.concat([*told, factors]).sort(*KEY, place)


def _settled(readings: pl.DataFrame) -> pl.DataFrame:
    """Return one row an instant."""
    names = sorted({name for one in MEASURES for name in one.value.meta.root_names()})
    used = [name for name in names if name not in SUPPLY]
    rows = readings.select(*READING_KEY, "received_at", *used).sort("received_at")
    return rows.group_by(READING_KEY).agg(pl.col(used).drop_nulls().last())


def _placed(
    rows: pl.DataFrame, zones: pl.DataFrame, supply: pl.DataFrame, span: Span
) -> pl.DataFrame:
    timed = rows.rename({"measured_at": "start"})
    placed = local(timed, zones).with_columns(block=pl.col("start").dt.truncate(BLOCK))
    ended = pl.col("block") + BLOCK <= span.now
    inside = placed.filter((pl.col("day") >= span.first) & (pl.col("day") < span.after) & ended)
    return inside.with_columns(
        pl.col("meter_id").cast(pl.String),
        pl.col("day").dt.truncate(span.length.offset),
    ).join(supply, on="meter_id", how="left")


def _judged(
    rows: pl.DataFrame, measure: Measure, expected: pl.DataFrame, span: Span
) -> pl.DataFrame:
    """Return the POWER_QUALITY rows of one quantity."""
    roots = [name for name in measure.value.meta.root_names() if name not in SUPPLY]
    heard = pl.all_horizontal(pl.col(roots).is_not_null())
    applies = pl.col("phases").fill_null(3) >= len(measure.phases)
    told = rows.filter(heard.any().over("meter_id") & applies)
    said = (_limit(measure.limits, name, kind) for name, kind in _SAID.items())
    limited = told.with_columns(*said, value=measure.value, heard=heard)
    dead = [pl.col(f"voltage_{phase}_v").max() == 0 for phase in measure.phases]
    found = limited.group_by(*KEY, "timezone").agg(
        *_statistics(), pl.any_horizontal(pl.lit(value=False), *dead).alias("dead")
    )
    whole = found.join(expected, on=["timezone", "day"]).with_columns(
        coverage=pl.col("blocks") / pl.col("blocks_expected"),
        quantity=pl.lit(measure.name),
        unit=pl.lit(measure.unit),
    )
    return _shaped(whole.with_columns(reason=_reason(measure, span)))


_SAID: dict[str, pl.DataType] = {
    "low": pl.Float64(),
    "high": pl.Float64(),
    "short": pl.Float64(),
    "standard": pl.String(),
    "provenance": pl.String(),
}


def _limit(limits: tuple[Limit, ...], name: str, kind: pl.DataType) -> pl.Expr:
    """Return what the limit that holds says; null if none does."""
    said = [pl.when(one.holds).then(pl.lit(getattr(one, name), kind)) for one in limits]
    return pl.coalesce(said).alias(name if kind == pl.String() else f"limit_{name}")


def _statistics() -> list[pl.Expr]:
    value = pl.col("value")
    ranked = value.drop_nulls().sort(descending=True)
    within = value.is_between(pl.col("limit_low") - _EPS, pl.col("limit_high") + _EPS)
    return [
        value.mean().alias("mean"),
        ranked.get(value.count() // 20, null_on_oob=True).alias("p95"),
        value.min().alias("min"),
        value.max().alias("max"),
        within.mean().alias("qualified_share"),
        pl.col("limit_low", "limit_high", "limit_short", "standard", "provenance").first(),
        pl.col("nominal_v").first(),
        pl.col("heard").sum().alias("readings"),
        pl.col("block").filter("heard").n_unique().alias("blocks"),
    ]


def _reason(measure: Measure, span: Span) -> pl.Expr:
    unknown = pl.col("nominal_v").is_null() if measure.needs_nominal else pl.lit(value=False)
    low = pl.col("coverage") < span.min_coverage - 1e-9
    return (
        pl.when(unknown)
        .then(pl.lit(NO_NOMINAL))
        .when("dead")
        .then(pl.lit(NO_VOLTAGE))
        .when(pl.col("readings") == 0)
        .then(pl.lit(Why.NO_DATA.value))
        .when(low)
        .then(pl.lit(Why.LOW_COVERAGE.value))
        .when(pl.col("limit_high").is_null())
        .then(pl.lit(NO_LIMIT))
    )


def _power_factors(
    intervals: pl.DataFrame, zones: pl.DataFrame, expected: pl.DataFrame, span: Span
) -> pl.DataFrame:
    """Return the `power_factor` rows of the meters that tell reactive energy."""
    used = ("meter_id", "start", "energy_kwh", "reactive_kvarh", "coverage")
    back = pl.col("fed_back_kvarh") if "fed_back_kvarh" in intervals.columns else pl.lit(None)
    rows = local(intervals.select(*used, back.cast(pl.Float64).alias("back")), zones).with_columns(
        pl.col("meter_id").cast(pl.String), date="day"
    )
    inside = rows.filter(
        (pl.col("date") >= span.first)
        & (pl.col("date") < span.after)
        & pl.col("reactive_kvarh").is_not_null().any().over("meter_id")
    )
    found = inside.group_by(
        "meter_id", "timezone", pl.col("date").dt.truncate(span.length.offset).alias("day")
    ).agg(_factor())
    whole = found.join(expected, on=["timezone", "day"]).with_columns(
        coverage=(pl.col("covered") / pl.col("blocks_expected")).clip(0.0, 1.0),
        quantity=pl.lit("power_factor"),
        unit=pl.lit("1"),
        standard=pl.lit("(83)水电财字第215号"),
    )
    reason = (
        pl.when(pl.col("blocks") == 0)
        .then(pl.lit(Why.NO_DATA.value))
        .when(pl.col("coverage") < span.min_coverage - 1e-9)
        .then(pl.lit(Why.LOW_COVERAGE.value))
        .when(pl.col("mean").is_null())
        .then(pl.lit(Why.NO_LOAD.value))
        .otherwise(pl.lit(NO_LIMIT))
    )
    return _shaped(whole.with_columns(reason=reason))


def _factor() -> list[pl.Expr]:
    """Return what the blocks of a period make of its power factor."""
    told, back = pl.col("back").is_not_null(), pl.col("back")
    both = pl.col("energy_kwh").is_not_null() & pl.col("reactive_kvarh").is_not_null()
    both &= told | ~told.any()
    active, drawn = (pl.col(n).filter(both).sum() for n in ("energy_kwh", "reactive_kvarh"))
    reactive = drawn + back.filter(both).sum()
    apparent = (active**2 + reactive**2).sqrt()
    unverified = pl.when((back > 0).any()).then(pl.lit("unverified"))
    return [
        pl.when(apparent > 0).then(active / apparent).alias("mean"),
        both.sum().alias("blocks"),
        pl.col("coverage").filter(both).sum().alias("covered"),
        pl.when(told.any()).then(pl.lit(_BOTH)).otherwise(pl.lit(_DRAWN)).alias("basis"),
        unverified.otherwise(pl.lit("published")).alias("provenance"),
    ]


def _shaped(rows: pl.DataFrame) -> pl.DataFrame:
    """Put rows into POWER_QUALITY; figures that `reason` forbids, and absent ones, are null."""
    stated = pl.col("reason").is_null() | (pl.col("reason") == NO_LIMIT)
    figures = [n for n in ("mean", "p95", "min", "max", "qualified_share") if n in rows.columns]
    absent = {n: pl.lit(None, t) for n, t in POWER_QUALITY.items() if n not in rows.columns}
    told = rows.with_columns(pl.when(stated).then(pl.col(figures)), **absent)
    return told.select(pl.col(n).cast(t) for n, t in POWER_QUALITY.items())
