"""Counters of output: what a pulse counter or a register of a line's controller counts."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from collector.dated import Begins, ordered
from collector.strict import Identifier, Strict

BASES = {"output_value": "万元", "value_added": "万元", "guests": "guest"}
"""Whole-site denominators of guides that are not per floor area, and the unit each is declared in:
output value (产值), value added (工业增加值), guests (接待人次)."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Counted(Begins):
    """What one count stands for, from a day on: pieces of 2.5 kg are 0.0025 t each."""

    product: Identifier
    """`id` of a row of a product quota pack, or a name of `BASES`."""
    per_count: Positive
    """Output of one count, in `unit`; the scale of the device itself is its profile's."""
    unit: str
    declared_by: str
    """Who stands for the factor; shown in verdicts and evidence with the meter's name."""
    meters: tuple[Identifier, ...] = ()
    """Meters that measure this product's energy; empty: all main meters of the site."""


class Counting(Strict):
    """A counter's register, and what it counts."""

    of: Annotated[tuple[Counted, ...], Field(min_length=1), AfterValidator(ordered)]
    """Oldest first; each holds until the next one's `from`."""
    max_per_hour: Positive | None = None
    """Most counts in an hour: a reading that asks for more is left out, as a spike of a meter."""
    modulus: Positive | None = None
    """Count at which the register starts again at 0; without `max_per_hour` nobody could tell that
    from a reset, so both are given. Else a fall is a reset, and what was counted across it is not
    known."""

    @model_validator(mode="after")
    def _bounded(self) -> "Counting":
        if self.modulus is not None and self.max_per_hour is None:
            raise ValueError("`modulus` needs `max_per_hour`: else a reset looks like a rollover")
        return self
