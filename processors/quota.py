"""ACCOUNT: one row a site and month, the monthly quota's burn-down and where it is heading."""

import polars as pl

from collector.reading import UTC_US

ACCOUNT: dict[str, pl.DataType] = {
    "site_id": pl.String(),
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
    "basis_days": pl.Int32(),
    "reason": pl.String(),
    "surcharge_yuan": pl.Float64(),
    "projected_surcharge_yuan": pl.Float64(),
    "surcharge_pack": pl.String(),
    "surcharge_provenance": pl.String(),
}
"""`month` its first local day; `start`/`end` of the month; `at` the instant of the statement.
`energy_kwh` stated so far (null if nothing is), `used_ratio` = energy / quota, `elapsed_ratio`
share of the month that has passed, `remaining_kwh` negative once crossed. `coverage` 0..1 of the
time passed that measurement supports; `estimated_share` 0..1 of the energy; `missing_days`
meter-days (fractions count) without energy in the time passed: the projection fills them,
`energy_kwh` never.
`projected_kwh` at the month's end with its 10 % and 90 % bounds. `crossed` energy stated is above
the quota; `crosses_at` the instant it was or is expected to be, `crosses_early`/`crosses_late` the
bounds; null: not within the month. `basis_days` days the projection rests on; `reason`
(`too_little_history`) where there is none. `surcharge_yuan` so far and at the month's projected end
are simulations (测算) by marginal tiers, null without a surcharge pack or where a tier has no
published amount."""
