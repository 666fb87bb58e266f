"""A verdict beside the levels of the very policy row it names; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from collector.site import Text
from processors.claims import Period
from processors.policy.load import Packs
from processors.policy.pack import LevelName, Row


@dataclass(frozen=True, slots=True)
class Level:
    """One threshold of a policy row."""

    role: str
    """limit, access, advanced or grade."""
    name: Text
    value: float
    provenance: str
    """published, unverified or illustrative."""


@dataclass(frozen=True, slots=True)
class Intensity:
    """单耗 and its verdict (判定)."""

    kind: str
    """guide or product_quota."""
    outcome: str
    """within, advanced, overrun or undecided."""
    reason: str
    """Why it is undecided; empty otherwise."""
    standing: str
    """evidence, clue or empty."""
    standing_reasons: tuple[str, ...]
    value: float | None
    unit: str
    ratio: float | None
    levels: tuple[Level, ...]
    start: date
    end: date
    """First day that no longer belongs to the period."""
    coverage: float | None
    estimated_share: float | None
    title: Text
    """The guide's; its id if the pack is not loaded."""
    edition: str
    row: Text
    clause: str
    provenance: str
    denominator: float | None
    denominator_unit: str
    grade: Text
    """Name of the grade (等级) the figure falls in; empty where there is none."""
    declared_by: str
    allocation: str
    """How energy was parted from other products'; empty: it was not."""
    annualised: str
    """How a part of a year was scaled to a year; empty: it was not."""


def intensities(verdicts: pl.DataFrame, packs: Packs, site_id: str) -> tuple[Intensity, ...]:
    """Return a site's newest verdict (VERDICT) of each row and kind of period, newest first.

    The rolling period of yesterday stands in the place of all before it.
    """
    latest = (
        verdicts.filter(site_id=site_id)
        .sort("computed_at")
        .unique("verdict_id", keep="last", maintain_order=True)
        .sort("period_end", "verdict_id", descending=[True, False])
    )
    newest: dict[tuple[object, ...], Mapping[str, Any]] = {}
    for row in latest.iter_rows(named=True):
        span = Period(row["period_start"], row["period_end"]).span
        newest.setdefault((row["kind"], row["pack_id"], row["row_id"], span), row)
    return tuple(intensity_of(row, packs) for row in newest.values())


def intensity_of(verdict: Mapping[str, Any], packs: Packs) -> Intensity:
    """Return what the screen shows of one row of VERDICT."""
    pack = packs.table(verdict["pack_id"] or "", verdict["edition"] or "")
    row = pack.row(verdict["row_id"] or "") if pack else None
    plain = verdict["pack_id"] or ""
    return Intensity(
        kind=verdict["kind"] or "",
        outcome=verdict["outcome"],
        reason=verdict["reason"] or "",
        standing=verdict["standing"] or "",
        standing_reasons=tuple(verdict["standing_reasons"] or ()),
        value=verdict["actual"],
        unit=verdict["unit"] or (row.unit if row else ""),
        ratio=verdict["ratio"],
        levels=_levels(pack.levels, row, verdict) if pack and row else (),
        start=verdict["period_start"],
        end=verdict["period_end"],
        coverage=verdict["coverage"],
        estimated_share=verdict["estimated_share"],
        title=pack.title if pack else Text(zh=plain, en=plain),
        edition=verdict["edition"] or "",
        row=Text(zh=verdict["row_name_zh"] or "", en=verdict["row_name_en"] or ""),
        clause=verdict["clause"] or "",
        provenance=verdict["provenance"] or "",
        denominator=verdict["denominator"],
        denominator_unit=verdict["denominator_unit"] or "",
        grade=Text(zh=verdict["grade_zh"] or "", en=verdict["grade_en"] or ""),
        declared_by=verdict["declared_by"] or "",
        allocation=verdict["allocation"] or "",
        annualised=verdict["annualised"] or "",
    )


def _levels(
    names: tuple[LevelName, ...], row: Row, verdict: Mapping[str, Any]
) -> tuple[Level, ...]:
    """Return the printed figures; the one the verdict applied is shown as corrected."""
    shown = []
    for level in names:
        figure = row.levels.get(level.id)
        if figure is None or figure.value is None:
            continue
        applied = verdict["threshold"] if verdict["level"] == level.id else None
        value = figure.value if applied is None else applied
        shown.append(Level(level.role.value, level.name, value, figure.provenance.value))
    return tuple(sorted(shown, key=lambda one: one.value))
