"""A target pack: by how much whole sectors shall use less, between two years."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from collector.site import Identifier, Kind, Strict, Text
from processors.policy.header import Header, Provenance


class SectorTarget(Strict):
    """The target of one sector."""

    id: Identifier
    name: Text
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)]
    """Kinds of sites that belong to it."""
    change: Annotated[float, Field(gt=-1, lt=0)]
    """Relative change from the base year to the target year: -0.07 is 7 % less."""
    provenance: Provenance
    source: Annotated[str, Field(min_length=1)]
    note: str = ""


class TargetPack(Header):
    """Targets of sectors, on a straight path from the base year to the target year."""

    kind: Literal["targets"]
    measure: Literal["electricity", "intensity"]
    """What shall change: electricity used (mean power), or electricity a denominator."""
    measure_provenance: Provenance
    base_year: int
    target_year: int
    years_provenance: Provenance
    sectors: Annotated[tuple[SectorTarget, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.target_year <= self.base_year:
            raise ValueError("`target_year` must be later than `base_year`")
        kinds = [kind for one in self.sectors for kind in one.kinds]
        if len(set(kinds)) < len(kinds):
            raise ValueError("each kind of site belongs to one sector")
        return self
