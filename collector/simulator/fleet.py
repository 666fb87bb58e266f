"""A fleet of virtual meters: what every meter shows at any instant; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from collector.polls import micros
from collector.reading import conform
from collector.simulator.electric import Electric
from collector.simulator.faults import FleetSettings, Span, Trouble
from collector.simulator.shapes import Floats, Ints, Loads
from collector.simulator.wire_faults import WireFault
from collector.site import Kind, Meter, Site

_SHAPES: dict[Kind, tuple[str, ...]] = {
    Kind.FACTORY: ("one_shift", "two_shift", "three_shift"),
    Kind.RETAIL: ("shop", "supermarket"),
    Kind.LODGING: ("hotel",),
    Kind.CATERING: ("restaurant",),
    Kind.OFFICE: ("office",),
}
_RATED_KW = 100.0
"""For meters whose site file states no rated power."""
_SIX_DIGITS_KWH = 1e6
"""Where a meter's register rolls over that states no modulus."""
_DRIFT = 0.05
"""Share by which a drifting meter reads too much."""
_PEAK_SHARE = 0.55
"""Peak power over rated power where the fleet file says nothing."""


@dataclass(frozen=True, slots=True)
class Member:
    """One virtual meter."""

    index: int
    meter: Meter
    site: Site
    troubles: tuple[Span, ...]
    wire: tuple[WireFault, ...] = ()

    def has(self, kind: Trouble, at: datetime) -> bool:
        """Return whether the meter suffers `kind` at `at`."""
        return any(span.kind is kind and span.holds(at) for span in self.troubles)


@dataclass(frozen=True, slots=True)
class Fleet:
    """All virtual meters of some sites. A main meter shows its sub-meters' load plus its own."""

    members: tuple[Member, ...]
    loads: Loads
    electric: Electric
    parts: tuple[tuple[int, ...], ...]
    """Of each meter: whose loads it measures; itself first."""
    by_id: Mapping[str, Member]
    started: datetime
    """Instant the faults' `after_s` counts from."""

    @classmethod
    def of(cls, sites: Sequence[Site], settings: FleetSettings, started: datetime) -> "Fleet":
        """Build the fleet of every meter of `sites` but those that come from files.

        Args:
            sites: the site files.
            settings: seed, loads and troubles.
            started: instant the troubles' `after_s` counts from.

        Raises:
            ValueError: the settings name a meter no site has.
        """
        found = [(m, s) for s in sites for m in s.meters if m.source.via != "file"]
        ids = {meter.id for meter, _ in found}
        named = {x.meter for x in settings.loads} | {x.meter for x in settings.troubles}
        named |= {x.meter for x in settings.wire}
        if unknown := sorted(named - ids):
            raise ValueError(f"the fleet file names meters no site has: {', '.join(unknown)}")
        spans: dict[str, list[Span]] = {}
        for trouble in settings.troubles:
            spans.setdefault(trouble.meter, []).append(Span.of(trouble, started))
        members = tuple(
            Member(i, meter, site, tuple(spans.get(meter.id, ())), _wire(settings, meter.id))
            for i, (meter, site) in enumerate(found)
        )
        parts = tuple(_parts(one, members) for one in members)
        shapes, peaks = _shapes_and_peaks(members, parts, settings)
        offsets = [_offset_s(one.site, started) for one in members]
        names = [one.meter.id for one in members]
        return cls(
            members,
            Loads.of(names, shapes, peaks, offsets, seed=settings.seed),
            Electric.of(names, settings.seed),
            parts,
            dict(zip(names, members, strict=True)),
            started,
        )

    def values(self, at: Ints, members: Sequence[Member]) -> dict[str, Floats]:
        """Return what the meters show, by quantity, shape (instants, meters).

        Args:
            at: instants, microseconds since 1970 UTC.
            members: whose; troubles of values are applied, the others are the sender's affair.
        """
        flat = np.array([i for m in members for i in self.parts[m.index]], dtype=np.int64)
        starts = np.cumsum([0, *(len(self.parts[m.index]) for m in members)][:-1])
        power = np.add.reduceat(self.loads.power_kw(at, flat), starts, axis=1)
        energy = np.add.reduceat(self.loads.energy_kwh(at, flat), starts, axis=1)
        energy += self.electric.start_kwh[[m.index for m in members]]
        for column, member in enumerate(members):
            for span in member.troubles:
                if span.kind is Trouble.COUNTER_RESET:
                    energy[:, column] -= self._lost_kwh(member, span, at, energy[:, column])
                elif span.kind is Trouble.ROLLOVER:
                    whole = member.meter.register_modulus_kwh or _SIX_DIGITS_KWH
                    energy[:, column] -= self._shown_at(span, member, at, energy[:, column])
                    energy[:, column] %= whole
                elif span.kind is Trouble.DRIFT:
                    since = self._shown_at(span, member, at, energy[:, column])
                    on = at >= micros(span.start)
                    energy[:, column] += _DRIFT * np.where(on, energy[:, column] - since, 0)
                    power[:, column] *= np.where(on, 1 + _DRIFT, 1)
            if member.meter.register_modulus_kwh is not None:
                energy[:, column] %= member.meter.register_modulus_kwh
        index = np.array([m.index for m in members])
        return self._repeated(self.electric.quantities(power, energy, index, at), at, members)

    def _repeated(
        self, values: dict[str, Floats], at: Ints, members: Sequence[Member]
    ) -> dict[str, Floats]:
        """Let each meter that repeats itself show what it showed when that began."""
        for column, member in enumerate(members):
            stuck = [span for span in member.troubles if span.kind is Trouble.REPEAT]
            if not stuck:
                continue
            then = at.copy()
            for span in stuck:
                end = micros(span.end) if span.end else at[-1] + 1
                then[(at >= micros(span.start)) & (at < end)] = micros(span.start)
            others = tuple(span for span in member.troubles if span not in stuck)
            shown = self.values(then, [replace(member, troubles=others)])
            for name, one in shown.items():
                values[name] = np.array(values[name])  # some are views that cannot be written
                values[name][:, column] = one[:, 0]
        return values

    def _shown_at(self, span: Span, member: Member, at: Ints, shown: Floats) -> float:
        """Return what the energy register showed when `span` began, kWh."""
        parts = np.array(self.parts[member.index])
        both = self.loads.energy_kwh(np.array([micros(span.start), at[-1]]), parts).sum(axis=1)
        return float(shown[-1] - (both[1] - both[0]))

    def _lost_kwh(self, member: Member, span: Span, at: Ints, shown: Floats) -> Floats:
        """Return what the register forgot at a reset, for each instant behind it."""
        reset = micros(span.start)
        if not (at >= reset).any():
            return np.zeros(len(at))
        return np.where(at >= reset, self._shown_at(span, member, at, shown), 0.0)

    def readings(
        self,
        start: datetime,
        end: datetime,
        every: timedelta,
        quantities: Sequence[str] | None = None,
        members: Sequence[Member] | None = None,
    ) -> pl.DataFrame:
        """Return what the meters showed in `[start, end)`, a READING frame sorted by time.

        Silence, lateness and the like are not applied: use a span before the fleet's start.

        Args:
            start: first instant.
            end: first instant left out.
            every: spacing.
            quantities: columns to fill; None: all the meters measure.
            members: whose; None: all.
        """
        whose = self.members if members is None else members
        step = every // timedelta(microseconds=1)
        at = np.arange(micros(start), micros(end), step, dtype=np.int64)
        values = self.values(at, whose)
        kept = {k: v.ravel() for k, v in values.items() if quantities is None or k in quantities}
        stamp = pl.from_epoch(pl.Series(np.repeat(at, len(whose))), "us").dt.replace_time_zone(
            "UTC"
        )
        ids = pl.Series([m.meter.id for m in whose] * len(at), dtype=pl.String)
        frame = pl.DataFrame(
            {"meter_id": ids, "measured_at": stamp, "received_at": stamp, **kept}
        ).with_columns(source=pl.lit("simulated"))
        return conform(frame)


