"""Whom to ask for what on a line, and the READING rows their answers make; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from collector.dlt645.frames import address_of
from collector.dlt645.items import ITEMS, Item, decode
from collector.polls import Ratios
from collector.quantity import QUANTITIES
from collector.reading import UTC_US, conform, empty
from collector.registers import factor
from collector.site import Dlt645Source, Site

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Target:
    """One meter of a line."""

    meter_id: str
    address: bytes
    every_s: float
    """Site seconds between two polls."""
    clock_every_s: float
    """Site seconds between two readings of its clock; 0: with every poll."""
    wake_bytes: int
    items: tuple[Item, ...]
    ratios: Ratios
    zone: ZoneInfo
    source: str
    """`dlt645:<line id>`."""


def targets_of(line_id: str, sites: Sequence[Site]) -> list[Target]:
    """Return the meters of `sites` that hang on a line, in the sites' order."""
    return [
        Target(
            meter.id,
            address_of(meter.source.address),
            meter.source.poll_every_s,
            meter.source.clock_every_s,
            meter.source.wake_bytes,
            tuple(item for name, item in ITEMS.items() if name in meter.source.items),
            Ratios.of(site, meter),
            ZoneInfo(site.timezone),
            f"dlt645:{line_id}",
        )
        for site in sites
        for meter in site.meters
        if isinstance(meter.source, Dlt645Source) and meter.source.line == line_id
    ]


class Answer(NamedTuple):
    """One item's complete answer."""

    item: Item
    payloads: tuple[bytes, ...]


class Poll(NamedTuple):
    """What one meter said in one turn."""

    target: Target
    at_us: int
    """The middle of the exchange that read the first item, microseconds since 1970 UTC: the
    registers come first, and their instant matters; the gauges follow within `response_ms`."""
    answers: tuple[Answer, ...]
    clock_offset_s: float | None
    """The meter's clock minus ours, if it was read in this turn."""
    response_ms: float


@dataclass(frozen=True, slots=True)
class Doubted:
    """A value left out of a reading, for the book of rejects."""

    target: Target
    reason: str
    excerpt: str


def readings_of(polls: Sequence[Poll], received_at: datetime) -> tuple[pl.DataFrame, list[Doubted]]:
    """Decode many polls at once; CT and PT ratios in force are applied.

    Returns:
        A READING frame, one row a poll that stated at least one value; and what was left out.
    """
    doubted: list[Doubted] = []
    rows = [_secondary(poll, doubted) for poll in polls]
    ratios = np.array([poll.target.ratios.at(poll.at_us) for poll in polls]).reshape(-1, 2)
    ratio = {"ct": ratios[:, 0], "pt": ratios[:, 1]}
    columns = {
        name: _primary(name, rows, ratio, polls, doubted)
        for name in QUANTITIES
        if any(name in row for row in rows)
    }
    stated = [name for name in columns if name != "clock_offset_s"]
    told = np.zeros(len(polls), dtype=bool)
    for name in stated:
        told |= ~np.isnan(columns[name])
    mute = "answered, but states no value"
    doubted += [Doubted(polls[int(i)].target, "sentinel", mute) for i in np.flatnonzero(~told)]
    if not told.any():
        return empty(), doubted
    at = np.array([poll.at_us for poll in polls], dtype="datetime64[us]")
    keys = {
        "meter_id": [poll.target.meter_id for poll in polls],
        "measured_at": pl.Series(at).dt.replace_time_zone("UTC"),
        "source": [poll.target.source for poll in polls],
    }
    frame = pl.DataFrame(keys | columns).with_columns(
        pl.col(list(columns)).fill_nan(None), received_at=pl.lit(received_at, dtype=UTC_US)
    )
    return conform(frame.filter(told)), doubted


def _secondary(poll: Poll, doubted: list[Doubted]) -> dict[str, float]:
    """Return what the meter's terminals show, by quantity."""
    found: dict[str, float] = {}
    for answer in poll.answers:
        values, doubts = decode(answer.item, answer.payloads, poll.target.zone)
        found |= values
        doubted += [Doubted(poll.target, one.reason, one.text) for one in doubts]
    if poll.clock_offset_s is not None:
        found["clock_offset_s"] = poll.clock_offset_s
    return found


def _primary(
    name: str,
    rows: Sequence[Mapping[str, float]],
    ratio: Mapping[str, Floats],
    polls: Sequence[Poll],
    doubted: list[Doubted],
) -> Floats:
    """Return one column, NaN where nothing is stated or nothing can be believed."""
    secondary = np.array([row.get(name, np.nan) for row in rows])
    value = secondary * factor(name, ratio)
    quantity = QUANTITIES[name]
    with np.errstate(invalid="ignore"):
        wrong = ~((value >= quantity.low) & (value <= quantity.high)) & ~np.isnan(secondary)
    for row in np.flatnonzero(wrong):
        why = "; no CT or PT ratio in force" if np.isnan(value[row]) else ""
        reason = "not_finite" if why else "out_of_range"
        text = f"{name} = {value[row]:g}{why}"
        doubted.append(Doubted(polls[int(row)].target, reason, text))
    value[wrong] = np.nan
    return value
