"""Settings of the tracker of targets and of the carbon ledger."""

from typing import Annotated

from pydantic import AfterValidator, Field

from collector.dated import Begins, ordered
from collector.site import Identifier, Strict

Share = Annotated[float, Field(ge=0, le=1)]


class TargetSettings(Strict):
    """Which targets are tracked."""

    pack: Identifier | None = None
    """Id of a target pack; null: none is tracked."""
    base_year: int | None = None
    """Try the pack's percentages from this year on: illustrative, never law. Null: its own."""
    min_site_share: Share = 0.95
    """Least share of a group's sites that must be known in both years."""


class FactorChoice(Begins):
    """Which emission factor holds from a day on: the bureau's choice, by its scheme's rule."""

    scope: Annotated[str, Field(min_length=1)]
    """Area or scheme as the factor pack writes it, e.g. `广东`."""
    year: int | None = None
    """Use this year's factor for every month; null: that of the month's own year, or none."""
    declared_by: str = ""


class CarbonSettings(Strict):
    """The carbon ledger; location-based, purchased electricity alone."""

    pack: Identifier = "emission-factors"
    """Id of a factor pack."""
    factors: Annotated[tuple[FactorChoice, ...], AfterValidator(ordered)] = ()
    """Choices, oldest first; months before the first have no factor."""
