"""Metering anomalies (计量异常): all kinds over many meters, and what was not looked for; pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import polars as pl

from collector.anomaly_limits import Kind
from processors import anomalies_level, anomalies_register
from processors.anomalies_electric import electric
from processors.anomaly import ANOMALY, CLUE, SOUGHT, Bound, Signal, episodes
from processors.anomaly_facts import sampled


@dataclass(frozen=True, slots=True)
class Material:
    """What is looked in."""

    facts: pl.DataFrame
    """Schema FACTS: the meters that are looked at."""
    readings: pl.DataFrame
    """READING rows, every version, in any order."""
    intervals: pl.DataFrame
    """Latest INTERVAL rows of the same time."""
    days: pl.DataFrame
    """DAY rows of days that are over, `anomalies_level.HISTORY_DAYS` further back."""
    balances: pl.DataFrame
    """BALANCE rows of days that are over."""
    above: pl.DataFrame
    """`site_id, above`: the balances there should be."""
    changes: pl.DataFrame
    """`meter_id, at` of declared changes of meter or ratio."""
    mains: pl.DataFrame
    """`site_id, meter_id` of main meters."""
    least_coverage: float = 0.95
    """A day less covered says nothing."""
    before: pl.DataFrame | None = None
    """ANOMALY rows that were open at the look before."""


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


def anomalies(
    material: Material, bounds: Mapping[Kind, Bound | str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what looks wrong, schema ANOMALY, and what was looked for, schema SOUGHT.

    Args:
        material: rows of the time looked at.
        bounds: of every kind, or why there is none (`anomaly.bounds`).
    """
    rows = sampled(material.readings, material.facts)
    held = {kind: one for kind, one in bounds.items() if isinstance(one, Bound)}
    found, seen = [], []
    for table, signal in _signals(rows, material, held):
        some, judged = episodes(table, signal, material.before)
        found.append(_finished(signal.kind, some))
        seen.append(judged.with_columns(pl.lit(signal.kind.value).alias("kind")))
    sites = material.facts.select("meter_id", "site_id")
    return _named(found, sites, held), _sought(seen, rows, material, bounds)


def _signals(
    rows: pl.DataFrame, material: Material, held: Mapping[Kind, Bound]
) -> Iterator[tuple[pl.DataFrame, Signal]]:
    for signal in electric(held):
        yield rows, signal
    told = anomalies_register.registers(rows, material.changes)
    if bound := held.get(Kind.REGISTER_DECREASE):
        yield told, anomalies_register.decrease(bound)
    closings = anomalies_register.closings(told)
    for kind in (Kind.REGISTER_FLY, Kind.ENERGY_DEVIATION):
        if bound := held.get(kind):
            yield closings, anomalies_register.beyond(bound)
    if bound := held.get(Kind.REGISTER_STOP):
        mine = material.intervals.join(material.facts, on="meter_id", how="semi")
        yield anomalies_register.standing_blocks(rows, mine), anomalies_register.stop(bound)
    if bound := held.get(Kind.PARENT_CHILD_GAP):
        least = material.least_coverage
        wholly = material.facts.select("site_id", "wholly").unique()
        spans = anomalies_level.gaps(material.balances, material.mains, wholly, least)
        yield spans, anomalies_level.gap(bound)
    days = material.days.join(material.facts, on="meter_id", how="semi")
    levels = anomalies_level.levels(days, material.least_coverage)
    of_days = {
        Kind.SUDDEN_DROP: anomalies_level.drop,
        Kind.SUDDEN_RISE: anomalies_level.rise,
        Kind.RATIO_JUMP: anomalies_level.jump,
        Kind.ZERO_USE: anomalies_level.zero,
    }
    for kind, make in of_days.items():
        if bound := held.get(kind):
            yield levels, make(bound)


def _finished(kind: Kind, found: pl.DataFrame) -> pl.DataFrame:
    if kind is Kind.REGISTER_STOP:
        return anomalies_register.stopped(found)
    return anomalies_level.zeros(found) if kind is Kind.ZERO_USE else found


