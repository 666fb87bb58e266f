"""What the City page shows, computed from frames; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from collector.site import Site
from dashboards.curve import Total, settled, shown, total
from dashboards.fleet import Count, count
from dashboards.view_alerts import AlertRow, Filter, by_severity, by_site, chosen
from dashboards.view_site import instant, number

MOST_SITES = 100
"""Rows of the sites table; the rest is found by the search field."""


@dataclass(frozen=True, slots=True)
class SiteRow:
    """One site in the City table."""

    site: Site
    power_kw: float | None
    projected_demand_kw: float | None
    contract_demand_kw: float | None
    demand_ratio: float | None
    """Projected block demand over contract demand; None if either is unknown."""
    quota_ratio: float | None
    """Energy of the month over the month's quota."""
    crosses_at: datetime | None
    """Projected (or past) crossing of the month's quota, UTC."""
    heard_mains: int
    mains: int
    severity: str
    """Most urgent active alert; empty: none."""


@dataclass(frozen=True, slots=True)
class DistrictRow:
    """One district's sums."""

    district: str
    power_kw: float | None
    heard_mains: int
    mains: int


@dataclass(frozen=True, slots=True)
class City:
    """Everything the City page needs, at one instant."""

    at: datetime
    timezone: str
    day: date
    load_kw: float | None
    load_coverage: float | None
    """Share of the main meters' rated power that is heard now."""
    until: datetime
    """Up to here the blocks have arrived; see `curve.settled`."""
    today: pl.DataFrame
    yesterday: pl.DataFrame
    total: Total
    yesterday_total: Total
    """Of the blocks up to the same time of yesterday."""
    meters: Count
    severities: dict[str, int]
    alerts: tuple[AlertRow, ...]
    sites: tuple[SiteRow, ...]
    sites_total: int
    districts: tuple[DistrictRow, ...]

    @property
    def change(self) -> float | None:
        """Energy today over the same blocks of yesterday, minus 1; None if not comparable."""
        return change(self.total, self.yesterday_total)


def change(now: Total, before: Total) -> float | None:
    """Return relative change of energy; None unless both cover at least 95 % of their span."""
    if min(now.coverage or 0.0, before.coverage or 0.0) < 0.95:
        return None
    return (now.energy_kwh or 0.0) / before.energy_kwh - 1 if before.energy_kwh else None


@dataclass(frozen=True, slots=True)
class Picture:
    """What the City page is made of."""

    at: datetime
    """Site time."""
    timezone: str
    """The city's."""
    day: date
    """Local day shown as today."""
    today: pl.DataFrame
    """CURVE of `day`."""
    yesterday: pl.DataFrame
    """CURVE of the day before."""
    grace: timedelta
    """How long after its end a block may still be arriving."""
    fleet: pl.DataFrame
    """FLEET at `at`."""
    running: pl.DataFrame
    """RUNNING at `at`."""
    accounts: pl.DataFrame
    """The latest ACCOUNT of each site that has a quota."""
    sites: Sequence[Site]
    alerts: Sequence[AlertRow]
    """All alerts, active and not."""


def city(now: Picture, search: str = "") -> City:
    """Assemble the City page; `search` is part of a site's name, id or district."""
    rows = _sites(now.sites, now.running, now.accounts, by_site(now.alerts))
    mains, until = now.fleet.filter("is_main"), settled(now.today, now.at, now.grace)
    present = mains.drop_nulls("power_kw")
    return City(
        at=now.at,
        timezone=now.timezone,
        day=now.day,
        load_kw=float(present["power_kw"].sum()) if present.height else None,
        load_coverage=_rated_share(present, mains),
        until=until,
        today=shown(now.today, until),
        yesterday=now.yesterday,
        total=total(now.today, until),
        yesterday_total=total(now.yesterday, until - timedelta(days=1)),
        meters=count(now.fleet),
        severities=by_severity(now.alerts),
        alerts=chosen(now.alerts, Filter()),
        sites=tuple(row for row in rows if _matches(row.site, search))[:MOST_SITES],
        sites_total=len(rows),
        districts=_districts(now.sites, now.running),
    )


def _rated_share(part: pl.DataFrame, whole: pl.DataFrame) -> float | None:
    if whole.is_empty():
        return None
    if whole["rated_power_kw"].null_count():
        return part.height / whole.height
    return float(part["rated_power_kw"].sum()) / float(whole["rated_power_kw"].sum())


def _matches(site: Site, search: str) -> bool:
    told = f"{site.id} {site.name.zh} {site.name.en} {site.district}".casefold()
    return search.strip().casefold() in told


def _sites(
    sites: Sequence[Site],
    running: pl.DataFrame,
    accounts: pl.DataFrame,
    severities: Mapping[str, str],
) -> list[SiteRow]:
    """Return all sites, those in alert and those nearest their contract demand first."""
    now = {row["site_id"]: row for row in running.iter_rows(named=True)}
    quota = {row["site_id"]: row for row in accounts.iter_rows(named=True)}
    rows = [
        _site(site, now.get(site.id, {}), quota.get(site.id, {}), severities.get(site.id, ""))
        for site in sites
    ]
    rank = {"critical": 0, "warning": 1, "info": 2}
    return sorted(
        rows,
        key=lambda row: (rank.get(row.severity, 3), -(row.demand_ratio or -1.0), row.site.id),
    )


def _site(site: Site, now: dict[str, object], quota: dict[str, object], severity: str) -> SiteRow:
    projected, contract = number(now, "projected_demand_kw"), number(now, "contract_demand_kw")
    return SiteRow(
        site=site,
        power_kw=number(now, "power_kw"),
        projected_demand_kw=projected,
        contract_demand_kw=contract,
        demand_ratio=projected / contract if projected is not None and contract else None,
        quota_ratio=number(quota, "used_ratio"),
        crosses_at=instant(quota, "crosses_at"),
        heard_mains=int(number(now, "heard_mains") or 0),
        mains=int(number(now, "mains") or 0),
        severity=severity,
    )


def _districts(sites: Sequence[Site], running: pl.DataFrame) -> tuple[DistrictRow, ...]:
    place = pl.DataFrame(
        [(site.id, site.district) for site in sites],
        schema={"site_id": pl.String(), "district": pl.String()},
        orient="row",
    )
    known = pl.col("power_kw").is_not_null().any()
    sums = (
        running.join(place, on="site_id")
        .group_by("district")
        .agg(
            pl.when(known).then(pl.col("power_kw").sum()).alias("power_kw"),
            pl.col("heard_mains").sum(),
            pl.col("mains").sum(),
        )
        .sort("power_kw", descending=True, nulls_last=True)
    )
    return tuple(DistrictRow(*row) for row in sums.iter_rows())
