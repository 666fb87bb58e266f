"""Looks for metering anomalies in history, a part of the sites at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import polars as pl

from collector.anomaly_limits import AnomalyLimits, Kind, over
from collector.site import Site
from processors import anomalies_level
from processors.anomalies import Found, Material, anomalies, within
from processors.anomalies_month import MONTHLY, suspects
from processors.anomaly import ANOMALY, SOUGHT, Bound
from processors.anomaly_carry import NOTHING, Carry, joined
from processors.anomaly_facts import facts
from processors.balance import BALANCE, MAINS, balance, lines
from processors.book import Book
from processors.load_report import Rows

MOST_READINGS = 2_000_000
"""Readings in memory at a time, about 300 bytes each."""
_USUAL_S = 15.0
"""Pace of readings that batches are measured by."""
READINGS_BEFORE = timedelta(hours=2)
"""A register is judged by the readings before it."""
BLOCKS_BEFORE = timedelta(hours=50)
"""The last local day that was over."""
DAYS_BEFORE = timedelta(days=130)
"""Five weeks of level, and as long a run of zeros."""
_DAY, _TICK = timedelta(days=1), timedelta(microseconds=1)


class Past(Rows, Protocol):
    """The part of history that is read."""

    def readings(
        self, start: datetime, end: datetime, meters: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """READING rows with `measured_at` in `[start, end)`, every version."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is looked for, where and when."""

    start: datetime
    end: datetime
    """Excluded; not after now."""
    bounds: Callable[[AnomalyLimits], Mapping[Kind, Bound | str]]
    """What a meter is judged by whose site and own settings say this."""
    least_coverage: float = 0.95
    meters: tuple[str, ...] | None = None
    """None: all."""
    as_of: datetime | None = None
    carry: Carry | None = None
    """What is known at `start`; None: nothing, and what lies shortly before is looked at too."""
    sought: bool = True
    """Whether it is told what was looked for; if not, days are read only where one ended."""

    @property
    def readings_from(self) -> datetime:
        """Return from when on readings are wanted."""
        return self.start if self.carry else self.start - READINGS_BEFORE


def look(past: Past, sites: Sequence[Site], asked: Look) -> Found:
    """Return what touches the span, what was looked for, and what is known at its end."""
    found = span(past, sites, asked)
    monthly = suspects(found.anomalies, months(sites, asked.bounds), asked.end)
    return found._replace(anomalies=_sorted(pl.concat([found.anomalies, monthly])))


def months(
    sites: Sequence[Site], judged_by: Callable[[AnomalyLimits], Mapping[Kind, Bound | str]]
) -> pl.DataFrame:
    """Return what losses of a month are judged by, schema MONTHLY."""
    rows: list[tuple[object, ...]] = []
    bounds: dict[str, Bound | str] = {}
    for site in sites:
        for name, own in _limits(site):
            told = own.model_dump_json()
            if told not in bounds:
                bounds[told] = judged_by(own)[Kind.PHASE_LOSS_SUSPECT]
            bound = bounds[told]
            if name != MAINS and isinstance(bound, Bound):
                hours = bound.limits["hours"]
                rows.append((name, site.timezone, hours, bound.document, bound.provenance))
    return pl.DataFrame(rows, schema=MONTHLY, orient="row")


def span(past: Past, sites: Sequence[Site], asked: Look) -> Found:
    """Return what was found in the span, but for what is added up over months.

    Anomalies are those that touch the span; with a `carry` those that were not ended in it.
    """
    wanted = None if asked.meters is None else set(asked.meters)
    chosen = [s for s in sites if wanted is None or wanted & {m.id for m in s.meters}]
    parts = [_part(past, some, asked) for some in _batches(chosen, asked)]
    if not parts:
        nothing = replace(NOTHING, at=asked.end - _TICK)
        return Found(pl.DataFrame(schema=ANOMALY), pl.DataFrame(schema=SOUGHT), nothing)
    whole = _together(parts)
    if asked.carry:  # an episode that ended before goes with the row that shows that it did
        return whole
    return whole._replace(anomalies=within(whole.anomalies, asked.start, asked.end))


def names(sites: Sequence[Site]) -> pl.DataFrame:
    """Return the `meter_id` by which a `Carry` knows the meters and balances of sites."""
    above = lines(sites).select("site_id", "above").unique()
    mains = Book.of(sites).meters.filter("is_main").select("site_id", "meter_id")
    balances = anomalies_level.whose(above, mains)
    return pl.concat([facts(sites).select("meter_id"), balances.select("meter_id")])


def _sorted(found: pl.DataFrame) -> pl.DataFrame:
    return found.sort("meter_id", "kind", "phase", "since", "site_id")


def _together(parts: list[Found]) -> Found:
    return Found(
        pl.concat(part.anomalies for part in parts),
        pl.concat(part.sought for part in parts),
        joined([part.carry for part in parts]),
    )