def _wire(settings: FleetSettings, meter_id: str) -> tuple[WireFault, ...]:
    return tuple(one for one in settings.wire if one.meter == meter_id)


def _parts(one: Member, members: Sequence[Member]) -> tuple[int, ...]:
    """Sub-meters lie behind the first main meter of their site."""
    mains = [m.index for m in members if m.site.id == one.site.id and m.meter.role == "main"]
    if one.meter.role != "main" or one.index != mains[0]:
        return (one.index,)
    subs = [m.index for m in members if m.site.id == one.site.id and m.meter.role == "sub"]
    return (one.index, *subs)


def _shapes_and_peaks(
    members: Sequence[Member], parts: Sequence[tuple[int, ...]], settings: FleetSettings
) -> tuple[list[str], list[float]]:
    stated = {load.meter: load for load in settings.loads}
    shapes, peaks = [], []
    for one in members:
        load = stated.get(one.meter.id)
        choice = _SHAPES[one.site.kind]
        digest = sum(one.site.id.encode()) + settings.seed  # all meters of a site keep its hours
        shapes.append(load.shape if load else choice[digest % len(choice)])
        rated = one.meter.rated_power_kw or _RATED_KW
        peaks.append((load and load.peak_kw) or _PEAK_SHARE * rated)
    whole = list(peaks)
    for one in members:
        behind = sum(whole[i] for i in parts[one.index][1:])
        # a main meter's peak is its sub-meters' and its own; a tenth is never sub-metered
        peaks[one.index] = max(whole[one.index] - behind, whole[one.index] / 10)
    return shapes, peaks


def _offset_s(site: Site, at: datetime) -> int:
    """One offset for the whole run: a simulated meter's load does not know daylight saving."""
    offset = at.astimezone(ZoneInfo(site.timezone)).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
