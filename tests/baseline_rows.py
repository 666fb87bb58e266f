"""Site blocks, events and day types in a few words, for the tests of baselines."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from collector.site import Site
from processors.baseline import baselines
from processors.events import BaselineSettings, Event, orders
from processors.history.days import USED
from processors.interval import BLOCK, INTERVAL

SHENZHEN = "Asia/Shanghai"
DIGEST = "0" * 64
LATER = datetime(2030, 1, 1, tzinfo=UTC)


def held(name: str = "s", zone: str = SHENZHEN) -> Site:
    """Return a site of one main meter."""
    told = {"id": name, "name": {"zh": "厂", "en": "Works"}, "kind": "factory", "district": "d"}
    return Site.model_validate(told | {"timezone": zone, "meters": [{"id": f"m-{name}"}]})


def instant(text: str, zone: str = SHENZHEN) -> datetime:
    """Return a local time as an instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def event(
    start: datetime,
    end: datetime,
    notified: datetime | None,
    site: str = "s",
    name: str = "e",
    **target: float,
) -> Event:
    """Return an event of one site; it must be cut by 10 kW unless `target` says otherwise."""
    notice = notified and {"at": notified, "told": "duty desk", "how": "fax", "sha256": DIGEST}
    ordered = {"site": site, "notice": notice} | (target or {"cut_kw": 10})
    told = {"id": name, "kind": "orderly_use", "start": start, "end": end, "sites": [ordered]}
    return Event.model_validate(told)


def rows(blocks: dict[datetime, tuple[float | None, float, bool]], site: str = "s") -> pl.DataFrame:
    """Return site blocks of {start: (kWh, coverage, estimated)}."""
    told = [
        {
            "meter_id": site,
            "start": start,
            "energy_kwh": kwh,
            "demand_kw": None if kwh is None else kwh * 4,
            "coverage": covered,
            "quality": "missing" if kwh is None else "estimated" if guessed else "measured",
            "revision": 0,
            "computed_at": LATER,
        }
        for start, (kwh, covered, guessed) in blocks.items()
    ]
    return pl.DataFrame(told, schema={name: INTERVAL[name] for name in USED})


def steady(first: date, days: int, kw: float, zone: str = SHENZHEN) -> dict:
    """Return whole measured days of one demand."""
    begin, end = (
        datetime(one.year, one.month, one.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        for one in (first, first + timedelta(days=days))
    )
    return {begin + BLOCK * n: (kw / 4, 1.0, False) for n in range((end - begin) // BLOCK)}


def by_week(first: date, last: date, zones: list[str]) -> pl.DataFrame:
    """Return day types by the weekday alone."""
    days = pl.date_range(first, last, eager=True).alias("date")
    kind = pl.when(pl.col("date").dt.weekday() >= 6).then(pl.lit("rest"))
    told = days.to_frame().with_columns(day_type=kind.otherwise(pl.lit("working")))
    return pl.DataFrame({"timezone": sorted(set(zones))}).join(told, how="cross")


def state(blocks, events, sites, rule=None, now=LATER, asked=None):
    """Return the Baselines of the events named, or of all."""
    every = orders(events, sites)
    mine = every if asked is None else every.filter(pl.col("event_id").is_in(asked))
    starts = [one.start.date() for one in events]
    span = (min(starts) - timedelta(days=400), max(starts) + timedelta(days=9))
    types = by_week(*span, [one.timezone for one in sites])
    return baselines(blocks, mine, every, types, rule or BaselineSettings(), now)
