"""A power-factor pack: the adjustment (力率调整) by standard and monthly power factor."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from collector.site import Strict
from processors.policy.header import Header, Provenance


class Step(Strict):
    """One line: the adjustment at a power factor of two decimals."""

    pf: Annotated[float, Field(ge=0, le=1)]
    percent: float
    """Of basic and energy charge, funds excluded; negative is a reduction."""
    provenance: Provenance
    note: str = ""

    @property
    def hundredths(self) -> int:
        """The power factor in hundredths."""
        return round(self.pf * 100)


class Standard(Strict):
    """The lines of one standard, from 1.00 down without a gap."""

    who: str
    rows: Annotated[tuple[Step, ...], Field(min_length=1)]
    below_percent: float
    """Added for each 0.01 below the last line."""
    below_provenance: Provenance
    note: str = ""

    @model_validator(mode="after")
    def _unbroken(self) -> Self:
        held = [row.hundredths for row in self.rows]
        if held != list(range(100, 100 - len(held), -1)):
            raise ValueError("rows must run from pf 1.00 down in steps of 0.01")
        return self


class PowerFactorPack(Header):
    """One edition of the adjustment."""

    kind: Literal["power_factor"]
    standards: Mapping[Literal["0.90", "0.85", "0.80"], Standard]
