"""Judges intensities against guides and product quotas: VERDICT rows, pure.

The order of the tests is part of the product: first whether a figure can be stated at all, then how
it compares, and last what an overrun may be used for. A figure of too little coverage is undecided,
never within; a null in a pack is "not known", never a pass.
"""

from collections.abc import Iterable
from datetime import date, datetime
from zoneinfo import ZoneInfo

import polars as pl

from collector.dated import Dated, in_force
from collector.site import BASES, Site
from processors.allocation import ESTIMATED, allocate
from processors.applied import Folded, Line, apply
from processors.bases import claims_of, guide_id, rows_for, weights
from processors.case import Case, Finding, row_of
from processors.claims import MEAN, Claim, Period
from processors.counted import counts_of, covered, with_counts
from processors.intensity import measure
from processors.policy.header import Provenance
from processors.policy.load import Packs
from processors.season import in_season
from processors.settings import VerdictSettings
from processors.verdict import VERDICT, Outcome, Reason

_ONLY_HOURS = frozenset({Reason.COVERAGE_BELOW_MINIMUM, Reason.ZERO_DAYS})
"""Reasons that leave the mean of the known time worth reading, beside its coverage."""


def judge(
    days: pl.DataFrame,
    sites: Iterable[Site],
    packs: Packs,
    period: Period,
    settings: VerdictSettings,
    now: datetime,
) -> pl.DataFrame:
    """Judge every site over one statistics period.

    Args:
        days: DAY rows of the sites' meters, counters among them, over the period, latest revision,
            in any order.
        sites: shops, hotels, restaurants and offices are judged by guide over floor area; any site
            that declares production, by product quota over the declared spans.
        packs: the policy folder.
        period: whole local days; a product quota is judged over the declared days inside it.
        settings: what is good enough to be judged.
        now: becomes `computed_at`; a period that is not over is undecided.

    Returns:
        VERDICT rows sorted by site and row; several for a product with several indicators.
    """
    sites = tuple(sites)
    told = counts_of(sites, days, period)
    claims = claims_of(with_counts(sites, told), packs, period, settings)
    claims = covered(claims, told, period)
    claims = in_season(claims, days, period, settings.min_coverage)
    days, claims = allocate(days, claims, lambda one: weights(one, packs, one.period))
    figures = measure(days, claims).rows(named=True)
    cases = [
        Case(claim, row, pack, policy_row)
        for claim, row in zip(claims, figures, strict=True)
        for pack, policy_row in rows_for(claim, packs, settings)
    ]
    rows = [row_of(case, _find(case, packs, settings, now), now) for case in cases]
    return pl.DataFrame(rows, schema=VERDICT, orient="row").sort("site_id", "kind", "row_id")


def _find(case: Case, packs: Packs, settings: VerdictSettings, now: datetime) -> Finding:
    """Return the outcome; the first test that fails is the reason it is undecided.

    Where only hours are missing, the figure of the known ones is told beside the reason.
    """
    reason = (
        _policy_missing(case, packs, settings)
        or _uncounted(case.claim, settings)
        or _denominator_missing(case)
        or _data_missing(case, settings, now)
    )
    per_unit = case.number("per_unit_kwh")
    told = reason is None or reason in _ONLY_HOURS
    if not told or case.pack is None or case.row is None or per_unit is None:
        return Finding(Outcome.UNDECIDED, reason or Reason.NO_DATA)
    claim, row = case.claim, case.row
    facts = _declared(claim)
    values = {name: one.value for name, one in facts.items()}
    by = {name: one.declared_by for name, one in facts.items()}
    line = apply(case.pack, row, values, existing=claim.site.existing, by=by)
    actual = line.corrected(_in_unit(case, per_unit))
    if actual.lacking or line.threshold.lacking:
        return Finding(Outcome.UNDECIDED, reason or Reason.CORRECTION_INPUT_MISSING, line=line)
    if reason is not None:
        return Finding(Outcome.UNDECIDED, reason, (), actual, line)
    return _compared(case, line, actual, settings)


def _compared(case: Case, line: Line, actual: Folded, settings: VerdictSettings) -> Finding:
    if line.threshold.value is None or actual.value is None:
        return Finding(Outcome.UNDECIDED, Reason.NO_FIGURE, (), actual, line)
    if actual.value > line.threshold.value:
        return Finding(Outcome.OVERRUN, None, _clues(case, line, settings), actual, line)
    if _electricity_only(case):
        return Finding(Outcome.UNDECIDED, Reason.OTHER_CARRIERS, (), actual, line)
    best = line.advanced
    if best is not None and best > 0.0 and actual.value < settings.min_plausible_share * best:
        return Finding(Outcome.UNDECIDED, Reason.IMPLAUSIBLY_LOW, (), actual, line)
    advanced = best is not None and actual.value <= best
    return Finding(Outcome.ADVANCED if advanced else Outcome.WITHIN, None, (), actual, line)


def _electricity_only(case: Case) -> bool:
    """Whether the indicator counts all energy while the claim knows electricity alone."""
    all_energy = case.row is not None and case.row.metric.endswith("energy")
    return all_energy and case.claim.other_energy_kgce is None


def _policy_missing(case: Case, packs: Packs, settings: VerdictSettings) -> Reason | None:
    claim = case.claim
    guide = guide_id(claim.site, settings)
    if case.row is None and not claim.product and not guide:
        return Reason.NO_GUIDE
    if case.pack is None:
        product = claim.product if claim.product not in BASES else ""
        known = packs.product_known(product) if product else packs.guide_known(guide)
        missing = Reason.NO_ROW if product else Reason.NO_GUIDE
        return Reason.NO_EDITION if known else missing
    return Reason.NO_ROW if case.row is None else None


