"""Looks for metering anomalies in history, a part of the sites at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import polars as pl

from collector.anomaly_limits import AnomalyLimits, Kind, over
from collector.site import Site
from processors.anomalies import Material, anomalies, within
from processors.anomaly import ANOMALY, SOUGHT, Bound
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
_DAY = timedelta(days=1)


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
    before: pl.DataFrame | None = None
    """What the look before knew, schema ANOMALY."""


def look(past: Past, sites: Sequence[Site], asked: Look) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return ANOMALY rows that touch the span, and SOUGHT rows."""
    wanted = None if asked.meters is None else set(asked.meters)
    chosen = [s for s in sites if wanted is None or wanted & {m.id for m in s.meters}]
    parts = [_part(past, some, asked) for some in _batches(chosen, asked)]
    if not parts:
        return pl.DataFrame(schema=ANOMALY), pl.DataFrame(schema=SOUGHT)
    found, sought = (pl.concat(rows) for rows in zip(*parts, strict=True))
    return within(found, asked.start, asked.end), sought


def _batches(sites: Sequence[Site], asked: Look) -> Iterator[list[Site]]:
    """Yield whole sites, as many as fit into memory."""
    each = (asked.end - asked.start + READINGS_BEFORE).total_seconds() / _USUAL_S
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


def _part(past: Past, sites: list[Site], asked: Look) -> tuple[pl.DataFrame, pl.DataFrame]:
    book, known = Book.of(sites), facts(sites)
    everyone = book.meters["meter_id"].to_list()
    if asked.meters is not None:
        known = known.filter(pl.col("meter_id").is_in(asked.meters))
    ids = known["meter_id"].to_list()
    readings = past.readings(asked.start - READINGS_BEFORE, asked.end, ids)
    if asked.as_of is not None:
        readings = readings.filter(pl.col("received_at") <= asked.as_of)
    blocks = past.intervals(asked.start - BLOCKS_BEFORE, asked.end, everyone, asked.as_of)
    first, last = ((one + n * _DAY).date() for one, n in ((asked.start, -1), (asked.end, 1)))
    days = past.days(first - DAYS_BEFORE, last, ids, asked.as_of)
    material = Material(
        facts=known,
        readings=readings,
        intervals=blocks,
        days=days.filter(pl.col("end") <= asked.end),
        balances=_balances(blocks, sites, asked, set(ids)),
        above=lines(sites).select("site_id", "above"),
        changes=book.changes,
        mains=book.meters.filter("is_main").select("site_id", "meter_id"),
        least_coverage=asked.least_coverage,
        before=asked.before,
    )
    found = [anomalies(part, asked.bounds(own)) for own, part in _apart(material, sites)]
    one, other = (pl.concat(rows) for rows in zip(*found, strict=True))
    return one.sort("meter_id", "kind", "phase", "since"), other.sort("meter_id", "site_id", "kind")


def _apart(material: Material, sites: Sequence[Site]) -> Iterator[tuple[AnomalyLimits, Material]]:
    """Yield what is judged by the same limits; mostly that is all."""
    groups: dict[str, tuple[AnomalyLimits, list[tuple[str, str]]]] = {}
    for site in sites:
        for name, own in _limits(site):
            groups.setdefault(own.model_dump_json(), (own, []))[1].append((site.id, name))
    if len(groups) == 1:
        yield next(iter(groups.values()))[0], material
        return
    for own, places in groups.values():
        mine = pl.DataFrame(places, schema=["site_id", "above"], orient="row")
        meters = mine.rename({"above": "meter_id"}).select("meter_id")
        yield (
            own,
            replace(
                material,
                **{
                    name: getattr(material, name).join(meters, on="meter_id", how="semi")
                    for name in ("facts", "readings", "intervals", "days", "changes")
                },
                balances=material.balances.join(mine, on=["site_id", "above"], how="semi"),
                above=material.above.join(mine, on=["site_id", "above"], how="semi"),
            ),
        )


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