def _named(
    found: list[pl.DataFrame], sites: pl.DataFrame, held: Mapping[Kind, Bound]
) -> pl.DataFrame:
    """Put what was found into ANOMALY."""
    if not found:
        return pl.DataFrame(schema=ANOMALY)
    rows = _placed(pl.concat(found, how="vertical_relaxed"), sites)
    told = [(kind.value, one.document, one.provenance) for kind, one in held.items()]
    schema = ["kind", "document", "provenance"]
    known = pl.DataFrame(told, schema=schema, orient="row")
    named = rows.join(known, on="kind", how="left").with_columns(standing=pl.lit(CLUE))
    return named.select(pl.col(name).cast(kind) for name, kind in ANOMALY.items()).sort(
        "meter_id", "kind", "phase", "since"
    )


def _placed(rows: pl.DataFrame, sites: pl.DataFrame) -> pl.DataFrame:
    """Add `site_id`; a balance's meter carries its own (`anomalies_level.gaps`)."""
    parts = pl.col("meter_id").str.split_exact("\n", 1)
    own = parts.struct.field("field_1")
    split = rows.with_columns(
        pl.when(own.is_null()).then("meter_id").otherwise(own).alias("meter_id"),
        pl.when(own.is_not_null()).then(parts.struct.field("field_0")).alias("own_site"),
    )
    placed = split.join(sites, on="meter_id", how="left", maintain_order="left")
    return placed.with_columns(site_id=pl.coalesce("own_site", "site_id")).drop("own_site")


def _sought(
    seen: list[pl.DataFrame],
    rows: pl.DataFrame,
    material: Material,
    bounds: Mapping[Kind, Bound | str],
) -> pl.DataFrame:
    sites = material.facts.select("meter_id", "site_id")
    judged = _judged(seen, sites)
    kinds = pl.DataFrame({"kind": [kind.value for kind in Kind]})
    absent = {kind.value: one for kind, one in bounds.items() if isinstance(one, str)}
    whole = sites.join(kinds, how="cross").join(
        judged, on=["meter_id", "site_id", "kind"], how="full", coalesce=True
    )
    told = whole.join(_held(rows, material), on="meter_id", how="left").with_columns(
        pl.col("judged").fill_null(0),
        off=pl.col("kind").replace_strict(absent, default=None, return_dtype=pl.String()),
    )
    why = pl.when(pl.col("judged") == 0).then(pl.coalesce("off", _why()))
    return (
        told.with_columns(why.alias("reason"))
        .select(pl.col(name).cast(kind) for name, kind in SOUGHT.items())
        .sort("meter_id", "site_id", "kind")
    )


def _judged(seen: list[pl.DataFrame], sites: pl.DataFrame) -> pl.DataFrame:
    """Return how many rows each kind was judged in, over its phases."""
    empty = {name: kind for name, kind in SOUGHT.items() if name != "reason"}
    if not seen:
        return pl.DataFrame(schema=empty)
    return (
        _placed(pl.concat(seen, how="vertical_relaxed"), sites)
        .group_by("meter_id", "site_id", "kind")
        .agg(pl.col("judged").sum(), pl.col("since").min(), pl.col("until").max())
    )


def _held(rows: pl.DataFrame, material: Material) -> pl.DataFrame:
    """Return what is known of each meter: its facts, and which quantities it told."""

    def any_of(stem: str, unit: str) -> pl.Expr:
        told = (pl.col(f"{stem}_{phase}_{unit}").is_not_null() for phase in "abc")
        return pl.any_horizontal(*told).any()

    told = rows.group_by("meter_id").agg(
        any_of("voltage", "v").alias("has_voltage"),
        any_of("current", "a").alias("has_current"),
        (pl.col("power_kw").is_not_null().any() | any_of("power", "kw")).alias("has_power"),
        pl.col("factor").is_not_null().any().alias("has_factor"),
        pl.col("energy_import_kwh").is_not_null().any().alias("has_register"),
    )
    above = anomalies_level.whose(material.above.unique(), material.mains)
    over = pl.col("meter_id").str.split("\n").list.last().alias("meter_id")
    marked = above.select(over, is_above=True).unique()
    known = material.facts.drop("site_id").join(told, on="meter_id", how="left")
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


def within(found: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    """Return the episodes that touch `[start, end)`."""
    lasts = pl.col("until").is_null() | (pl.col("until") > start)
    moment = pl.col("since") >= start
    return found.filter((lasts | moment) & (pl.col("since") < end))
