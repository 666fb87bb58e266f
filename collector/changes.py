"""Dated changes of a meter: from an instant on its register is another one."""

from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from collector.strict import Strict

Kwh = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Ratio = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Change(Strict):
    """The meter was changed, or a ratio that its readings are multiplied by, at one instant.

    The energy up to the instant is the old register's, after it the new one's. Only declared
    registers bridge the time between the last reading before and the first one after; without them
    the energy of that time is not stated.
    """

    at: AwareDatetime
    """The instant, with its offset from UTC; a reading of that very instant is the new register's.
    Times are kept to the microsecond."""
    kind: Literal["meter", "ratio"] = "meter"
    final_kwh: Kwh | None = None
    """What the old register showed at last, primary kWh (for a change of ratio: the register times
    the old ratios); None: nobody read it."""
    start_kwh: Kwh | None = None
    """What the new register began with, primary kWh (for a change of ratio: the register times the
    new ratios); None: nobody read it."""
    ct_ratio: Ratio | None = None
    pt_ratio: Ratio | None = None
    """The ratios in force from the instant on, where they change with it: readers that multiply
    (Modbus, DL/T 645, MQTT `side: secondary`) use them. None: as before."""
    declared_by: str = ""
    """Who declared it; shown in the evidence."""

    @model_validator(mode="after")
    def _what(self) -> "Change":
        if self.kind == "ratio" and self.ct_ratio is None and self.pt_ratio is None:
            raise ValueError("a change of ratio needs the new `ct_ratio` or `pt_ratio`")
        declared = self.final_kwh is not None or self.start_kwh is not None
        if declared and not self.declared_by:
            raise ValueError("declared registers need `declared_by`: who read them")
        return self


def _ordered(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    instants = [one.at for one in changes]
    if instants != sorted(set(instants)):
        raise ValueError("changes must have distinct instants `at` in ascending order")
    return changes


Changes = Annotated[tuple[Change, ...], AfterValidator(_ordered)]
