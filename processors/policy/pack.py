"""A policy pack: one edition of a guide, product quota, surcharge or factor table, as data.

Each figure says where it comes from; null means "not known" or "not printed" and is never filled.
"""

from collections.abc import Mapping
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from collector.site import BASES, Identifier, Strict, Text
from processors.policy.anomaly_pack import AnomalyPack
from processors.policy.correction import FORMULAS
from processors.policy.header import Coal, Header, Provenance
from processors.policy.power_factor_pack import PowerFactorPack
from processors.policy.target_pack import TargetPack
from processors.policy.tariff_pack import TariffPack


class Role(StrEnum):
    """What a level decides."""

    LIMIT = "limit"
    """限定值/约束值: above it is an overrun."""
    ACCESS = "access"
    """准入值: the overrun line of new and expanded plants."""
    ADVANCED = "advanced"
    """先进值/引导值: at or below it is advanced."""
    GRADE = "grade"
    """A grade between, for display."""


class LevelName(Strict):
    """One column of the pack's table."""

    id: Identifier
    role: Role
    name: Text


class Figure(Strict):
    """One number of the table: an inclusive upper bound."""

    value: float | None
    """In the row's unit; may be negative (net recovery); null: the document prints none."""
    provenance: Provenance
    note: str = ""


class Correction(Strict):
    """One step from the printed to the applicable figure; steps apply in the order given."""

    formula: str
    """A name of `processors.policy.correction.FORMULAS`."""
    params: Mapping[str, float] = {}
    input: str = ""
    """The declared fact, for the formulas that take any."""
    levels: tuple[Identifier, ...] = ()
    """Levels it applies to; empty: all."""
    when_missing: Literal["none", "undecided"] = "undecided"
    """The site declares no input: judge uncorrected (an overrun is then a clue), or not at all."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        formula = FORMULAS.get(self.formula)
        if formula is None:
            raise ValueError("formula must be one of " + ", ".join(sorted(FORMULAS)))
        if set(self.params) != set(formula.params):
            raise ValueError(f"params must be exactly: {', '.join(formula.params) or 'none'}")
        if formula.named and not self.input:
            raise ValueError(f"{self.formula} needs `input`, the name of a declared fact")
        return self


Metric = Literal[
    "electricity",
    "ac_electricity",
    "comprehensive_ac_electricity",
    "smelting_electricity",
    "energy",
    "comprehensive_energy",
    "coal",
    "net_coal_rate",
    "heat_coal_rate",
]
"""What the indicator counts. `*electricity` is decided by meters; `*energy` needs all carriers;
the coal metrics cannot be decided by electricity meters."""

Unit = Literal[
    "kWh/(m2.a)", "kgce/(m2.a)",
    "kWh/t", "kWh/m2", "kgce/t", "kgce/m2", "kgce/重箱", "gce/kWh", "kgce/GJ",
    "kWh/万元", "kgce/万元", "tce/万元", "kWh/guest", "kgce/guest",
]  # fmt: skip
"""Energy per denominator; `m2.a` is floor area and year, a bare `m2` is product, 万元 output
value or value added, guest a guest received."""


class Row(Strict):
    """One line of the table: one indicator of one use or product."""

    id: Identifier
    """Unique in the pack; a site's `use` or `industry`, or a product it makes, names it."""
    name: Text
    product: Identifier = ""
    """Product, use or industry that has several indicators; empty: the row's own id."""
    metric: Metric = "electricity"
    unit: Unit
    basis: Literal["", "output_value", "value_added", "guests"] = ""
    """Of a guide that is not per floor area: what its figures are divided by."""
    levels: Mapping[Identifier, Figure]
    """Figure by level id; a level absent here is null. A bare number takes the row's provenance."""
    provenance: Provenance
    table: str = ""
    """Table of the document; without table and page a figure cannot be checked, so no evidence."""
    page: Annotated[int, Field(gt=0)] | None = None
    corrections: tuple[Correction, ...] = ()
    correction_text: str = ""
    """The correction as the document (or its transcription) words it."""
    note: str = ""

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, data: object) -> object:
        if not isinstance(data, dict) or not isinstance(data.get("levels"), dict):
            return data
        provenance = data.get("provenance")
        levels = {
            key: one if isinstance(one, dict | Figure) else {"value": one, "provenance": provenance}
            for key, one in data["levels"].items()
        }
        return data | {"levels": levels}

    @property
    def in_coal(self) -> bool:
        """Whether the figure counts standard coal rather than electricity."""
        return self.unit.startswith(("kgce", "gce", "tce"))

    @property
    def denominator(self) -> str:
        """What the figure is divided by: floor_area, product, or a name of BASES."""
        return self.basis or ("floor_area" if "m2.a" in self.unit else "product")


