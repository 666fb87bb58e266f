"""What was looked for at each meter, and why a kind could not be; pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import polars as pl

from collector.anomaly_limits import Kind
from processors import anomalies_level, anomalies_month
from processors.anomaly import SOUGHT, Bound


class Why(StrEnum):
    """Why a kind could not be looked for at a meter."""

    SWITCHED_OFF = "switched_off"
    NO_THRESHOLD = "no_threshold"
    SINGLE_PHASE = "single_phase"
    THREE_WIRE = "three_wire"
    TWO_WAY = "two_way"
    """Generation, storage or export: power flows back by design."""
    NO_SUB_METERS = "no_sub_meters"
    NO_NOMINAL_VOLTAGE = "no_nominal_voltage"
    NO_BASIC_CURRENT = "no_basic_current"
    NO_BASIC_POWER = "no_basic_power"
    NO_RATED_POWER = "no_rated_power"
    NO_READINGS = "no_readings"
    NO_REGISTER = "no_register"
    NO_POWER = "no_power"
    NO_VOLTAGE = "no_voltage"
    NO_CURRENT = "no_current"
    NO_POWER_FACTOR = "no_power_factor"
    TOO_LITTLE = "too_little"
    """There is some of all it needs, but not together or not enough."""


class Meters(NamedTuple):
    """The meters that were looked at, and what they told."""

    facts: pl.DataFrame
    """Schema FACTS."""
    rows: pl.DataFrame
    """Of `anomaly_facts.sampled`."""
    above: pl.DataFrame
    """`site_id, above`: the balances there should be."""
    mains: pl.DataFrame
    """`site_id, meter_id` of main meters."""


def sought(seen: pl.DataFrame, meters: Meters, bounds: Mapping[Kind, Bound | str]) -> pl.DataFrame:
    """Return a row for each meter and kind, schema SOUGHT.

    Args:
        seen: `kind, phase, meter_id, judged, since, until`: what there was to judge.
        meters: all that were looked at.
        bounds: what each kind is judged by, or why it is not.
    """
    sites = meters.facts.select("meter_id", "site_id")
    if isinstance(bounds.get(Kind.PHASE_LOSS_SUSPECT), Bound):
        losses = seen.filter(pl.col("kind").is_in(anomalies_month.LOSSES))
        suspect = pl.lit(Kind.PHASE_LOSS_SUSPECT.value).alias("kind")
        seen = pl.concat([seen, losses.with_columns(suspect)])
    judged = _judged(seen, sites)
    kinds = pl.DataFrame({"kind": [kind.value for kind in Kind]})
    absent = {kind.value: one for kind, one in bounds.items() if isinstance(one, str)}
    whole = sites.join(kinds, how="cross").join(
        judged, on=["meter_id", "site_id", "kind"], how="full", coalesce=True
    )
    told = whole.join(_held(meters), on="meter_id", how="left").with_columns(
        pl.col("judged").fill_null(0),
        off=pl.col("kind").replace_strict(absent, default=None, return_dtype=pl.String()),
    )
    why = pl.when(pl.col("judged") == 0).then(pl.coalesce("off", _why()))
    return (
        told.with_columns(why.alias("reason"))
        .select(pl.col(name).cast(kind) for name, kind in SOUGHT.items())
        .sort("meter_id", "site_id", "kind")
    )


def _judged(seen: pl.DataFrame, sites: pl.DataFrame) -> pl.DataFrame:
    """Return how many rows each kind was judged in, over its phases."""
    return (
        anomalies_level.placed(seen, sites)
        .group_by("meter_id", "site_id", "kind")
        .agg(pl.col("judged").sum(), pl.col("since").min(), pl.col("until").max())
    )


def _held(meters: Meters) -> pl.DataFrame:
    """Return what is known of each meter: its facts, and which quantities it told."""

    def any_of(stem: str, unit: str) -> pl.Expr:
        told = (pl.col(f"{stem}_{phase}_{unit}").is_not_null() for phase in "abc")
        return pl.any_horizontal(*told).any()

    told = meters.rows.group_by("meter_id").agg(
        any_of("voltage", "v").alias("has_voltage"),
        any_of("current", "a").alias("has_current"),
        (pl.col("power_kw").is_not_null().any() | any_of("power", "kw")).alias("has_power"),
        pl.col("factor").is_not_null().any().alias("has_factor"),
        pl.col("energy_import_kwh").is_not_null().any().alias("has_register"),
    )
    above = anomalies_level.whose(meters.above.unique(), meters.mains)
    over = pl.col("meter_id").str.split("\n").list.last().alias("meter_id")
    marked = above.select(over, is_above=True).unique()
    known = meters.facts.drop("site_id").join(told, on="meter_id", how="left")
    return known.join(marked, on="meter_id", how="left")


_MISSING: dict[Why, pl.Expr] = {
    Why.SINGLE_PHASE: pl.col("phases") != 3,
    Why.THREE_WIRE: pl.col("three_wire"),
    Why.TWO_WAY: ~pl.col("one_way"),
    Why.NO_SUB_METERS: pl.col("is_above").is_null(),
    Why.NO_NOMINAL_VOLTAGE: pl.col("nominal_v").is_null(),
    Why.NO_BASIC_CURRENT: pl.col("basic_a").is_null(),
    Why.NO_BASIC_POWER: pl.col("phase_kw").is_null(),
    Why.NO_RATED_POWER: pl.col("rated_kw").is_null(),
    Why.NO_READINGS: pl.col("has_register").is_null(),
    Why.NO_REGISTER: ~pl.col("has_register"),
    Why.NO_POWER: ~pl.col("has_power"),
    Why.NO_VOLTAGE: ~pl.col("has_voltage"),
    Why.NO_CURRENT: ~pl.col("has_current"),
    Why.NO_POWER_FACTOR: ~pl.col("has_factor"),
}
_PHASES = (Why.NO_NOMINAL_VOLTAGE, Why.NO_BASIC_CURRENT, Why.NO_READINGS, Why.NO_VOLTAGE,
           Why.NO_CURRENT)  # fmt: skip
_VOLTS = (Why.NO_NOMINAL_VOLTAGE, Why.NO_READINGS, Why.NO_VOLTAGE)
_UNBALANCE = (Why.SINGLE_PHASE, Why.THREE_WIRE)
_NEEDS: dict[Kind, tuple[Why, ...]] = {
    Kind.REGISTER_DECREASE: (Why.NO_READINGS, Why.NO_REGISTER),
    Kind.REGISTER_STOP: (Why.NO_READINGS, Why.NO_REGISTER, Why.NO_POWER),
    Kind.REGISTER_FLY: (Why.NO_RATED_POWER, Why.NO_READINGS, Why.NO_REGISTER),
    Kind.ENERGY_DEVIATION: (Why.NO_RATED_POWER, Why.NO_READINGS, Why.NO_REGISTER),
    Kind.LOSS_OF_VOLTAGE: _PHASES,
    Kind.UNDERVOLTAGE: _VOLTS,
    Kind.OVERVOLTAGE: _VOLTS,
    Kind.PHASE_FAILURE: (Why.SINGLE_PHASE, *_PHASES),
    Kind.LOSS_OF_CURRENT: (Why.SINGLE_PHASE, *_PHASES),
    Kind.OVERCURRENT: (
        Why.NO_NOMINAL_VOLTAGE, Why.NO_RATED_POWER, Why.NO_READINGS, Why.NO_CURRENT,
    ),
    Kind.OVERLOAD: (Why.NO_RATED_POWER, Why.NO_READINGS, Why.NO_POWER),
    Kind.LOW_POWER_FACTOR: (Why.NO_BASIC_POWER, Why.NO_READINGS, Why.NO_POWER_FACTOR),
    Kind.REVERSE_POWER: (Why.TWO_WAY, Why.NO_BASIC_POWER, Why.NO_READINGS, Why.NO_POWER),
    Kind.VOLTAGE_UNBALANCE: (*_UNBALANCE, *_VOLTS),
    Kind.CURRENT_UNBALANCE: (*_UNBALANCE, Why.NO_BASIC_CURRENT, Why.NO_READINGS, Why.NO_CURRENT),
    Kind.SEVERE_CURRENT_UNBALANCE: (
        *_UNBALANCE, Why.NO_BASIC_CURRENT, Why.NO_READINGS, Why.NO_CURRENT,
    ),
    Kind.PHASE_LOSS_SUSPECT: _PHASES,
    Kind.PARENT_CHILD_GAP: (Why.NO_SUB_METERS,),
    Kind.SUDDEN_DROP: (),
    Kind.SUDDEN_RISE: (),
    Kind.RATIO_JUMP: (),
    Kind.ZERO_USE: (),
}  # fmt: skip


def _why() -> pl.Expr:
    """Return the first thing that a kind lacks at a meter."""
    chosen = [
        pl.when((pl.col("kind") == kind.value) & _MISSING[why]).then(pl.lit(why.value))
        for kind, wanted in _NEEDS.items()
        for why in wanted
    ]
    return pl.coalesce(*chosen, pl.lit(Why.TOO_LITTLE.value))
