"""What if another edition held, or limits were tighter: all sites judged before and after. Pure.

A tightened figure is this program's own (测算), never law: its provenance becomes illustrative, its
edition is marked, so every overrun of it is a clue. An edition taken out of its time keeps its
figures' provenance, but its validity is illustrative: overruns of it are clues too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from collector.site import Site
from processors.intensity import Period
from processors.judge import judge
from processors.policy.header import Provenance, Validity
from processors.policy.load import Packs
from processors.policy.pack import Figure, Role, Row, TablePack
from processors.settings import VerdictSettings

WHATIF: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "kind": pl.String(),
    "row_id": pl.String(),
    "before": pl.String(),
    "after": pl.String(),
    "changed": pl.Boolean(),
    "actual_before": pl.Float64(),
    "actual": pl.Float64(),
    "unit": pl.String(),
    "threshold_before": pl.Float64(),
    "threshold": pl.Float64(),
    "edition_before": pl.String(),
    "edition": pl.String(),
    "provenance_before": pl.String(),
    "provenance": pl.String(),
    "reason_before": pl.String(),
    "reason": pl.String(),
    "coverage": pl.Float64(),
    "basis": pl.String(),
}
"""One row a site, indicator and row of a guide or quota. `before`, `after` the outcomes (null: no
verdict on this row on that side); `actual`, `threshold` corrected, in `unit`; `edition` as ID
EDITION; `coverage` 0..1 of the period; `basis` what was assumed, for every table that shows it."""

_KEY = ("site_id", "kind", "slot")
"""A guide gives one verdict a site, a product quota one a pack and row."""
_BOUND = frozenset({Role.LIMIT, Role.ACCESS})


@dataclass(frozen=True, slots=True)
class Change:
    """What is assumed."""

    edition: tuple[str, str] | None = None
    """Id and edition of a pack that stands in for all editions of its id, whatever its dates."""
    tighten: float = 0.0
    """0..1: share by which limit and access levels move towards less energy."""

    @property
    def basis(self) -> str:
        """Say it in words."""
        parts = []
        if self.edition:
            parts.append("edition {}@{} applied whatever its dates".format(*self.edition))
        if self.tighten:
            parts.append(f"limits tightened by {self.tighten * 100:g} %")
        return f"测算 what-if, no law: {'; '.join(parts) or 'nothing changed'}"


class UnknownEditionError(ValueError):
    """No pack of this id and edition is loaded."""


def changed_packs(packs: Packs, change: Change) -> Packs:
    """Return the packs as they would be.

    Raises:
        UnknownEditionError: the edition is not loaded.
        ValueError: `tighten` is not within 0..1.
    """
    if not 0.0 <= change.tighten < 1.0:
        raise ValueError("tighten by a share from 0 to less than 1 (100 %)")
    tables = packs.tables
    if change.edition:
        chosen = packs.table(*change.edition)
        if chosen is None:
            known = ", ".join(f"{one.id}@{one.edition}" for one in tables)
            raise UnknownEditionError(f"no edition {'@'.join(change.edition)}; there are {known}")
        others = tuple(one for one in tables if one.id != chosen.id)
        tables = (*others, chosen.model_copy(update={"validity": _ALWAYS}))
    if change.tighten:
        tables = tuple(_tightened(one, change.tighten) for one in tables)
    return replace(packs, tables=tables)


_ALWAYS = Validity.model_validate(
    {"from": "0001-01-01", "provenance": Provenance.ILLUSTRATIVE.value}
)


def _tightened(pack: TablePack, share: float) -> TablePack:
    bound = {level.id for level in pack.levels if level.role in _BOUND}
    edition = f"{pack.edition} (测算 -{share * 100:g} %)"
    rows = tuple(_tighter(row, bound, share) for row in pack.rows)
    return pack.model_copy(update={"rows": rows, "edition": edition})


def _tighter(row: Row, bound: set[str], share: float) -> Row:
    levels = {
        name: _less(figure, share) if name in bound else figure
        for name, figure in row.levels.items()
    }
    return row.model_copy(update={"levels": levels})


def _less(figure: Figure, share: float) -> Figure:
    """Move a figure towards less energy; a net recovery (negative) grows."""
    value = None if figure.value is None else figure.value - share * abs(figure.value)
    return figure.model_copy(update={"value": value, "provenance": Provenance.ILLUSTRATIVE})


def whatif(
    days: pl.DataFrame,
    sites: Iterable[Site],
    packs: Packs,
    period: Period,
    settings: VerdictSettings,
    now: datetime,
    change: Change,
) -> pl.DataFrame:
    """Judge every site under the packs as they are and as they would be.

    Args:
        days: DAY rows of the sites' meters over the period.
        sites: whom to judge.
        packs: the policy folder.
        period: whole local days.
        settings: what is good enough to be judged.
        now: a period that is not over is undecided.
        change: what is assumed.

    Returns:
        WHATIF rows sorted by site and row, those that change and those that do not.

    Raises:
        UnknownEditionError: the edition is not loaded.
        ValueError: `tighten` is not within 0..1.
    """
    known = list(sites)
    after_packs = changed_packs(packs, change)
    before, after = (
        _told(judge(days, known, one, period, settings, now)) for one in (packs, after_packs)
    )
    both = before.join(after, on=_KEY, how="full", suffix="_after", coalesce=True, nulls_equal=True)
    return _shaped(both, change).sort("site_id", "kind", "row_id")


def remarks(rows: pl.DataFrame, change: Change) -> list[str]:
    """Return what a reader must know beside the list of changes: why nothing could change.

    Args:
        rows: WHATIF rows, all of them.
        change: what was assumed.
    """
    told = []
    bound = rows["edition"].drop_nulls().str.split(" ").list.first().unique().sort().to_list()
    if change.edition and change.edition[0] not in bound:
        others = ", ".join(bound) or "nothing"
        told.append(f"no site is judged by {change.edition[0]}: they are judged by {others}")
    open_ = rows.filter((pl.col("before") == "undecided") & (pl.col("after") == "undecided"))
    if open_.height:
        reasons = open_["reason"].value_counts(sort=True).iter_rows()
        why = ", ".join(f"{reason} {count}" for reason, count in reasons)
        told.append(f"{open_.height} of {rows.height} are undecided before and after: {why}")
    return told


def _told(verdicts: pl.DataFrame) -> pl.DataFrame:
    edition = pl.concat_str("pack_id", "edition", separator=" ")
    slot = pl.concat_str("pack_id", "row_id", separator=":", ignore_nulls=True)
    return verdicts.select(
        "site_id",
        "kind",
        "row_id",
        "outcome",
        "actual",
        "unit",
        "threshold",
        "provenance",
        "reason",
        "coverage",
        edition=edition,
        slot=pl.when(pl.col("kind") == "guide").then(pl.lit("")).otherwise(slot),
    )


def _shaped(both: pl.DataFrame, change: Change) -> pl.DataFrame:
    pairs = {
        f"{name}_before": name
        for name in ("actual", "threshold", "edition", "provenance", "reason")
    }
    later = {name: f"{name}_after" for name in pairs.values()}
    full = both.select(
        "site_id",
        "kind",
        row_id=pl.coalesce("row_id_after", "row_id"),
        before="outcome",
        after="outcome_after",
        changed=pl.col("outcome").ne_missing(pl.col("outcome_after")),
        unit=pl.coalesce("unit_after", "unit"),
        coverage=pl.coalesce("coverage_after", "coverage"),
        basis=pl.lit(change.basis),
        **pairs,
        **later,
    )
    return full.select(pl.col(name).cast(kind) for name, kind in WHATIF.items())
