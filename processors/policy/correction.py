"""Corrections a guide or quota prescribes: a fixed dict of named formulas, so that packs stay data.

A correction changes the measured figure (buildings: "measured value is multiplied, then compared")
or the threshold (products). Its inputs are facts a site declares; software never guesses one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """What a correction changes."""

    MEASURED = "measured"
    THRESHOLD = "threshold"


class MissingInputError(LookupError):
    """The site has not declared an input of a correction; the argument is the input's name."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a formula may look at beside the figure it corrects."""

    declared: Mapping[str, float]
    """The site's declared facts by name, in the unit the name ends with."""
    params: Mapping[str, float]
    """Constants printed in the standard, from the pack."""
    level: str
    """Role of the level a threshold belongs to: limit, access, advanced or grade."""
    name: str = ""
    """Declared fact that `reviewed_factor` and `reviewed_addition` read."""

    def of(self, name: str) -> float:
        """Return a declared fact.

        Raises:
            MissingInputError: it was not declared, or as a 0 that no formula takes.
        """
        if name not in self.declared:
            raise MissingInputError(name)
        return self.positive(name) if name in POSITIVE else self.declared[name]

    def positive(self, name: str) -> float:
        """Return a declared fact above 0.

        Raises:
            MissingInputError: it was not declared, or as 0.
        """
        told = self.declared.get(name, 0.0)
        if told <= 0.0:
            raise MissingInputError(name)
        return told


@dataclass(frozen=True, slots=True)
class Formula:
    """One named formula."""

    side: Side
    text: str
    """As an inspector reads it; E measured figure, L threshold."""
    source: str
    apply: Callable[[float, Given], float]
    params: tuple[str, ...] = ()
    """Constants the pack must give."""
    named: bool = False
    """Whether the pack must name the declared fact (`input`)."""


INPUTS = {
    "altitude_m": "m",
    "site_pressure_pa": "Pa",
    "clinker_ratio_pct": "%",
    "ore_grade_pct": "%",
    "rare_earth_ore_pct": "%",
    "vanadium_titanium_ore_pct": "%",
    "laterite_ore_pct": "%",
    "operating_hours_h": "h",
    "area_per_person_m2": "m2",
    "occupancy_pct": "%",
    "guest_room_share_pct": "%",
}
"""Facts the formulas read, and the unit each is declared in. What a pack names itself for
`reviewed_factor` and `reviewed_addition` is a bare number."""

POSITIVE = frozenset(
    ("site_pressure_pa", "ore_grade_pct", "operating_hours_h", "area_per_person_m2",
     "occupancy_pct")
)  # fmt: skip
"""Those of INPUTS of which 0 is outside the formula: it divides by them, or they are of something
that would not be there. Shares, ratios and altitudes may be 0; so may what a pack adds."""

FACTOR = "reviewed_factor"
"""The formula whose named input multiplies a limit: a limit of 0 is none."""

_GBT_51161 = "GB/T 51161-2016, recalled: check against the standard"


def _altitude(limit: float, given: Given) -> float:
    if given.of("altitude_m") <= 1500.0:
        return limit
    return limit * (1.179 - 0.211 * given.of("site_pressure_pa") / 101_325.0)


def _special_ore(limit: float, given: Given) -> float:
    return (
        limit
        + 0.15 * given.of("rare_earth_ore_pct")
        + 0.20 * given.of("vanadium_titanium_ore_pct")
        + 1.20 * given.of("laterite_ore_pct")
    )


def _as_printed(_: float, given: Given) -> float:
    raise MissingInputError(given.name or "correction_by_hand")


def _share(fixed: float, ratio: float) -> float:
    return fixed + (1.0 - fixed) * ratio


FORMULAS: dict[str, Formula] = {
    "office_hours": Formula(
        Side.MEASURED,
        "E × (0.3 + 0.7 × 2500 / operating_hours_h)",
        _GBT_51161,
        lambda e, given: e * _share(0.3, 2500.0 / given.of("operating_hours_h")),
    ),
    "office_density": Formula(
        Side.MEASURED,
        "E × (0.7 + 0.3 × area_per_person_m2 / 10)",
        _GBT_51161,
        lambda e, given: e * _share(0.7, given.of("area_per_person_m2") / 10.0),
    ),
    "hotel_occupancy": Formula(
        Side.MEASURED,
        "E × (0.4 + 0.6 × 50 / occupancy_pct)",
        _GBT_51161,
        lambda e, given: e * _share(0.4, 50.0 / given.of("occupancy_pct")),
    ),
    "hotel_guest_rooms": Formula(
        Side.MEASURED,
        "E × (0.5 + 0.5 × guest_room_share_pct / 70)",
        _GBT_51161,
        lambda e, given: e * _share(0.5, given.of("guest_room_share_pct") / 70.0),
    ),
    "mall_hours": Formula(
        Side.MEASURED,
        "E × (0.3 + 0.7 × base_hours_h / operating_hours_h)",
        _GBT_51161,
        lambda e, given: (
            e * _share(0.3, given.params["base_hours_h"] / given.of("operating_hours_h"))
        ),
        params=("base_hours_h",),
    ),
    "clinker_ratio": Formula(
        Side.THRESHOLD,
        "L + k × (clinker_ratio_pct - 75), k by level",
        "GB 16780-2021 表1",
        lambda limit, given: (
            limit + given.params[given.level] * (given.of("clinker_ratio_pct") - 75.0)
        ),
        params=("advanced", "access", "limit"),
    ),
    "altitude": Formula(
        Side.THRESHOLD,
        "altitude_m above 1500: L × (1.179 - 0.211 × site_pressure_pa / 101325)",
        "GB 16780-2021",
        _altitude,
    ),
    "ore_grade": Formula(
        Side.THRESHOLD,
        "L - coefficient × (ore_grade_pct - base_pct)",
        "GB 21341-2022 表1",
        lambda limit, given: (
            limit
            - given.params["coefficient"] * (given.of("ore_grade_pct") - given.params["base_pct"])
        ),
        params=("coefficient", "base_pct"),
    ),
    "special_ore": Formula(
        Side.THRESHOLD,
        "L + 0.15 × rare_earth_ore_pct + 0.2 × vanadium_titanium_ore_pct + 1.2 × laterite_ore_pct",
        "GB 21256-2025",
        _special_ore,
    ),
    FACTOR: Formula(
        Side.THRESHOLD,
        "L × factor",
        "the standard's table, read and reviewed by a person",
        lambda limit, given: limit * given.positive(given.name),
        named=True,
    ),
    "reviewed_addition": Formula(
        Side.THRESHOLD,
        "L + addition",
        "the standard's table, read and reviewed by a person",
        lambda limit, given: limit + given.of(given.name),
        named=True,
    ),
    "by_hand": Formula(
        Side.THRESHOLD,
        "printed in the standard; not computed here",
        "the standard",
        _as_printed,
    ),
}
"""Every correction a pack may name. `by_hand` marks one whose wording leaves room for reading: the
figure stays undecided until a person judges it."""
