"""A policy row applied to a site: which level binds, and what the corrections make of it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from processors.policy.correction import FORMULAS, Given, MissingInputError, Side
from processors.policy.header import Provenance
from processors.policy.pack import Correction, LevelName, Role, Row, TablePack

DECIMALS = 6
"""Figures and thresholds are compared at this many decimals of their unit, so that an inclusive
bound is not missed, nor a recomputation upset, by the last bits of a sum."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A figure after a run of corrections."""

    value: float | None
    """Null: none was printed, or an input is lacking."""
    applied: tuple[str, ...] = ()
    """The corrections that were applied, with their inputs, for the record."""
    skipped: tuple[str, ...] = ()
    """Inputs of optional corrections that the site did not declare."""
    lacking: tuple[str, ...] = ()
    """Inputs that were not declared and without which the row may not be judged."""


@dataclass(frozen=True, slots=True)
class Line:
    """The overrun line of one site in one row, corrected."""

    level: str
    """Id of the level that binds: the limit, or access for new and expanded plants."""
    printed: float | None
    """As the document prints it, in the row's unit."""
    threshold: Folded
    measured: tuple[Correction, ...]
    """Corrections of the measured figure."""
    declared: Mapping[str, float]
    by: Mapping[str, str]
    """Who declared each, as far as that is on record."""
    advanced: float | None
    grades: tuple[tuple[str, float], ...]
    """Every level with a figure, corrected, tightest first."""
    provenance: Provenance

    def corrected(self, measured: float) -> Folded:
        """Return the measured figure (in the row's unit) after the corrections of its side."""
        return _fold(measured, self.measured, "", self.declared, self.by)

    def grade(self, actual: float) -> str | None:
        """Return the tightest level the figure meets, or None."""
        return next((name for name, figure in self.grades if actual <= figure), None)


def apply(
    pack: TablePack,
    row: Row,
    declared: Mapping[str, float],
    *,
    existing: bool,
    by: Mapping[str, str] | None = None,
) -> Line:
    """Apply a row to a site.

    Args:
        pack: the edition in force.
        row: one of its rows.
        declared: the site's declared facts by name.
        by: who declared each of them; shown where one is used.
        existing: False holds the site to the access level, if the pack has one.

    Raises:
        ValueError: the pack has no level of role `limit`; loading refuses such packs.
    """
    access = pack.level(Role.ACCESS)
    binding = pack.level(Role.LIMIT) if existing or access is None else access
    if binding is None:
        raise ValueError(f"{pack.id} {pack.edition} has no limit level")
    who = by or {}
    figures = {level.id: _threshold(row, level, declared, who) for level in pack.levels}
    advanced = pack.level(Role.ADVANCED)
    bound = row.levels.get(binding.id)
    known = [(name, one.value) for name, one in figures.items() if one.value is not None]
    return Line(
        level=binding.id,
        printed=bound.value if bound else None,
        threshold=figures[binding.id],
        measured=_of_side(row.corrections, Side.MEASURED),
        declared=declared,
        by=who,
        advanced=figures[advanced.id].value if advanced else None,
        grades=tuple(sorted(known, key=lambda one: one[1])),
        provenance=bound.provenance if bound else row.provenance,
    )


def _threshold(
    row: Row, level: LevelName, declared: Mapping[str, float], by: Mapping[str, str]
) -> Folded:
    figure = row.levels.get(level.id)
    steps = _of_side(row.corrections, Side.THRESHOLD)
    meant = [one for one in steps if not one.levels or level.id in one.levels]
    return _fold(figure.value if figure else None, meant, level.role, declared, by)


def _of_side(corrections: Iterable[Correction], side: Side) -> tuple[Correction, ...]:
    return tuple(one for one in corrections if FORMULAS[one.formula].side is side)


def _fold(
    value: float | None,
    steps: Iterable[Correction],
    level: str,
    declared: Mapping[str, float],
    by: Mapping[str, str],
) -> Folded:
    if value is None:
        return Folded(None)
    applied: list[str] = []
    skipped: list[str] = []
    lacking: list[str] = []
    for step in steps:
        formula = FORMULAS[step.formula]
        try:
            value = formula.apply(value, Given(declared, step.params, level, step.input))
        except MissingInputError as missing:
            name = str(missing.args[0])
            (skipped if step.when_missing == "none" else lacking).append(name)
        else:
            names = [k for k in declared if k in formula.text or k == step.input]
            used = [f"{k}={declared[k]:g}{f' by {by[k]}' if by.get(k) else ''}" for k in names]
            applied.append(f"{step.formula}({', '.join(used)}): {formula.text}")
    stated = None if lacking else round(value, DECIMALS)
    return Folded(stated, tuple(applied), tuple(skipped), tuple(lacking))
