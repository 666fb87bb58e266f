"""Declared activity: what the energy of a site is divided by, and who declared it; pure.

A declaration is never edited: a later one of the same activity and period is its revision, and what
was known at any instant can be told. Settings may state the same facts; a declaration counts before
them. Every denominator carries its declarer, because without one no overrun is evidence.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Annotated

import polars as pl
from pydantic import Field, ValidationInfo, field_validator, model_validator

from collector.dated import Dated, Input
from collector.reading import UTC_US
from collector.site import BASES, Identifier, Production, Site, Strict
from processors.policy.correction import INPUTS
from processors.policy.load import Packs

FLOOR_AREA = "floor_area_m2"
"""A state, in force until the next one, as are inputs of corrections; all other activities belong
to a period."""

ACTIVITY: dict[str, pl.DataType] = {
    "declaration_id": pl.Int64(),
    "site_id": pl.String(),
    "activity": pl.String(),
    "start": pl.Date(),
    "until": pl.Date(),
    "value": pl.Float64(),
    "unit": pl.String(),
    "share": pl.Float64(),
    "other_energy_kgce": pl.Float64(),
    "meters": pl.String(),
    "note": pl.String(),
    "declared_by": pl.String(),
    "declared_at": UTC_US,
    "replaces": pl.Int64(),
}
"""One row an act. `activity` a product, output_value, value_added, guests, floor_area_m2 or an
input of a correction; `start`, `until` local days, half-open (states: null, until the next one);
`value` in `unit`, null: the declaration `replaces` is withdrawn; `share` 0..1 of energy in
common; `meters` the product's own, with blanks between; `replaces` the declaration this one
revises."""

_PERIOD = ["site_id", "activity", "start", "until"]


_NEEDED = "`until` is needed: the first day after the period"


class DeclarationError(ValueError):
    """The declaration cannot be taken; the text says why."""


class Declaration(Strict):
    """One figure that somebody declares for a site."""

    activity: Identifier
    """A product of a quota pack, `output_value`, `value_added`, `guests`, `floor_area_m2` or an
    input of a correction, e.g. `operating_hours_h`."""
    since: date = Field(alias="from")
    until: date | None = None
    """First day that no longer belongs to the period; none for floor area and for inputs."""
    value: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """0 only of inputs of corrections, where the formula takes it."""
    unit: str
    declared_by: Annotated[str, Field(max_length=200)]
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of the energy this product has a part in, where its meters do not tell it."""
    other_energy_kgce: Annotated[float, Field(allow_inf_nan=False)] | None = None
    meters: tuple[Identifier, ...] = ()
    note: Annotated[str, Field(max_length=2000)] = ""

    @field_validator("since", "until", "value", "share", "other_energy_kgce", mode="before")
    @classmethod
    def _meant(cls, told: object, info: ValidationInfo) -> object:
        day = info.field_name in {"since", "until"}
        if isinstance(told, bool) or (day and isinstance(told, int | float)):
            raise ValueError(f"{told!r} is no {'day' if day else 'figure'}")
        return date.fromisoformat(told) if day and isinstance(told, str) else told

    @field_validator("declared_by")
    @classmethod
    def _named(cls, name: str) -> str:
        if not name.strip():
            raise ValueError("say who declares it")
        return name.strip()

    @model_validator(mode="after")
    def _spanned(self) -> "Declaration":
        if self.value == 0 and (self.until or self.activity in (FLOOR_AREA, *BASES)):
            raise ValueError("nothing can be divided by a value of 0")
        if self.activity == FLOOR_AREA:
            if self.until is not None:
                raise ValueError("floor area holds until the next one: leave out `until`")
        elif self.until is None:
            if self.activity in BASES:
                raise ValueError(_NEEDED)
        elif self.until <= self.since:
            raise ValueError("`until` must be later than `from`")
        return self


def none() -> pl.DataFrame:
    """Return an ACTIVITY frame of no rows."""
    return pl.DataFrame(schema=ACTIVITY)


def standing(acts: pl.DataFrame, as_of: datetime | None = None) -> pl.DataFrame:
    """Return the declarations that count: the last of each period, unless it was withdrawn.

    Args:
        acts: ACTIVITY rows in order.
        as_of: leave out what was declared later.
    """
    known = acts if as_of is None else acts.filter(pl.col("declared_at") <= as_of)
    last = known.unique(_PERIOD, keep="last", maintain_order=True)
    return last.filter(pl.col("value").is_not_null())


def refused(one: Declaration, site: Site, packs: Packs, today: date) -> str | None:
    """Return why a declaration cannot be taken for a site, None if it can.

    Args:
        one: the declaration.
        site: whom it is for.
        packs: which products and units there are.
        today: in the site's time zone.
    """
    if one.since > today or (one.until is not None and one.until > today):
        return "the period is not over: only what has been made or served is declared"
    inputs = _inputs(packs)
    if problem := _unfit(one, packs, inputs):
        return problem
    own = one.activity not in (FLOOR_AREA, *BASES, *inputs)
    if not own and (one.meters or one.share):
        return f"{one.activity} is of the whole site: no meters, no share"
    known = {meter.id for meter in site.meters}
    if strange := sorted(set(one.meters) - known):
        return f"{site.id} has no meter {', '.join(strange)}"
    return None


