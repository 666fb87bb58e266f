"""What a Site page shows, computed from frames; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from collector.site import Meter, Site
from dashboards.curve import Total
from dashboards.view_alerts import AlertRow
from dashboards.view_indices import LoadIndices
from dashboards.view_verdict import Intensity
from processors.interval import BLOCK
from processors.terms import Span, Terms


@dataclass(frozen=True, slots=True)
class Running:
    """The site's running block; every figure None when it cannot be told."""

    block_start: datetime | None
    measured_at: datetime | None
    power_kw: float | None
    energy_so_far_kwh: float | None
    projected_demand_kw: float | None
    projected_low_kw: float | None
    projected_high_kw: float | None
    """The bounds hold four cases in five."""
    contract_demand_kw: float | None
    allowed_kw: float | None
    """Mean power for the rest of the block that just reaches the contract demand."""
    heard_mains: int
    mains: int

    @property
    def headroom_kw(self) -> float | None:
        """Allowed minus present power; below zero: what must be shed."""
        if self.allowed_kw is None or self.power_kw is None:
            return None
        return self.allowed_kw - self.power_kw

    @property
    def left(self) -> timedelta | None:
        """Time from the last reading to the block's end."""
        if self.block_start is None or self.measured_at is None:
            return None
        return self.block_start + BLOCK - self.measured_at

    @property
    def ratio(self) -> float | None:
        """Projected block demand over contract demand."""
        if self.projected_demand_kw is None or not self.contract_demand_kw:
            return None
        return self.projected_demand_kw / self.contract_demand_kw


@dataclass(frozen=True, slots=True)
class Cap:
    """The account of the load cap (负荷限额) that bound last in the running month."""

    cap_kw: float | None
    """None: no cap has begun to bind this month."""
    start: datetime | None
    end: datetime | None
    """It bound, as far as has passed."""
    blocks_above: int | None
    hours_above: float | None
    kwh_above: float | None
    worst_kw: float | None
    worst_at: datetime | None
    coverage: float | None


@dataclass(frozen=True, slots=True)
class Quota:
    """The month's or the year's account (月度定额, 年度定额)."""

    span: Span
    month: date
    """First day."""
    quota_kwh: float
    curve: pl.DataFrame
    """BURN_DOWN rows of the site, one a day of the span."""
    at: datetime
    """The instant of the statement."""
    start: datetime
    end: datetime
    """Bounds of the span, UTC."""
    energy_kwh: float | None
    used_ratio: float | None
    projected_kwh: float | None
    projected_low_kwh: float | None
    projected_high_kwh: float | None
    crosses_at: datetime | None
    crosses_early: datetime | None
    crosses_late: datetime | None
    coverage: float | None
    crossed: bool
    """Whether the energy stated so far is above the quota."""
    season: str
    """Of a year: what season is expected; see ACCOUNT."""
    reason: str
    """Why nothing is projected; empty if it is."""
    surcharge_yuan: float | None
    """Simulated (测算) surcharge of the energy so far; None without a pack or a published tier."""
    surcharge_provenance: str

    @property
    def length(self) -> int:
        """Days of the span."""
        return Terms(self.at, span=self.span).days(self.month)

    def elapsed(self, at: datetime) -> float:
        """Return how many days of the span had passed at an instant."""
        return (at - self.start) / (self.end - self.start) * self.length


@dataclass(frozen=True, slots=True)
class MeterRow:
    """One meter of the site."""

    meter: Meter
    voice: str
    measured_at: datetime | None
    silent_s: float | None
    power_kw: float | None
    total: Total
    last_error: str


