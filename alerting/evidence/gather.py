"""Gathers the material of an alert from the running system."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

import polars as pl

from alerting.acts import Act
from alerting.evidence.material import Material, Scope
from alerting.evidence.recompute import SLACK
from alerting.ledger import Alert, Ledger, LedgerError
from alerting.rules import Rule
from alerting.subjects import Subject
from collector.profiles import Profile
from collector.reading import conform
from collector.site import ModbusSource, Site
from processors import edits
from processors.allocation import Allocation
from processors.estimate import LOOKBACK
from processors.interval import INTERVAL, Method
from processors.policy.load import Packs
from processors.policy.pack import TablePack
from processors.settings import VerdictSettings

DAY = timedelta(days=1)
_UNSETTLED = "an edit of this site's energy is being worked up: try again in a few seconds"


class UnsettledError(LedgerError):
    """A package made now would contradict itself; the text says what to do."""


class Past(Protocol):
    """What is asked of history."""

    def intervals(
        self, start: datetime, end: datetime, meters: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """Return the latest revisions of blocks with `start` in `[start, end)`."""

    def readings(
        self, start: datetime, end: datetime, meters: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """Return all received versions measured in `[start, end)`."""

    def neighbours(
        self, meters: Sequence[str], start: datetime, end: datetime, count: int = 3
    ) -> pl.DataFrame:
        """Return the readings next to the span, however far away."""


@dataclass(frozen=True, slots=True)
class EvidenceSources:
    """Where packages are made from."""

    history: Past
    ledger: Ledger
    sites: Mapping[str, Site]
    key: Path
    """Private key that seals; made on first use."""
    now: Callable[[], datetime]
    packs: Packs = field(default_factory=Packs)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    """Register maps by id."""
    settings: VerdictSettings = field(default_factory=VerdictSettings)
    declared: Callable[[Site, datetime], Site] = lambda site, _: site
    """A site with what was declared of it by an instant."""
    edits: Callable[[], tuple[pl.DataFrame, int]] = lambda: (edits.none(), 0)
    """Every manual edit, schema EDIT, and the last one that history has worked up."""
    settings_sha256: str = "0" * 64
    """Digest of the whole settings in force."""
    software: str = "demandwatch"
    """Name and version."""


def gather(alert_id: str, sources: EvidenceSources) -> Material:
    """Return the material of one alert: its own site and no other.

    Raises:
        LedgerError: there is no such alert, or its site is not in the settings any more.
        UnsettledError: history does not yet show an edit of the site's blocks.
    """
    alert = sources.ledger.alert(alert_id)
    facts = Material.alert_row(alert.facts)
    site = sources.sites.get(str(facts["site_id"]))
    if site is None:
        raise LedgerError(f"site {facts['site_id']!r} of alert {alert_id} is not in the settings")
    rule = rule_of(alert)
    site = sources.declared(site, _fired_at(alert))
    start, end = _span(rule, alert, site, sources.now())
    meters = [meter.id for meter in site.meters]
    acts = _edits(sources.edits(), meters, start, end)
    # blocks first: one that closes meanwhile must not stand without the readings that bear it out
    intervals = _intervals(sources.history, meters, start, end)
    if not _edits(sources.edits(), meters, start, end).equals(acts):
        raise UnsettledError(_UNSETTLED)
    return Material(
        alert=facts,
        links=alert.links,
        rule=rule,
        site=site,
        scope=Scope(start=start, end=end, settings=sources.settings),
        readings=_readings(sources.history, meters, start, end),
        intervals=intervals,
        edits=acts,
        packs=tuple(_packs(rule, alert, sources.packs, site)),
        profiles=tuple(_profiles(site, sources.profiles)),
    )


def rule_of(alert: Alert) -> Rule:
    """Return the rule as it was when the alert fired."""
    fired = next(link for link in alert.links if link.act is Act.FIRED)
    return Rule.model_validate(fired.facts()["rule"])


def _span(rule: Rule, alert: Alert, site: Site, now: datetime) -> tuple[datetime, datetime]:
    """Return the blocks to pack: the whole local days, month, year or period the alert is about."""
    zone = ZoneInfo(site.timezone)
    since, fired = alert.facts["since"], _fired_at(alert)
    if not isinstance(since, datetime):
        raise LedgerError("the alert has no times")  # the ledger never stores such a one
    row = next(link for link in alert.links if link.act is Act.FIRED).facts()["row"]
    values: Mapping[str, object] = row if isinstance(row, dict) else {}
    if rule.on is Subject.VERDICT:
        days = (date.fromisoformat(str(values[name])) for name in ("period_start", "period_end"))
        first, last = days
        return _midnight(first, zone), _midnight(last, zone)
    if rule.on in (Subject.QUOTA, Subject.QUOTA_YEAR):
        return _midnight(date.fromisoformat(str(values["month"])), zone), fired
    if rule.on is Subject.CAP and values.get("start"):
        return datetime.fromisoformat(str(values["start"])), fired
    local = fired.astimezone(zone).date()
    end = _midnight(local + DAY, zone)
    return _midnight(since.astimezone(zone).date(), zone), max(fired, min(end, now))


def _fired_at(alert: Alert) -> datetime:
    fired = alert.facts["fired_at"]
    if not isinstance(fired, datetime):
        raise LedgerError("the alert has no times")  # the ledger never stores such a one
    return fired


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _readings(past: Past, meters: list[str], start: datetime, end: datetime) -> pl.DataFrame:
    wide = start - SLACK, end + SLACK
    parts = [past.readings(*wide, meters), past.neighbours(meters, *wide)]
    spread = _intervals(past, meters, start, end).filter(pl.col("method") == Method.LIKE_DAY.value)
    for meter in spread["meter_id"].unique().sort():
        mine = [part.filter(pl.col("meter_id") == meter)["measured_at"].min() for part in parts]
        first = min(at for at in mine if isinstance(at, datetime))
        parts.append(past.readings(first - LOOKBACK - SLACK, start, [meter]))
    return pl.concat([conform(part) for part in parts]).unique(maintain_order=True)


def _intervals(past: Past, meters: list[str], start: datetime, end: datetime) -> pl.DataFrame:
    found = past.intervals(start, end, meters).filter(pl.col("end") <= end)
    return found.select(pl.col(name).cast(kind) for name, kind in INTERVAL.items())


def _edits(
    told: tuple[pl.DataFrame, int], meters: list[str], start: datetime, end: datetime
) -> pl.DataFrame:
    """Return the acts upon the packed readings: an edited block is no like day for later ones."""
    acts, settled = told
    reach = (pl.col("end") > start - LOOKBACK) & (pl.col("start") < end)
    found = acts.filter(pl.col("meter_id").is_in(meters) & reach)
    if (found["edit_id"] > settled).any():
        raise UnsettledError(_UNSETTLED)
    return found


def _packs(rule: Rule, alert: Alert, packs: Packs, site: Site) -> Iterable[TablePack]:
    """Yield the edition the verdict names, cut down to its row, and the rows that parted energy."""
    if rule.on is not Subject.VERDICT:
        return
    row = next(link for link in alert.links if link.act is Act.FIRED).facts()["row"]
    if not isinstance(row, dict):
        return
    named = str(row.get("pack_id")), str(row.get("edition"))
    by_quota = Allocation.OUTPUT_BY_QUOTA in str(row.get("allocation")).split()
    others = _products(site) if by_quota else set()
    for pack in packs.tables:
        mine = {row.get("row_id")} if (pack.id, pack.edition) == named else set()
        kept = tuple(one for one in pack.rows if one.id in mine | others or one.product in others)
        if kept:
            yield pack.model_copy(update={"rows": kept})


def _products(site: Site) -> set[str]:
    """Return what is declared of the site, and what its meters count."""
    counted = {one.product for meter in site.meters if meter.counts for one in meter.counts.of}
    return counted | {made.product for made in site.production}


def _profiles(site: Site, known: Mapping[str, Profile]) -> Iterable[Profile]:
    """Return the register maps that the site's meters are read by, each once."""
    sources = (meter.source for meter in site.meters)
    used = {one.profile for one in sources if isinstance(one, ModbusSource)}
    return (known[name] for name in sorted(used & known.keys()))
