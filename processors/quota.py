"""ACCOUNT: one row a site and month or year, the quota's burn-down and where it is heading."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from collector.reading import UTC_US
from collector.site import Site
from processors.calendar import Calendar
from processors.calibration import Ranges
from processors.policy.pack import SurchargePack
from processors.sheet import Sheet, sheets
from processors.surcharge import surcharge_yuan
from processors.terms import Span, Terms

ACCOUNT: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "kind": pl.String(),
    "month": pl.Date(),
    "start": UTC_US,
    "end": UTC_US,
    "at": UTC_US,
    "quota_kwh": pl.Float64(),
    "declared_by": pl.String(),
    "energy_kwh": pl.Float64(),
    "used_ratio": pl.Float64(),
    "elapsed_ratio": pl.Float64(),
    "remaining_kwh": pl.Float64(),
    "coverage": pl.Float64(),
    "estimated_share": pl.Float64(),
    "missing_days": pl.Float64(),
    "projected_kwh": pl.Float64(),
    "projected_low_kwh": pl.Float64(),
    "projected_high_kwh": pl.Float64(),
    "projected_ratio": pl.Float64(),
    "crossed": pl.Boolean(),
    "crosses_at": UTC_US,
    "crosses_early": UTC_US,
    "crosses_late": UTC_US,
    "crosses_in_days": pl.Float64(),
    "basis_days": pl.Int32(),
    "range_forecasts": pl.Int32(),
    "season": pl.String(),
    "reason": pl.String(),
    "surcharge_yuan": pl.Float64(),
    "projected_surcharge_yuan": pl.Float64(),
    "surcharge_pack": pl.String(),
    "surcharge_provenance": pl.String(),
}
"""`kind` month | year, what the quota is for; `month` its first local day; `start`/`end` of it;
`at` the instant of the statement.
`energy_kwh` stated so far (null if nothing is), `used_ratio` = energy / quota, `elapsed_ratio`
share of the span that has passed, `remaining_kwh` negative once crossed. `coverage` 0..1 of the
time passed that measurement supports; `estimated_share` 0..1 of the energy; `missing_days`
meter-days (fractions count) without energy in the time passed: the projection fills them,
`energy_kwh` never.
`projected_kwh` at the end with the bounds that hold four cases in five. `crossed` energy stated is
above the quota; `crosses_at` the instant it was or is expected to be, `crosses_early`/
`crosses_late` the first instant and the last second of the days that hold the day of it in four
cases of five; null: not within the span (early and late null: expected not to cross).
`crosses_in_days` from `at` to `crosses_at`, below 0 once crossed.
`basis_days` days the projection rests on; `range_forecasts` past forecasts the bounds at the end
are learned from, 0: too few or too far ahead, a fixed multiple is taken; `season` of a year:
`year_before`, the site's own shape of it, or `none` (seasons are not expected); `reason`
(`too_little_history`) where there is no projection.
`surcharge_yuan` so far and at the month's projected end are simulations (测算) by marginal tiers,
null without a surcharge pack, for a year, or where a tier has no published amount."""

BURN_DOWN: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "day": pl.Date(),
    "energy_kwh": pl.Float64(),
    "pace_kwh": pl.Float64(),
    "projected_kwh": pl.Float64(),
    "low_kwh": pl.Float64(),
    "high_kwh": pl.Float64(),
}
"""The curve behind an account, all cumulative from the month's start to the end of `day`:
`energy_kwh` stated (null for days to come), `pace_kwh` the quota spent evenly, `projected_kwh` with
its bounds (null for days past, and without history)."""

TOO_LITTLE_HISTORY = "too_little_history"


def first_day(month: date, lookback_days: int) -> date:
    """Return the first local day whose DAY rows `accounts` wants for a month or year."""
    return month - timedelta(days=lookback_days)


def accounts(
    days: pl.DataFrame,
    sites: Iterable[Site],
    now: datetime,
    lookback_days: int = 28,
    month: date | None = None,
    surcharge: SurchargePack | None = None,
    span: Span = Span.MONTH,
    calendar: Calendar | None = None,
    ranges: Ranges | None = None,
) -> pl.DataFrame:
    """State the account of every site that has a quota of the kind.

    Args:
        days: DAY rows of the main meters from `first_day` on, the running day included; without
            `ranges`, from `processors.terms.history_of` on (with less history the bounds rest on
            a normal distribution, and a year has no season).
        sites: sites without a quota in force are left out.
        now: the instant of the statement.
        lookback_days: history the projection rests on.
        month: first day of the month or year; None: the one that is running at each site.
        surcharge: tiers for the simulation (测算), over a monthly quota.
        span: monthly or yearly quotas.
        calendar: day types the bureau tells beside the notices.
        ranges: learned today from a longer history; None: learned from `days`.

    Returns:
        ACCOUNT rows, sorted by site.
    """
    terms = Terms(now, lookback_days, month, span, calendar, ranges)
    tiers = surcharge if span is Span.MONTH else None
    parts = [_statement(one, terms, tiers) for one in sheets(days, sites, terms)]
    return pl.concat(parts).sort("site_id") if parts else pl.DataFrame(schema=ACCOUNT)


def burn_down(
    days: pl.DataFrame,
    sites: Iterable[Site],
    now: datetime,
    lookback_days: int = 28,
    month: date | None = None,
    span: Span = Span.MONTH,
    calendar: Calendar | None = None,
    ranges: Ranges | None = None,
) -> pl.DataFrame:
    """Return the curves behind `accounts`: BURN_DOWN rows sorted by site and day."""
    terms = Terms(now, lookback_days, month, span, calendar, ranges)
    parts = [_curves(one) for one in sheets(days, sites, terms)]
    return pl.concat(parts).sort("site_id", "day") if parts else pl.DataFrame(schema=BURN_DOWN)


def _statement(sheet: Sheet, terms: Terms, surcharge: SurchargePack | None) -> pl.DataFrame:
    quota, expected = sheet.quota, sheet.paths.expected[:, -1]
    figures = sheet.so_far()
    energy = figures["energy_kwh"]
    columns: dict[str, object] = {
        "site_id": [one.id for one in sheet.sites],
        "kind": [terms.span.value] * len(sheet.sites),
        "range_forecasts": sheet.forecasts,
        "season": sheet.seasons(terms.span),
        "declared_by": [one.declared_by or None for one in sheet.quotas],
        "quota_kwh": quota,
        "used_ratio": energy / quota,
        "remaining_kwh": quota - energy,
        **figures,
        "projected_kwh": expected,
        "projected_low_kwh": np.where(np.isnan(expected), np.nan, sheet.paths.low[:, -1]),
        "projected_high_kwh": sheet.paths.high[:, -1],
        "projected_ratio": expected / quota,
        "crossed": [
            None if np.isnan(e) else bool(e > q) for e, q in zip(energy, quota, strict=True)
        ],
        "reason": [TOO_LITTLE_HISTORY if np.isnan(one) else None for one in expected],
        **sheet.crossings(),
    }
    if surcharge is not None:
        columns["surcharge_yuan"] = surcharge_yuan(surcharge, quota, energy)
        columns["projected_surcharge_yuan"] = surcharge_yuan(surcharge, quota, expected)
    return _shaped(pl.DataFrame(columns, nan_to_null=True), sheet, surcharge)


def _shaped(frame: pl.DataFrame, sheet: Sheet, surcharge: SurchargePack | None) -> pl.DataFrame:
    """Add what all accounts of a sheet share, and the columns nobody filled."""
    utc = [datetime.fromtimestamp(float(sheet.bounds[n]), UTC) for n in (0, -1)]
    provenance = sorted({one.provenance.value for one in surcharge.tiers}) if surcharge else []
    span = sheet.bounds[-1] - sheet.bounds[0]
    passed = np.clip((sheet.now.timestamp() - sheet.bounds[0]) / span, 0.0, 1.0)
    shared: dict[str, object] = {
        "month": sheet.known.axis[sheet.month][0],
        "start": utc[0],
        "end": utc[1],
        "at": sheet.now,
        "elapsed_ratio": float(passed),
        "surcharge_pack": f"{surcharge.id} {surcharge.edition}" if surcharge else None,
        "surcharge_provenance": ", ".join(provenance) or None,
    }
    ahead = (pl.col("crosses_at").cast(UTC_US) - pl.lit(sheet.now)).dt.total_seconds() / 86400.0
    full = frame.with_columns(pl.lit(value).alias(name) for name, value in shared.items())
    full = full.with_columns(crosses_in_days=ahead)
    missing = [pl.lit(None).alias(name) for name in ACCOUNT if name not in full.columns]
    return full.with_columns(missing).select(
        pl.col(name).cast(kind) for name, kind in ACCOUNT.items()
    )


def _curves(sheet: Sheet) -> pl.DataFrame:
    days, quota = sheet.known.axis[sheet.month], sheet.quota
    begun, over = sheet.elapsed > 0.0, sheet.elapsed >= 1.0
    span = sheet.bounds[-1] - sheet.bounds[0]
    pace = quota[:, None] * (sheet.bounds[1:] - sheet.bounds[0]) / span
    ahead = np.where(over, np.nan, sheet.paths.expected)
    columns = {
        "energy_kwh": np.where(begun, sheet.paths.known, np.nan),
        "pace_kwh": pace,
        "projected_kwh": ahead,
        "low_kwh": np.where(np.isnan(ahead), np.nan, sheet.paths.low),
        "high_kwh": np.where(np.isnan(ahead), np.nan, sheet.paths.high),
    }
    keys = {
        "site_id": np.repeat([one.id for one in sheet.sites], len(days)).tolist(),
        "day": list(days) * len(sheet.sites),
    }
    flat = {name: values.ravel() for name, values in columns.items()}
    return pl.DataFrame(keys | flat, nan_to_null=True).select(
        pl.col(name).cast(kind) for name, kind in BURN_DOWN.items()
    )
