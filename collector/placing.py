"""Where a site stands among others: park, labels; and figures made of its meters."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, field_validator

from collector.formula import parse
from collector.strict import Identifier, Strict, Text


class VirtualMeter(Strict):
    """A figure made of meters of the site; shown beside them, never added into a sum."""

    id: Identifier
    """Unlike any meter's of the city."""
    name: Text | None = None
    formula: str
    """Signed sum of meters of the site, e.g. `main - sub1 - 0.5 * sub2`."""

    @field_validator("formula")
    @classmethod
    def _readable(cls, formula: str) -> str:
        parse(formula)
        return formula


class Placed(Strict):
    """The part of a site that sums look at."""

    park: str = ""
    """Park or street (园区/街道); empty: in none."""
    labels: Mapping[Identifier, Annotated[str, Field(min_length=1)]] = {}
    """Any other grouping, e.g. `substation: Beihuan`; `query sums --group label:substation`."""
    virtual: tuple[VirtualMeter, ...] = ()
    """Figures made of the site's meters."""
    no_export: bool = False
    """Nothing can flow back to the grid (防逆流): with a source or storage behind its main meters
    and neither this nor an `export` meter, the site's consumption is not known."""
