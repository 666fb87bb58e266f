"""Metering anomalies (计量异常): all kinds over many meters, a span of time after another; pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import polars as pl

from collector.anomaly_limits import Kind
from processors import anomalies_level, anomalies_register
from processors.anomalies_electric import electric
from processors.anomaly import ANOMALY, CLUE, Bound, Signal
from processors.anomaly_carry import NOTHING, Carry
from processors.anomaly_facts import sampled
from processors.anomaly_fold import fold
from processors.anomaly_sought import Meters, sought


class Found(NamedTuple):
    """What a look found."""

    anomalies: pl.DataFrame
    """Schema ANOMALY."""
    sought: pl.DataFrame
    """Schema SOUGHT."""
    carry: Carry


@dataclass(frozen=True, slots=True)
class Material:
    """What is looked in."""

    judged_to: datetime
    """What ends later is not in it."""
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
    carry: Carry = NOTHING
    """What is known of the time before."""


def anomalies(material: Material, bounds: Mapping[Kind, Bound | str]) -> Found:
    """Return what looks wrong, what was looked for, and what the next rows go on from.

    Args:
        material: rows of the time looked at.
        bounds: of every kind, or why there is none (`anomaly.bounds`).
    """
    rows = sampled(material.readings, material.facts)
    held = {kind: one for kind, one in bounds.items() if isinstance(one, Bound)}
    before = material.carry
    fresh = rows.filter(pl.col("at") > before.at)
    told = anomalies_register.registers(fresh, material.changes, before.closings, material.facts)
    days = material.days.join(material.facts, on="meter_id", how="semi")
    level = anomalies_level.levels(days, material.least_coverage, before.medians)
    asked = list(_signals(rows, told, level, material, held))
    found, seen, carried = fold(asked, before.signals, before.at)
    sites = material.facts.select("meter_id", "site_id")
    return Found(
        _named(found, sites, held),
        sought(seen, Meters(material.facts, rows, material.above, material.mains), bounds),
        Carry(
            material.judged_to,
            carried,
            anomalies_register.newest(told),
            anomalies_level.medians(level, before.medians),
        ),
    )


def _signals(
    rows: pl.DataFrame,
    told: pl.DataFrame,
    level: pl.DataFrame,
    material: Material,
    held: Mapping[Kind, Bound],
) -> Iterator[tuple[pl.DataFrame, Signal]]:
    for signal in electric(held):
        yield rows, signal
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
    of_days = {
        Kind.SUDDEN_DROP: anomalies_level.drop,
        Kind.SUDDEN_RISE: anomalies_level.rise,
        Kind.RATIO_JUMP: anomalies_level.jump,
        Kind.ZERO_USE: anomalies_level.zero,
    }
    for kind, make in of_days.items():
        if bound := held.get(kind):
            yield level, make(bound)


def _named(found: pl.DataFrame, sites: pl.DataFrame, held: Mapping[Kind, Bound]) -> pl.DataFrame:
    """Put what was found into ANOMALY."""
    finished = anomalies_level.zeros(anomalies_register.stopped(found))
    rows = anomalies_level.placed(finished, sites)
    told = [(kind.value, one.document, one.provenance) for kind, one in held.items()]
    schema = ["kind", "document", "provenance"]
    known = pl.DataFrame(told, schema=schema, orient="row")
    named = rows.join(known, on="kind", how="left").with_columns(standing=pl.lit(CLUE))
    return named.select(pl.col(name).cast(kind) for name, kind in ANOMALY.items()).sort(
        "meter_id", "kind", "phase", "since"
    )


def within(found: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    """Return the episodes that touch `[start, end)`."""
    lasts = pl.col("until").is_null() | (pl.col("until") > start)
    moment = pl.col("since") >= start
    return found.filter((lasts | moment) & (pl.col("since") < end))
