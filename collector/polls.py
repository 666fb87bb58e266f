"""Polls: whom to ask for what on a bus, and the READING rows their answers make; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from collector.profiles import Profile
from collector.reading import UTC_US, conform, empty
from collector.registers import Doubt, Floats, Plan, decode, plan
from collector.settings import BusSettings
from collector.site import Meter, ModbusSource, Site, in_force


@dataclass(frozen=True, slots=True)
class Ratios:
    """CT and PT ratio of one meter, as steps in time."""

    since: tuple[datetime, ...]
    """Start of each step, UTC, ascending; empty: the ratios are 1 for ever."""
    ct: tuple[float, ...]
    pt: tuple[float, ...]

    @classmethod
    def of(cls, site: Site, meter: Meter) -> "Ratios":
        """Read the dated ratios; a step starts at midnight in the site's time zone.

        Before the first `from` of a list that has one no ratio is in force: NaN.
        """
        days = sorted({one.since for one in (*meter.ct_ratio, *meter.pt_ratio)})
        zone = ZoneInfo(site.timezone)
        found: dict[str, list[float]] = {"ct": [], "pt": []}
        for day in days:
            for name, values in (("ct", meter.ct_ratio), ("pt", meter.pt_ratio)):
                now = in_force(values, day)
                found[name].append(now.value if now else (np.nan if values else 1.0))
        since = tuple(datetime.combine(day, time(), zone) for day in days)
        return cls(since, tuple(found["ct"]), tuple(found["pt"]))

    def at(self, instant: datetime) -> tuple[float, float]:
        """Return CT and PT ratio in force; NaN if dated ones have not begun."""
        if not self.since:
            return 1.0, 1.0
        begun = sum(start <= instant for start in self.since)
        return (self.ct[begun - 1], self.pt[begun - 1]) if begun else (np.nan, np.nan)


@dataclass(frozen=True, slots=True)
class Target:
    """One meter of a bus."""

    meter_id: str
    unit: int
    every_s: float
    """Site seconds between two polls."""
    layout: Plan
    ratios: Ratios
    source: str
    """`modbus:<bus id>`."""


def targets_of(
    bus: BusSettings, sites: Sequence[Site], profiles: Mapping[str, Profile]
) -> list[Target]:
    """Return the meters of `sites` that hang on `bus`, in the sites' order.

    Raises:
        ValueError: a meter's profile is unknown, or does not fit the bus.
    """
    layouts: dict[str, Plan] = {}
    targets = []
    for site, meter in ((s, m) for s in sites for m in s.meters):
        source = meter.source
        if not isinstance(source, ModbusSource) or source.bus != bus.id:
            continue
        if source.profile not in profiles:
            known = ", ".join(sorted(profiles))
            raise ValueError(f"meter {meter.id}: no profile {source.profile!r}; known: {known}")
        if source.profile not in layouts:
            layouts[source.profile] = plan(profiles[source.profile], bus.max_registers, bus.max_gap)
        layout = layouts[source.profile]
        ratios = Ratios.of(site, meter)
        targets.append(
            Target(meter.id, source.unit, source.poll_every_s, layout, ratios, f"modbus:{bus.id}")
        )
    return targets


@dataclass(frozen=True, slots=True)
class Poll:
    """One complete answer of one meter."""

    target: Target
    at: datetime
    """The moment of the read: half way between the first request and the last answer."""
    words: Sequence[int]
    """Of all blocks, joined; `target.layout.width` of them."""
    response_ms: float


@dataclass(frozen=True, slots=True)
class Doubted:
    """A value left out of a reading, for the book of rejects."""

    target: Target
    reason: str
    excerpt: str


def readings_of(polls: Sequence[Poll], received_at: datetime) -> tuple[pl.DataFrame, list[Doubted]]:
    """Decode many polls at once.

    Returns:
        A READING frame, one row a poll that stated at least one value; and what was left out.
    """
    by_layout: dict[int, list[Poll]] = {}
    for poll in polls:
        by_layout.setdefault(id(poll.target.layout), []).append(poll)
    frames, doubted = [], []
    for group in by_layout.values():
        ratios = np.array([poll.target.ratios.at(poll.at) for poll in group])
        words: NDArray[np.uint16] = np.array([poll.words for poll in group], dtype=np.uint16)
        ct_pt = {"ct": ratios[:, 0], "pt": ratios[:, 1]}
        values, doubts = decode(group[0].target.layout, words, ct_pt)
        doubted += [_doubted(group[one.row], one, ratios[one.row]) for one in doubts]
        nothing = np.all(np.isnan(list(values.values())), axis=0)
        doubted += [_mute(group[row]) for row in np.flatnonzero(nothing)]
        frames.append(_frame(group, values).filter(~nothing))
    if not frames:
        return empty(), []
    full = pl.concat(frames, how="diagonal").with_columns(
        pl.lit(received_at, dtype=UTC_US).alias("received_at")
    )
    return conform(full), doubted


def _frame(group: Sequence[Poll], values: Mapping[str, Floats]) -> pl.DataFrame:
    keys = {
        "meter_id": pl.Series([poll.target.meter_id for poll in group], dtype=pl.String),
        "measured_at": pl.Series([poll.at for poll in group], dtype=UTC_US),
        "source": pl.Series([poll.target.source for poll in group], dtype=pl.String),
    }
    numbers = {name: pl.Series(column, nan_to_null=True) for name, column in values.items()}
    return pl.DataFrame(keys | numbers)


def _mute(poll: Poll) -> Doubted:
    what = f"unit {poll.target.unit} answered, but no register states a value"
    return Doubted(poll.target, "sentinel", what)


def _doubted(poll: Poll, doubt: Doubt, ratios: NDArray[np.float64]) -> Doubted:
    why = "; no CT or PT ratio in force" if np.isnan(ratios).any() else ""
    excerpt = f"unit {poll.target.unit}: {doubt.quantity} = {doubt.value:g}{why}"
    return Doubted(poll.target, doubt.reason, excerpt)
