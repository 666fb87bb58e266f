"""A case: one claim before one policy row, what was found, and the VERDICT row that records it."""

from dataclasses import dataclass
from datetime import datetime

from processors.applied import Folded, Line
from processors.claims import Claim
from processors.policy.pack import Row, TablePack
from processors.verdict import Outcome, Reason, Standing


@dataclass(frozen=True, slots=True)
class Case:
    """One claim before one row of one pack."""

    claim: Claim
    figures: dict[str, object]
    """The claim's INTENSITY row."""
    pack: TablePack | None
    row: Row | None

    def number(self, name: str) -> float | None:
        """Return one of the claim's figures."""
        value = self.figures[name]
        return float(value) if isinstance(value, int | float) else None


@dataclass(frozen=True, slots=True)
class Finding:
    """What the tests found; unset figures stay null in the row."""

    outcome: Outcome
    reason: Reason | None = None
    clues: tuple[Reason, ...] = ()
    actual: Folded | None = None
    line: Line | None = None


def row_of(case: Case, found: Finding, now: datetime) -> dict[str, object]:
    """Return the VERDICT row of a case; what was not found stays null."""
    claim, pack, row, line = case.claim, case.pack, case.row, found.line
    period = claim.period
    names = (claim.site.id, pack.id if pack else "", row.id if row else claim.product)
    overrun = found.outcome is Outcome.OVERRUN
    return {
        "verdict_id": ":".join((*names, period.start.isoformat(), period.end.isoformat())),
        "site_id": claim.site.id,
        "kind": "product_quota" if claim.product else "guide",
        "outcome": found.outcome.value,
        "reason": found.reason.value if found.reason else None,
        "standing": _standing(found).value if overrun else None,
        "standing_reasons": [one.value for one in found.clues],
        "period_start": period.start,
        "period_end": period.end,
        **_policy_columns(pack, row),
        **_comparison(found.actual, line),
        "energy_kwh": case.number("energy_kwh"),
        "other_energy_kgce": claim.other_energy_kgce,
        "denominator": claim.denominator if claim.segments else None,
        "denominator_unit": claim.unit,
        "declared_by": claim.declared_by or None,
        "coverage": case.number("coverage") if claim.meters else None,
        "estimated_share": case.number("estimated_share"),
        "days_expected": claim.days_expected,
        "days_counted": case.figures["days_counted"],
        "zero_days": case.figures["zero_days"],
        "computed_at": now,
        **_grade(pack, line, found.actual),
        "allocation": claim.allocation or None,
        "annualised": claim.annualised or None,
        "count_coverage": claim.count_coverage,
    }


def _standing(found: Finding) -> Standing:
    return Standing.CLUE if found.clues else Standing.EVIDENCE


def _policy_columns(pack: TablePack | None, row: Row | None) -> dict[str, object]:
    if pack is None:
        return {}
    own: dict[str, object] = {
        "pack_id": pack.id,
        "edition": pack.edition,
        "document": pack.legal.document,
        "kgce_per_kwh": pack.coal.value if pack.coal and row and row.in_coal else None,
    }
    if row is None:
        return own
    where = [row.table, f"p. {row.page}" if row.page else "", pack.legal.clause]
    return own | {
        "metric": row.metric,
        "unit": row.unit,
        "row_id": row.id,
        "row_name_zh": row.name.zh,
        "row_name_en": row.name.en,
        "clause": ", ".join(one for one in where if one) or None,
    }


def _grade(pack: TablePack | None, line: Line | None, actual: Folded | None) -> dict[str, object]:
    """Return the name of the grade a figure falls in."""
    if pack is None or line is None or actual is None or actual.value is None:
        return {}
    met = line.grade(actual.value)
    name = next((one.name for one in pack.levels if one.id == met), None)
    whole = len(line.grades) == len(pack.levels)  # a level not printed may have been met
    if met is None and whole:
        name = pack.beyond
    return {"grade_zh": name.zh, "grade_en": name.en} if name else {}


def _comparison(actual: Folded | None, line: Line | None) -> dict[str, object]:
    if line is None:
        return {}
    threshold, figure = line.threshold.value, actual.value if actual else None
    own = line.corrected(0.0)
    steps = [*own.applied, *line.threshold.applied]
    steps += [f"not applied: {name}" for name in (*own.skipped, *line.threshold.skipped)]
    steps += [f"lacking: {name}" for name in (*own.lacking, *line.threshold.lacking)]
    ratio = None
    if figure is not None and threshold is not None and threshold > 0:
        ratio = figure / threshold
    return {
        "actual": figure,
        "threshold": threshold,
        "ratio": ratio,
        "level": line.level,
        "grade": line.grade(figure) if figure is not None else None,
        "provenance": line.provenance.value,
        "printed_threshold": line.printed,
        "correction": "; ".join(steps) or None,
    }
