"""VERDICT: one row a site, indicator and statistics period, bound to the exact policy row.

The outcome says how the figure compares; the standing says what an overrun may be used for.
`processors.judge` makes the rows.
"""

from enum import StrEnum

import polars as pl

from collector.reading import UTC_US


class Outcome(StrEnum):
    """How an indicator compares with its policy row."""

    WITHIN = "within"
    ADVANCED = "advanced"
    OVERRUN = "overrun"
    UNDECIDED = "undecided"


class Standing(StrEnum):
    """What an overrun may be used for."""

    EVIDENCE = "evidence"
    CLUE = "clue"


class Reason(StrEnum):
    """Why a figure is undecided, or why an overrun is no more than a clue."""

    # undecided: the figure cannot be stated
    NO_GUIDE = "no_guide"
    """Neither the site nor the settings name a guide for it."""
    NO_EDITION = "no_edition"
    """No single edition is in force throughout the statistics period."""
    NO_ROW = "no_row"
    """The guide or quota has no row for this use or product."""
    NO_FIGURE = "no_figure"
    """The document prints no figure at the level that applies ("—"), or it is not known."""
    NO_FLOOR_AREA = "no_floor_area"
    NO_DENOMINATOR = "no_denominator"
    """The guide asks for output value, value added or guests, and none is declared."""
    NO_DATA = "no_data"
    METER_WITHOUT_DATA = "meter_without_data"
    """One of the site's main meters supports no day of the period."""
    COVERAGE_BELOW_MINIMUM = "coverage_below_minimum"
    ZERO_DAYS = "zero_days"
    """Coverage is below the minimum because the meter read zero all day on many days."""
    IMPLAUSIBLY_LOW = "implausibly_low"
    """So far below the advanced level that the meters cannot be the whole site."""
    PERIOD_NOT_OVER = "period_not_over"
    PERIOD_TOO_SHORT = "period_too_short"
    """The guide is for a year; the period is shorter than the settings allow to annualise."""
    NO_SEASONAL_SHAPE = "no_seasonal_shape"
    """The period is part of a year, and the site has no whole year before to scale it by."""
    UNIT_MISMATCH = "unit_mismatch"
    """Output is declared in another unit than the row's."""
    DECLARATION_CROSSES_PERIOD = "declaration_crosses_period"
    """What is declared reaches beyond the period; how much of it was made inside, nobody said."""
    COUNT_NOT_COVERED = "count_not_covered"
    """A counter counts the output, and its readings do not support enough of the period."""
    NOTHING_COUNTED = "nothing_counted"
    """The counter stood still: energy cannot be divided by nothing."""
    SHARED_METERS = "shared_meters"
    """Several products have meters and days in common, and neither shares nor quotas part them."""
    NOT_ELECTRICITY = "not_electricity"
    """The indicator counts coal or heat; electricity meters cannot decide it."""
    OTHER_CARRIERS = "other_carriers"
    """The indicator counts all energy; other carriers were not declared."""
    CORRECTION_INPUT_MISSING = "correction_input_missing"
    # clue: the overrun is stated but does not carry evidence
    THRESHOLD_NOT_PUBLISHED = "threshold_not_published"
    SOURCE_NOT_EXACT = "source_not_exact"
    """Published, but no table or page is recorded: nobody can look it up."""
    VALIDITY_NOT_PUBLISHED = "validity_not_published"
    """The day of implementation is not known from a published source."""
    COEFFICIENT_NOT_PUBLISHED = "coefficient_not_published"
    METER_NOT_VERIFIED = "meter_not_verified"
    """A meter has no verification certificate valid throughout the period."""
    DENOMINATOR_NOT_DECLARED = "denominator_not_declared"
    """Nobody is on record as having declared the floor area or the output."""
    NOT_CORRECTED = "not_corrected"
    """A correction the document allows was not applied: its input is not declared."""
    ANNUALISED = "annualised"
    """Scaled to a year from a shorter period, by season or mean: an estimate."""
    ALLOCATED = "allocated"
    """Energy was parted from other products' by a share or by output and quota, not measured."""
    ONLY_EXTRAPOLATED = "only_extrapolated"
    """The energy measured alone is not above the threshold; only extrapolated it is."""
    MUCH_ESTIMATED = "much_estimated"
    ELECTRICITY_ONLY = "electricity_only"
    """Electricity alone is above an all-energy threshold; recovered energy was not deducted."""


VERDICT: dict[str, pl.DataType] = {
    "verdict_id": pl.String(),
    "site_id": pl.String(),
    "kind": pl.String(),
    "outcome": pl.String(),
    "reason": pl.String(),
    "standing": pl.String(),
    "standing_reasons": pl.List(pl.String()),
    "period_start": pl.Date(),
    "period_end": pl.Date(),
    "metric": pl.String(),
    "unit": pl.String(),
    "actual": pl.Float64(),
    "threshold": pl.Float64(),
    "ratio": pl.Float64(),
    "level": pl.String(),
    "grade": pl.String(),
    "pack_id": pl.String(),
    "edition": pl.String(),
    "row_id": pl.String(),
    "row_name_zh": pl.String(),
    "row_name_en": pl.String(),
    "document": pl.String(),
    "clause": pl.String(),
    "provenance": pl.String(),
    "printed_threshold": pl.Float64(),
    "correction": pl.String(),
    "kgce_per_kwh": pl.Float64(),
    "energy_kwh": pl.Float64(),
    "other_energy_kgce": pl.Float64(),
    "denominator": pl.Float64(),
    "denominator_unit": pl.String(),
    "declared_by": pl.String(),
    "coverage": pl.Float64(),
    "estimated_share": pl.Float64(),
    "days_expected": pl.Int32(),
    "days_counted": pl.Int32(),
    "zero_days": pl.Int32(),
    "computed_at": UTC_US,
    "grade_zh": pl.String(),
    "grade_en": pl.String(),
    "allocation": pl.String(),
    "annualised": pl.String(),
    "count_coverage": pl.Float64(),
}
"""`verdict_id` = site:pack:row:start:end, the same for each revision; the latest is the row with
the greatest `computed_at`. `kind` guide | product_quota. `reason` of an undecided outcome, else
null; `standing` and `standing_reasons` (why it is but a clue) of an overrun, else null and empty.
`period_start`/`period_end` local days, half-open. `actual` the corrected figure in `unit` (a year's
for guides), `threshold` the corrected figure of `level`, `printed_threshold` before correction,
`ratio` actual / threshold (null where the threshold is not positive), `grade` the tightest level
met. `clause` the row's table and page. `energy_kwh` measured and estimated energy counted, never
extrapolated; `denominator` its floor area (m2, mean over the counted days) or output;
`coverage` 0..1 of the period supported by measurement, zero and missing days left out;
`days_counted` days with energy, `zero_days` days that read zero throughout (meter-days of all
meters, against `days_expected` x meters). `grade_zh`, `grade_en` the name of the grade (等级)
the figure falls in, also beyond the last level where the pack names that; `allocation` how energy
was parted from other products' (processors.allocation), `annualised` how a part of a year was
scaled to one; `count_coverage` 0..1 of the days that the counters of the output support, null where
it is not counted. Figures not known are null, never 0."""


def empty() -> pl.DataFrame:
    """Return a VERDICT frame of no rows."""
    return pl.DataFrame(schema=VERDICT)