@dataclass(frozen=True, slots=True)
class SitePage:
    """Everything a Site page needs, at one instant."""

    at: datetime
    site: Site
    day: date
    is_today: bool
    until: datetime
    """Up to here the blocks have arrived; see `curve.settled`."""
    today: pl.DataFrame
    """CURVE of `day`."""
    yesterday: pl.DataFrame
    total: Total
    yesterday_total: Total
    running: Running
    quota: Quota | None
    """Of the month."""
    year: Quota | None
    cap: Cap | None
    intensities: tuple[Intensity, ...]
    meters: tuple[MeterRow, ...]
    alerts: tuple[AlertRow, ...]
    latest_day: date | None
    """The last local day that has data, if `day` has none."""
    indices: LoadIndices | None
    """Of the running month, whichever day is shown; None: it has no block yet."""


def running_of(row: Mapping[str, object]) -> Running:
    """Return the running block of one row of RUNNING."""
    return Running(
        block_start=instant(row, "block_start"),
        measured_at=instant(row, "measured_at"),
        power_kw=number(row, "power_kw"),
        energy_so_far_kwh=number(row, "energy_so_far_kwh"),
        projected_demand_kw=number(row, "projected_demand_kw"),
        projected_low_kw=number(row, "projected_low_kw"),
        projected_high_kw=number(row, "projected_high_kw"),
        contract_demand_kw=number(row, "contract_demand_kw"),
        allowed_kw=number(row, "allowed_kw"),
        heard_mains=int(number(row, "heard_mains") or 0),
        mains=int(number(row, "mains") or 0),
    )


def meter_row(meter: Meter, heard: Mapping[str, object], energy: Total) -> MeterRow:
    """Return a meter's row from its row of FLEET and the day's total."""
    return MeterRow(
        meter=meter,
        voice=str(heard["voice"]),
        measured_at=instant(heard, "measured_at"),
        silent_s=number(heard, "silent_s"),
        power_kw=number(heard, "power_kw"),
        total=energy,
        last_error=str(heard.get("last_error") or ""),
    )


def quota_of(account: Mapping[str, object], curve: pl.DataFrame) -> Quota | None:
    """Return an account from one row of ACCOUNT and the site's BURN_DOWN rows."""
    quota, month = number(account, "quota_kwh"), account.get("month")
    at, start, end = (instant(account, name) for name in ("at", "start", "end"))
    if quota is None or not isinstance(month, date) or not (at and start and end):
        return None
    return Quota(
        span=Span(str(account.get("kind") or Span.MONTH)),
        month=month,
        quota_kwh=quota,
        curve=curve.sort("day"),
        at=at,
        start=start,
        end=end,
        energy_kwh=number(account, "energy_kwh"),
        used_ratio=number(account, "used_ratio"),
        projected_kwh=number(account, "projected_kwh"),
        projected_low_kwh=number(account, "projected_low_kwh"),
        projected_high_kwh=number(account, "projected_high_kwh"),
        crosses_at=instant(account, "crosses_at"),
        crosses_early=instant(account, "crosses_early"),
        crosses_late=instant(account, "crosses_late"),
        coverage=number(account, "coverage"),
        crossed=bool(account.get("crossed")),
        season=str(account.get("season") or ""),
        reason=str(account.get("reason") or ""),
        surcharge_yuan=number(account, "surcharge_yuan"),
        surcharge_provenance=str(account.get("surcharge_provenance") or ""),
    )


def cap_of(account: Mapping[str, object]) -> Cap:
    """Return the cap's account from one row of CAP_STATE."""
    above = number(account, "blocks_above")
    return Cap(
        cap_kw=number(account, "cap_kw"),
        start=instant(account, "start"),
        end=instant(account, "end"),
        blocks_above=None if above is None else int(above),
        hours_above=number(account, "hours_above"),
        kwh_above=number(account, "kwh_above"),
        worst_kw=number(account, "worst_kw"),
        worst_at=instant(account, "worst_at"),
        coverage=number(account, "coverage"),
    )


def number(row: Mapping[str, object], name: str) -> float | None:
    """Return a row's number, or None if it is null or absent."""
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else None


def instant(row: Mapping[str, object], name: str) -> datetime | None:
    """Return a row's instant, or None if it is null or absent."""
    value = row.get(name)
    return value if isinstance(value, datetime) else None