def _batches(sites: Sequence[Site], asked: Look) -> Iterator[list[Site]]:
    """Yield whole sites, as many as fit into memory."""
    each = (asked.end - asked.readings_from).total_seconds() / _USUAL_S
    some: list[Site] = []
    count = 0
    for site in sites:
        if some and (count + len(site.meters)) * each > MOST_READINGS:
            yield some
            some, count = [], 0
        some.append(site)
        count += len(site.meters)
    if some:
        yield some


def _part(past: Past, sites: list[Site], asked: Look) -> Found:
    book, known = Book.of(sites), facts(sites)
    everyone = book.meters["meter_id"].to_list()
    if asked.meters is not None:
        known = known.filter(pl.col("meter_id").is_in(asked.meters))
    ids = known["meter_id"].to_list()
    readings = past.readings(asked.readings_from, asked.end, ids)
    if asked.as_of is not None:
        readings = readings.filter(pl.col("received_at") <= asked.as_of)
    by_day = asked.sought or not asked.carry or _day_ended(sites, asked)
    since = asked.start - BLOCKS_BEFORE if by_day else asked.start
    blocks = past.intervals(since, asked.end, everyone, asked.as_of)
    blocks = blocks.filter(pl.col("end") <= asked.end)
    first, last = ((one + n * _DAY).date() for one, n in ((asked.start, -1), (asked.end, 1)))
    days = past.days(first - DAYS_BEFORE, last if by_day else first - DAYS_BEFORE, ids, asked.as_of)
    material = Material(
        judged_to=asked.end - _TICK,
        facts=known,
        readings=readings,
        intervals=blocks,
        days=days.filter(pl.col("end") <= asked.end),
        balances=_balances(blocks, sites, asked, set(ids)),
        above=lines(sites).select("site_id", "above").unique(),
        changes=book.changes,
        mains=book.meters.filter("is_main").select("site_id", "meter_id"),
        least_coverage=asked.least_coverage,
        carry=asked.carry or NOTHING,
    )
    whole = _together([anomalies(part, asked.bounds(own)) for own, part in _apart(material, sites)])
    return whole._replace(
        anomalies=_sorted(whole.anomalies),
        sought=whole.sought.sort("meter_id", "site_id", "kind"),
    )


def _day_ended(sites: list[Site], asked: Look) -> bool:
    zones = (ZoneInfo(name) for name in {site.timezone for site in sites})
    last = asked.end - _TICK
    return any(asked.start.astimezone(z).date() != last.astimezone(z).date() for z in zones)


def _apart(material: Material, sites: Sequence[Site]) -> Iterator[tuple[AnomalyLimits, Material]]:
    """Yield what is judged by the same limits; mostly that is all."""
    groups: dict[str, tuple[AnomalyLimits, list[tuple[str, str]]]] = {}
    for site in sites:
        for name, own in _limits(site):
            groups.setdefault(own.model_dump_json(), (own, []))[1].append((site.id, name))
    for own, places in groups.values():
        mine = pl.DataFrame(places, schema=["site_id", "above"], orient="row")
        meters = mine.rename({"above": "meter_id"}).select("meter_id")
        above = material.above.join(mine, on=["site_id", "above"], how="semi")
        named = anomalies_level.whose(above, material.mains).select("meter_id")
        whole = len(groups) == 1
        tables = ("facts", "readings", "intervals", "days", "changes")
        apart = {
            name: getattr(material, name).join(meters, on="meter_id", how="semi")
            for name in (() if whole else tables)
        }
        balances = material.balances.join(mine, on=["site_id", "above"], how="semi")
        carry = material.carry.of(pl.concat([meters, named]))
        yield own, replace(material, **apart, balances=balances, above=above, carry=carry)


def _limits(site: Site) -> Iterator[tuple[str, AnomalyLimits]]:
    """Yield what differs at each meter, and at the balance of the main meters."""
    mains = [meter for meter in site.meters if meter.role == "main"]
    for meter in site.meters:
        yield meter.id, over(site.anomalies, meter.anomalies)
    alone = mains[0].anomalies if len(mains) == 1 else AnomalyLimits()
    yield MAINS, over(site.anomalies, alone)


def _balances(blocks: pl.DataFrame, sites: list[Site], asked: Look, ids: set[str]) -> pl.DataFrame:
    """Return the balances of local days that are over, of sites with a meter that was asked for."""
    parts = [pl.DataFrame(schema=BALANCE)]
    for zone in sorted({site.timezone for site in sites}):
        mine = [s for s in sites if s.timezone == zone and ids & {m.id for m in s.meters}]
        parts.append(balance(blocks, lines(mine), zone=zone))
    return pl.concat(parts).filter(pl.col("end") <= asked.end)
