"""Metering anomalies (计量异常) by name, and the limits of each: settings < site < meter."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator

from collector.strict import Strict


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
    PHASE_LOSS_SUSPECT = "phase_loss_suspect"
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
    Kind.PHASE_LOSS_SUSPECT: ("hours",),
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


class AnomalyLimits(Strict):
    """What differs here: what a meter does not say its site says, then the settings, the pack."""

    off: tuple[Kind, ...] | None = None
    """Kinds that are not looked for; None: as the site, or the settings, say."""
    limits: Mapping[Kind, Mapping[str, Amount]] = {}
    """Limits that differ from the pack's, by kind and name; their provenance is `settings`."""

    @field_validator("limits")
    @classmethod
    def _known(cls, limits: Mapping[Kind, Mapping[str, float]]) -> Mapping[Kind, object]:
        for kind, told in limits.items():
            if unknown := sorted(set(told) - set(LIMITS[kind])):
                allowed = ", ".join(LIMITS[kind]) or "nothing: it has no limit"
                raise ValueError(f"{kind.value}: no limit {unknown[0]!r}; it has {allowed}")
        return limits


def over(*layers: AnomalyLimits) -> AnomalyLimits:
    """Return what the layers say together, the last one first."""
    off: tuple[Kind, ...] | None = None
    limits: dict[Kind, dict[str, float]] = {}
    for layer in layers:
        off = off if layer.off is None else layer.off
        for kind, told in layer.limits.items():
            limits.setdefault(kind, {}).update(told)
    return AnomalyLimits(off=off, limits=limits)