class TablePack(Header):
    """A guide (per floor area) or a product quota (per output)."""

    kind: Literal["guide", "product_quota"]
    coal: Coal | None = None
    levels: Annotated[tuple[LevelName, ...], Field(min_length=1)]
    rows: Annotated[tuple[Row, ...], Field(min_length=1)]
    beyond: Text | None = None
    """Name of the grade of what is above every level, where the document names one."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        ids = [row.id for row in self.rows]
        twice = sorted({one for one in ids if ids.count(one) > 1})
        if twice:
            raise ValueError(f"row ids must be unique; given twice: {', '.join(twice)}")
        known = {level.id for level in self.levels}
        if self.level(Role.LIMIT) is None:
            raise ValueError("one level must have the role limit, the overrun line")
        for row in self.rows:
            unknown = sorted(set(row.levels) - known)
            if unknown:
                raise ValueError(
                    f"row {row.id}: unknown level {unknown[0]}; known: {sorted(known)}"
                )
            if row.in_coal and self.coal is None:
                raise ValueError(f"row {row.id} is in coal: the pack must state its own `coal`")
            if not _belongs(row, self.kind):
                raise ValueError(f"row {row.id}: unit {row.unit} does not belong in a {self.kind}")
        return self

    def level(self, role: Role) -> LevelName | None:
        """Return the level of a role; None if the document has none."""
        return next((one for one in self.levels if one.role is role), None)

    def row(self, row_id: str) -> Row | None:
        """Return a row by id."""
        return next((one for one in self.rows if one.id == row_id), None)

    def rows_of(self, product: str) -> tuple[Row, ...]:
        """Return all indicators of a product, or the one row that bears this id."""
        rows = tuple(one for one in self.rows if one.product == product)
        own = self.row(product)
        return rows if own is None or own in rows else (own, *rows)


def _belongs(row: Row, kind: str) -> bool:
    """Whether a row is of a guide (per floor area or its basis) or of a quota, as its pack is."""
    if row.basis:
        return kind == "guide" and row.unit.partition("/")[2] == BASES[row.basis]
    return ("m2.a" in row.unit) == (kind == "guide")


class Tier(Strict):
    """A band of the overrun, in shares of the quota; its price is paid inside the band only."""

    ratio_gt: Annotated[float, Field(ge=0)]
    ratio_le: float | None = None
    """null: no upper end."""
    add_yuan_per_kwh: Annotated[float, Field(ge=0)] | None
    """null: not published; what falls into this band then has no amount."""
    provenance: Provenance
    note: str = ""


class SurchargePack(Header):
    """Marginal tiers over a monthly quota. The outcome is a simulation (测算), no bill."""

    kind: Literal["surcharge"]
    tiers: Annotated[tuple[Tier, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _adjoining(self) -> Self:
        if self.tiers[0].ratio_gt != 0.0:
            raise ValueError("the first tier must begin at ratio_gt 0")
        for below, above in pairwise(self.tiers):
            if below.ratio_le != above.ratio_gt or below.ratio_le <= below.ratio_gt:
                raise ValueError("tiers must adjoin: each ratio_gt is the ratio_le before it")
        return self


class Factor(Strict):
    """One conversion factor."""

    carrier: str
    scope: str = ""
    """Area or scheme the value is for; empty: anywhere."""
    value: float | None
    unit: str
    basis: Literal["calorific", "equivalent", ""] = ""
    year: int | None = None
    provenance: Provenance
    source: str = ""
    note: str = ""


class FactorPack(Header):
    """Standard-coal or emission factors; the list may hold several for one carrier, by basis."""

    kind: Literal["factors"]
    factors: Annotated[tuple[Factor, ...], Field(min_length=1)]


AnyPack = (
    TablePack | SurchargePack | FactorPack | TariffPack | PowerFactorPack | TargetPack | AnomalyPack
)

Pack = Annotated[AnyPack, Field(discriminator="kind")]
