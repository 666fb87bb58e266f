"""FINDING: what an overrun comes to when it is computed again from the raw readings."""

import math
from collections.abc import Mapping
from enum import StrEnum

from collector.site import Strict


class Outcome(StrEnum):
    """What the readings in the package say."""

    OVERRUN = "overrun"
    """The condition of the rule holds."""
    WITHIN = "within"
    """It does not hold (any more): later corrections lifted the overrun."""
    UNDECIDED = "undecided"
    """Not known; `reasons` says why."""


class Doubt(StrEnum):
    """Why an overrun is a clue (线索) and not evidence (证据)."""

    METER_NOT_VERIFIED = "meter_not_verified"
    """A main meter has no verification certificate valid on the day."""
    COVERAGE_BELOW_MINIMUM = "coverage_below_minimum"
    MUCH_ESTIMATED = "much_estimated"
    EDITED = "edited"
    """A person stated the energy of a block; see edits.csv."""
    LIMIT_NOT_DECLARED = "limit_not_declared"
    """Nobody is on record as having declared the contract demand, the quota or the cap."""
    REGISTER_WORDS_DISAGREE = "register_words_disagree"
    """A kept register word decodes to another value than the reading made of it."""
    DISPUTED = "disputed"
    """The enterprise disputes the alert and nobody has settled it."""
    DISPUTE_ACCEPTED = "dispute_accepted"
    ANOMALY = "metering_anomaly"
    """What looks wrong at a meter is a reason to go and look."""
    NOT_IN_READINGS = "not_in_readings"
    """The kind of alert (a projection, a silent meter) cannot be computed from closed blocks."""
    NOTHING_COMPUTED = "nothing_computed"
    """The readings do not give the figures that the rule compares."""


class Finding(Strict):
    """The result of a recomputation; stored in the package and computed again by its reader."""

    outcome: Outcome
    standing: str | None
    """`evidence` or `clue` for an overrun, `clue` for a metering anomaly, else null."""
    reasons: tuple[str, ...] = ()
    row: Mapping[str, str | float | bool | None] = {}
    """The figures the rule compares, computed again; instants as ISO 8601."""


def same(one: Finding, other: Finding, tolerance: float = 1e-6) -> list[str]:
    """Return how two findings differ, one sentence a difference.

    Floats may differ by `tolerance` (absolute and relative): another machine may add up in
    another order.
    """
    told = [
        f"{name}: the package says {left}, the readings give {right}"
        for name, left, right in (
            ("outcome", one.outcome, other.outcome),
            ("standing", one.standing, other.standing),
            ("reasons", ", ".join(one.reasons) or "none", ", ".join(other.reasons) or "none"),
        )
        if left != right
    ]
    for name in sorted({*one.row, *other.row}):
        left, right = one.row.get(name), other.row.get(name)
        if not _close(left, right, tolerance):
            told.append(f"{name}: the package says {left}, the readings give {right}")
    return told


def _close(left: object, right: object, tolerance: float) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance)
    return left == right