def _inputs(packs: Packs) -> dict[str, str]:
    """Return the inputs of corrections and their units: of the formulas, and those packs name."""
    steps = (step for one in packs.tables for row in one.rows for step in row.corrections)
    return dict.fromkeys((step.input for step in steps if step.input), "1") | INPUTS


def _unfit(one: Declaration, packs: Packs, inputs: Mapping[str, str]) -> str | None:
    """Return what is wrong with the name, the unit or the span of a declaration."""
    known = inputs.get(one.activity)
    units = (known,) if known else _units(one.activity, packs)
    if not units:
        kinds = ", ".join((FLOOR_AREA, *BASES, *INPUTS))
        return f"{one.activity}: no product quota has such a row, and it is none of {kinds}"
    if one.unit not in units:
        return f"{one.activity} is counted in {' or '.join(units)}, not in {one.unit!r}"
    if one.value == 0 and one.activity in packs.positive_inputs():
        return f"{one.activity} of 0: its correction takes figures above 0"
    if known and one.until is not None:
        return f"{one.activity} holds until the next one: leave out `until`"
    lacks = one.until is None and not known and one.activity != FLOOR_AREA
    return _NEEDED if lacks else None


def _units(activity: str, packs: Packs) -> tuple[str, ...]:
    if activity == FLOOR_AREA:
        return ("m2",)
    if activity in BASES:
        return (BASES[activity],)
    quotas = (one for one in packs.tables if one.kind == "product_quota")
    rows = (row for one in quotas for row in one.rows_of(activity))
    return tuple(sorted({row.unit.partition("/")[2] for row in rows}))


def overlapping(one: Declaration, stand: pl.DataFrame) -> str | None:
    """Return what stands in the way: a declaration of another, overlapping period.

    Args:
        one: what is to be declared.
        stand: ACTIVITY rows of the same site and activity that stand.
    """
    if one.until is None:
        return None
    mine = stand.filter(
        (pl.col("start") < one.until)
        & (pl.col("until") > one.since)
        & ((pl.col("start") != one.since) | (pl.col("until") != one.until))
    )
    if mine.is_empty():
        return None
    other = mine.row(0, named=True)
    return (
        f"declaration {other['declaration_id']} of {one.activity} is for {other['start']} to "
        f"{other['until']}: revise that period, or withdraw it first"
    )


def with_activity(sites: Iterable[Site], stand: pl.DataFrame) -> tuple[Site, ...]:
    """Return the sites with what was declared beside and above what the settings say.

    Of the settings' production, what overlaps a declaration of the same product no longer counts;
    floor areas of the same day likewise.

    Args:
        sites: as the settings have them.
        stand: ACTIVITY rows that stand.
    """
    rows = stand.partition_by("site_id", as_dict=True)
    told = {str(key[0]): frame.rows(named=True) for key, frame in rows.items()}
    return tuple(_with(site, told[site.id]) if site.id in told else site for site in sites)


def _with(site: Site, rows: list[dict[str, object]]) -> Site:
    areas = {one.since: one for one in site.floor_area_m2}
    areas |= {one.since: one for one in map(_area, rows) if one is not None}
    made = [_made(row) for row in rows if row["until"] is not None]
    kept = [one for one in site.production if not any(_same(one, other) for other in made)]
    whole = sorted([*kept, *made], key=lambda one: (one.since, one.product))
    dated = tuple(areas[day] for day in sorted(areas))
    told = {"production": tuple(whole), "floor_area_m2": dated, "declared": _facts(site, rows)}
    return site.model_copy(update=told)


def _facts(site: Site, rows: Iterable[Mapping[str, object]]) -> dict[str, tuple[Input, ...]]:
    """Return the inputs of corrections; what is declared stands before the settings' of a day."""
    found = {name: {one.since: one for one in told} for name, told in site.declared.items()}
    for row in rows:
        if row["until"] is None and row["activity"] != FLOOR_AREA:
            one = Input.model_validate(_dated(row))
            found.setdefault(str(row["activity"]), {})[one.since] = one
    return {name: tuple(told[day] for day in sorted(told)) for name, told in found.items()}


def _same(one: Production, other: Production) -> bool:
    return one.product == other.product and one.since < other.until and other.since < one.until


def _area(row: Mapping[str, object]) -> Dated | None:
    return Dated.model_validate(_dated(row)) if row["activity"] == FLOOR_AREA else None


def _dated(row: Mapping[str, object]) -> dict[str, object]:
    return {"from": row["start"], "value": row["value"], "declared_by": row["declared_by"]}


def _made(row: Mapping[str, object]) -> Production:
    return Production.model_validate(
        {
            "from": row["start"],
            "until": row["until"],
            "product": row["activity"],
            "output": row["value"],
            "unit": row["unit"],
            "declared_by": row["declared_by"],
            "share": row["share"],
            "other_energy_kgce": row["other_energy_kgce"],
            "meters": str(row["meters"] or "").split(),
        }
    )
