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


def city(
    *,
    at: datetime,
    timezone: str,
    day: date,
    curves: tuple[pl.DataFrame, pl.DataFrame],
    grace: timedelta,
    fleet: pl.DataFrame,
    running: pl.DataFrame,
    accounts: pl.DataFrame,
    sites: Sequence[Site],
    alerts: Sequence[AlertRow],
    search: str = "",
) -> City:
    """Assemble the City page.

    Args:
        at: site time.
        timezone: the city's.
        day: local day shown as today.
        curves: CURVE of `day` and of the day before.
        grace: how long after its end a block may still be arriving.
        fleet: FLEET at `at`.
        running: RUNNING at `at`.
        accounts: quota accounts of the running month (`site_id, used_ratio, crosses_at`).
        sites: all sites.
        alerts: all alerts, active and not.
        search: part of a site's name, id or district; empty lists the most pressing.
    """
    rows = _sites(sites, running, accounts, by_site(alerts))
    mains, until = fleet.filter("is_main"), settled(curves[0], at, grace)
    present = mains.drop_nulls("power_kw")
    return City(
        at=at,
        timezone=timezone,
        day=day,
        load_kw=float(present["power_kw"].sum()) if present.height else None,
        load_coverage=_rated_share(present, mains),
        until=until,
        today=shown(curves[0], until),
        yesterday=curves[1],
        total=total(curves[0], until),
        yesterday_total=total(curves[1], until - timedelta(days=1)),
        meters=count(fleet),
        severities=by_severity(alerts),
        alerts=chosen(alerts, Filter()),
        sites=tuple(row for row in rows if _matches(row.site, search))[:MOST_SITES],
        sites_total=len(rows),
        districts=_districts(sites, running),
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