def _denominator_missing(case: Case) -> Reason | None:
    claim, row = case.claim, case.row
    if not claim.segments:
        return _undeclared(claim)
    if claim.shared:
        return Reason.SHARED_METERS
    if row is None:
        return None
    if row.metric.startswith(("coal", "net_coal", "heat_coal")):
        return Reason.NOT_ELECTRICITY
    if claim.product and row.unit.partition("/")[2] != claim.unit:
        return Reason.UNIT_MISMATCH
    return None


def _undeclared(claim: Claim) -> Reason:
    if claim.crosses:
        return Reason.DECLARATION_CROSSES_PERIOD
    return Reason.NO_DENOMINATOR if claim.product else Reason.NO_FLOOR_AREA


def _uncounted(claim: Claim, settings: VerdictSettings) -> Reason | None:
    if claim.count_coverage is None:
        return None
    if claim.count_coverage < settings.min_coverage:
        return Reason.COUNT_NOT_COVERED
    return None if claim.denominator > 0 else Reason.NOTHING_COUNTED


def _data_missing(case: Case, settings: VerdictSettings, now: datetime) -> Reason | None:
    claim = case.claim
    if now.astimezone(ZoneInfo(claim.site.timezone)).date() < claim.period.end:
        return Reason.PERIOD_NOT_OVER
    if not claim.product and (reason := _too_short(claim, settings)):
        return reason
    coverage, zero = case.number("coverage") or 0.0, case.number("zero_days") or 0.0
    if coverage < settings.min_coverage and zero > 0:
        meter_days = claim.days_expected * len(claim.rows)
        # would the figure have been covered well enough, had the zero days counted?
        return (
            Reason.ZERO_DAYS
            if coverage + zero / meter_days >= settings.min_coverage
            else Reason.COVERAGE_BELOW_MINIMUM
        )
    if case.number("energy_kwh") is None:
        return Reason.NO_DATA
    if case.figures["silent_meters"]:
        return Reason.METER_WITHOUT_DATA
    return Reason.COVERAGE_BELOW_MINIMUM if coverage < settings.min_coverage else None


def _too_short(claim: Claim, settings: VerdictSettings) -> Reason | None:
    if claim.period.days >= settings.min_period_days or claim.annualised == "":
        return None
    if claim.period.days < settings.min_season_days:
        return Reason.PERIOD_TOO_SHORT
    return None if claim.annualised != MEAN else Reason.NO_SEASONAL_SHAPE


def _declared(claim: Claim) -> dict[str, Dated]:
    """Return the correction inputs in force at the end of the period."""
    last = date.fromordinal(claim.period.end.toordinal() - 1)
    found = {name: in_force(values, last) for name, values in claim.site.declared.items()}
    return {name: one for name, one in found.items() if one is not None}


def _in_unit(case: Case, kwh: float) -> float:
    """Convert kWh a unit of denominator to the row's unit, by the pack's own coal coefficient."""
    if case.row is None or case.pack is None or not case.row.in_coal or case.pack.coal is None:
        return kwh
    other = (case.claim.other_energy_kgce or 0.0) / case.claim.denominator
    kgce = kwh * case.pack.coal.value + other
    return kgce * _OF_KGCE[case.row.unit.partition("/")[0]]


_OF_KGCE = {"kgce": 1.0, "gce": 1000.0, "tce": 0.001}


def _clues(case: Case, line: Line, settings: VerdictSettings) -> tuple[Reason, ...]:
    """Return why an overrun does not carry evidence; empty if it does."""
    claim, pack, row = case.claim, case.pack, case.row
    if pack is None or row is None:
        return ()
    stated = case.number("stated_per_unit_kwh")
    lower = None if stated is None else line.corrected(_in_unit(case, stated)).value
    published = Provenance.PUBLISHED
    validity = pack.validity
    in_coal = row.in_coal and (pack.coal is None or pack.coal.provenance is not published)
    tests = {
        Reason.THRESHOLD_NOT_PUBLISHED: line.provenance is not published,
        Reason.SOURCE_NOT_EXACT: not (row.table and row.page),
        Reason.VALIDITY_NOT_PUBLISHED: validity.since is None
        or validity.provenance is not published,
        Reason.COEFFICIENT_NOT_PUBLISHED: in_coal,
        Reason.METER_NOT_VERIFIED: not _verified(claim),
        Reason.DENOMINATOR_NOT_DECLARED: not claim.declared_by,
        Reason.NOT_CORRECTED: bool(line.threshold.skipped or line.corrected(0.0).skipped),
        Reason.ANNUALISED: bool(claim.annualised),
        Reason.ALLOCATED: bool(ESTIMATED & set(claim.allocation.split())),
        Reason.ONLY_EXTRAPOLATED: lower is None
        or line.threshold.value is None
        or lower <= line.threshold.value,
        Reason.MUCH_ESTIMATED: (case.number("estimated_share") or 0.0)
        > settings.max_estimated_share,
        Reason.ELECTRICITY_ONLY: _electricity_only(case),
    }
    return tuple(reason for reason, holds in tests.items() if holds)


def _verified(claim: Claim) -> bool:
    checks = {one.id: one.verification for one in claim.site.meters}
    found = [checks.get(meter) for meter in claim.meters]
    return all(one is not None and one.valid_until >= claim.period.end for one in found)
