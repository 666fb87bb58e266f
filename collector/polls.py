"""Polls: whom to ask for what on a bus, and the READING rows their answers make; pure."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from collector.profiles import Profile
from collector.rawwords import written
from collector.reading import UTC_US, conform, empty
from collector.registers import Doubt, Plan, decode, plan
from collector.settings import BusSettings
from collector.site import Meter, ModbusSource, Site

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """Return microseconds since 1970 UTC."""
    return (at - _EPOCH) // _MICROSECOND


@dataclass(frozen=True, slots=True)
class Ratios:
    """CT and PT ratio of one meter, as steps in time."""

    since_us: tuple[int, ...]
    """Start of each step, microseconds since 1970 UTC, ascending; empty: 1 for ever."""
    ct: tuple[float, ...]
    pt: tuple[float, ...]

    @classmethod
    def of(cls, site: Site, meter: Meter) -> "Ratios":
        """Read the dated ratios; a step starts at midnight in the site's time zone.

        A dated change (`collector.changes`) starts a step at its own instant.
        Before the first `from` of a list that has one no ratio is in force: NaN.
        """
        zone = ZoneInfo(site.timezone)
        told: dict[int, dict[str, float]] = {}
        for name, values in (("ct", meter.ct_ratio), ("pt", meter.pt_ratio)):
            for one in values:
                begun = micros(datetime.combine(one.since, time(), zone))
                told.setdefault(begun, {})[name] = one.value
        for change in meter.changes:
            now = {"ct": change.ct_ratio, "pt": change.pt_ratio}
            new = {name: ratio for name, ratio in now.items() if ratio is not None}
            if new:
                told.setdefault(micros(change.at), {}).update(new)
        last = {
            "ct": np.nan if meter.ct_ratio else 1.0,
            "pt": np.nan if meter.pt_ratio else 1.0,
        }
        steps = []
        for begun in sorted(told):
            last |= told[begun]
            steps.append((begun, last["ct"], last["pt"]))
        since, ct, pt = zip(*steps, strict=True) if steps else ((), (), ())
        return cls(since, ct, pt)

    def at(self, at_us: int) -> tuple[float, float]:
        """Return CT and PT ratio in force; NaN if dated ones have not begun."""
        if not self.since_us:
            return 1.0, 1.0
        begun = bisect_right(self.since_us, at_us)
        return (self.ct[begun - 1], self.pt[begun - 1]) if begun else (np.nan, np.nan)

    def between(self, at_us: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return CT and PT ratio in force at each instant, as `at`."""
        if not self.since_us:
            return np.ones(len(at_us)), np.ones(len(at_us))
        begun = np.searchsorted(np.array(self.since_us), at_us, "right")
        return np.array((np.nan, *self.ct))[begun], np.array((np.nan, *self.pt))[begun]


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
    keep_raw: bool = False
    timeout_s: float = 1.0
    """Longest wait for one answer."""
    retries: int = 1
    """Repetitions of a request that was not answered."""


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
        if bus.unnumbered and not 1 <= source.unit <= 247:
            raise ValueError(f"meter {meter.id}: unit {source.unit} on an RTU line; 1 to 247")
        if source.profile not in profiles:
            known = ", ".join(sorted(profiles))
            raise ValueError(f"meter {meter.id}: no profile {source.profile!r}; known: {known}")
        if source.profile not in layouts:
            layouts[source.profile] = plan(profiles[source.profile], bus.max_registers, bus.max_gap)
        layout = layouts[source.profile]
        ratios = Ratios.of(site, meter)
        targets.append(_target(bus, meter.id, source, layout, ratios))
    return targets


def _target(
    bus: BusSettings, meter_id: str, source: ModbusSource, layout: Plan, ratios: Ratios
) -> Target:
    return Target(
        meter_id,
        source.unit,
        source.poll_every_s,
        layout,
        ratios,
        f"modbus:{bus.id}",
        keep_raw=source.keep_raw,
        timeout_s=bus.timeout_s if source.timeout_s is None else source.timeout_s,
        retries=bus.retries if source.retries is None else source.retries,
    )


class Poll(NamedTuple):
    """One complete answer of one meter; a tuple, for thousands are made a second."""

    target: Target
    at_us: int
    """The moment of the read, half way between the first request and the last answer:
    microseconds since 1970 UTC."""
    words: bytes
    """Of all blocks, joined: `target.layout.width` words, most significant byte first."""
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
    frames, doubted = list[pl.DataFrame](), list[Doubted]()
    for group in by_layout.values():
        frame, left_out = _decoded(group)
        frames.append(conform(frame.with_columns(received_at=pl.lit(received_at, dtype=UTC_US))))
        doubted += left_out
    return (pl.concat(frames) if frames else empty()), doubted


def _decoded(group: Sequence[Poll]) -> tuple[pl.DataFrame, list[Doubted]]:
    """Decode polls of one layout."""
    steps = {id(poll.target): poll.target.ratios for poll in group}
    dated = any(one.since_us for one in steps.values())
    ratios = np.array([poll.target.ratios.at(poll.at_us) for poll in group]) if dated else None
    joined = np.frombuffer(b"".join([poll.words for poll in group]), dtype=">u2")
    words = joined.astype(np.uint16).reshape(len(group), -1)
    ct_pt = None if ratios is None else {"ct": ratios[:, 0], "pt": ratios[:, 1]}
    values, doubts = decode(group[0].target.layout, words, ct_pt)
    doubted = [_doubted(group[one.row], one, ratios) for one in doubts]
    nothing = np.logical_and.reduce([np.isnan(column) for column in values.values()])
    doubted += [_mute(group[int(row)]) for row in np.flatnonzero(nothing)]
    at = np.array([poll.at_us for poll in group], dtype="datetime64[us]")
    keys = {
        "meter_id": [poll.target.meter_id for poll in group],
        "measured_at": pl.Series(at).dt.replace_time_zone("UTC"),
        "source": [poll.target.source for poll in group],
    }
    frame = pl.DataFrame(keys | values)
    untold = [name for name, column in values.items() if np.isnan(column).any()]
    if untold:
        frame = frame.with_columns(pl.col(untold).fill_nan(None))
    kept = [poll.words if poll.target.keep_raw else None for poll in group]
    if any(kept):
        frame = frame.with_columns(register_words=written(group[0].target.layout.blocks, kept))
    return (frame.filter(~nothing) if nothing.any() else frame), doubted


def _mute(poll: Poll) -> Doubted:
    what = f"unit {poll.target.unit} answered, but no register states a value"
    return Doubted(poll.target, "sentinel", what)


def _doubted(poll: Poll, doubt: Doubt, ratios: NDArray[np.float64] | None) -> Doubted:
    unknown = ratios is not None and np.isnan(ratios[doubt.row]).any()
    why = "; no CT or PT ratio in force" if unknown else ""
    excerpt = f"unit {poll.target.unit}: {doubt.quantity} = {doubt.value:g}{why}"
    return Doubted(poll.target, doubt.reason, excerpt)
