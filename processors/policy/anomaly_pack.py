"""An anomaly pack: the thresholds of metering anomalies (计量异常), each with its provenance."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from collector.site import Identifier, Strict, Text
from processors.policy.header import Header, Provenance


class Kind(StrEnum):
    """What may look wrong at a meter; each is a clue (线索), never evidence."""

    REGISTER_DECREASE = "register_decrease"
    REGISTER_STOP = "register_stop"
    REGISTER_FLY = "register_fly"
    ENERGY_DEVIATION = "energy_deviation"
    LOSS_OF_VOLTAGE = "loss_of_voltage"
    UNDERVOLTAGE = "undervoltage"
    OVERVOLTAGE = "overvoltage"
    PHASE_FAILURE = "phase_failure"
    LOSS_OF_CURRENT = "loss_of_current"
    OVERCURRENT = "overcurrent"
    REVERSE_POWER = "reverse_power"
    OVERLOAD = "overload"
    VOLTAGE_UNBALANCE = "voltage_unbalance"
    CURRENT_UNBALANCE = "current_unbalance"
    SEVERE_CURRENT_UNBALANCE = "severe_current_unbalance"
    LOW_POWER_FACTOR = "low_power_factor"
    PARENT_CHILD_GAP = "parent_child_gap"
    SUDDEN_DROP = "sudden_drop"
    SUDDEN_RISE = "sudden_rise"
    RATIO_JUMP = "ct_ratio_jump"
    ZERO_USE = "zero_use"


LIMITS: dict[Kind, tuple[str, ...]] = {
    Kind.REGISTER_DECREASE: (),
    Kind.REGISTER_STOP: ("hours", "least_kwh"),
    Kind.REGISTER_FLY: ("share",),
    Kind.ENERGY_DEVIATION: ("share",),
    Kind.LOSS_OF_VOLTAGE: ("u_below", "i_above", "u_clear", "delay_s"),
    Kind.UNDERVOLTAGE: ("u_below", "u_least", "delay_s"),
    Kind.OVERVOLTAGE: ("u_above", "delay_s"),
    Kind.PHASE_FAILURE: ("u_below", "i_below", "delay_s"),
    Kind.LOSS_OF_CURRENT: ("i_below", "u_above", "i_clear", "delay_s"),
    Kind.OVERCURRENT: ("i_above", "delay_s"),
    Kind.REVERSE_POWER: ("p_reverse", "delay_s"),
    Kind.OVERLOAD: ("p_above", "delay_s"),
    Kind.VOLTAGE_UNBALANCE: ("rate", "u_least", "delay_s"),
    Kind.CURRENT_UNBALANCE: ("rate", "i_least", "delay_s"),
    Kind.SEVERE_CURRENT_UNBALANCE: ("rate", "i_least", "delay_s"),
    Kind.LOW_POWER_FACTOR: ("factor", "s_least", "delay_s"),
    Kind.PARENT_CHILD_GAP: ("share", "least_kwh"),
    Kind.SUDDEN_DROP: ("share",),
    Kind.SUDDEN_RISE: ("share",),
    Kind.RATIO_JUMP: ("share", "daily", "most", "clear"),
    Kind.ZERO_USE: ("days", "median_kwh"),
}
"""The limits each kind is judged by. Voltages are shares of the reference voltage Un, currents of
the basic current Ib or the greatest one Imax, powers of the basic power of a phase Pb = Un x Ib or
of the greatest one."""

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Threshold(Strict):
    """One number."""

    value: Amount | None
    """null: not known; the kind is then not looked for."""
    unit: str
    provenance: Provenance
    allowed: str = ""
    """The range within which a meter lets it be set."""
    source: str = ""
    note: str = ""


class AnomalyRule(Strict):
    """One kind and its limits."""

    kind: Kind
    name: Text
    document: str
    """Standard and number of the event; empty where there is none."""
    limits: Mapping[Identifier, Threshold] = {}
    note: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        wanted = LIMITS[self.kind]
        if set(self.limits) != set(wanted):
            raise ValueError(f"{self.kind.value}: limits must be: {', '.join(wanted) or 'none'}")
        return self


class AnomalyPack(Header):
    """One edition of the thresholds."""

    kind: Literal["metering_anomaly"]
    rules: Annotated[tuple[AnomalyRule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _once(self) -> Self:
        kinds = [one.kind for one in self.rules]
        if len(kinds) != len(set(kinds)):
            raise ValueError("each kind may have one rule")
        return self
