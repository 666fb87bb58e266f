"""Validation rules of readings and intervals by name: settings < site < meter; any can be off.

Every field may be left out: what a meter does not say its site says, then the settings, then the
defaults here. The limits are this product's own choices unless a source is named.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from collector.strict import Strict

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Rule(Strict):
    """One rule; `enabled: false` switches it off."""

    enabled: bool | None = None


class Share(Rule):
    """A bound as a multiple of the meter's rated power."""

    share: Positive | None = None


class Amount(Rule):
    """A least energy, kWh."""

    min_kwh: Positive | None = None


class PhaseSum(Rule):
    """The phase powers add up to the total within `share` of it, or `floor_kw`."""

    share: Positive | None = None
    floor_kw: Positive | None = None


class EnergyPower(Rule):
    """The block's energy agrees with its mean power within `share`, or `floor_kwh`."""

    share: Positive | None = None
    floor_kwh: Positive | None = None
    min_readings: Annotated[int, Field(ge=1, le=900)] | None = None
    """Fewest power readings in a block whose mean is worth a comparison."""


class ClockOffset(Rule):
    """The meter's clock is right within `max_s` seconds."""

    max_s: Positive | None = None


class SumCheck(Rule):
    """A day's intervals add up to its register difference within `tolerance_kwh`."""

    tolerance_kwh: Positive | None = None


class Estimation(Rule):
    """Energy of gaps; `enabled: false`: always spread evenly."""

    linear_hours: Annotated[float, Field(gt=0, le=168)] | None = None
    """A gap up to this long is spread evenly; a longer one by the meter's like days."""
    prolonged_days: Positive | None = None
    """A gap longer than this is flagged `prolonged_estimate`."""
    longest_days: Annotated[float, Field(gt=0, le=400)] | None = None
    """A gap longer than this is not spread: its blocks are missing, flagged `gap_not_spread`."""


class Validation(Strict):
    """The rules by name; the docstring of each says what it finds and what becomes of it."""

    range: Share | None = None
    """A power reading beyond `share` x rated power: flag `range`."""
    spike: Share | None = None
    """A register that gains more than `share` x rated power x time (and a coarse register's last
    digit): the reading is left out, or the step not stated; flag `spike_rejected`."""
    decrease: Rule | None = None
    """A register that falls: a dip is left out, else a reset is flagged. Off: neither; energy
    across a fall is not stated all the same, since energy is never negative."""
    stuck: Amount | None = None
    """The register stands still through a block in which mean power says at least `min_kwh`."""
    phase_sum: PhaseSum | None = None
    energy_power: EnergyPower | None = None
    clock_offset: ClockOffset | None = None
    sum_check: SumCheck | None = None
    estimation: Estimation | None = None


DEFAULTS = Validation(
    range=Share(enabled=True, share=1.2),
    spike=Share(enabled=True, share=1.2),
    decrease=Rule(enabled=True),
    stuck=Amount(enabled=True, min_kwh=1.0),
    phase_sum=PhaseSum(enabled=True, share=0.05, floor_kw=0.5),
    energy_power=EnergyPower(enabled=True, share=0.2, floor_kwh=1.0, min_readings=5),
    # 5 minutes: recalled as a common limit of clock drift, unverified (DL/T 698.45 event 3105).
    clock_offset=ClockOffset(enabled=True, max_s=300.0),
    sum_check=SumCheck(enabled=True, tolerance_kwh=1e-6),
    estimation=Estimation(
        enabled=True, linear_hours=2.0, prolonged_days=7.0, longest_days=400.0
    ),
)  # fmt: skip
"""What holds where nobody says otherwise."""


def resolved(*layers: Validation) -> Validation:
    """Return the rules with every field set: the last layer that says something wins."""
    return over(DEFAULTS, *layers)


def over(*layers: Validation) -> Validation:
    """Return what the layers say together, the last one first."""
    whole: dict[str, dict[str, object]] = {}
    for layer in layers:
        for name, told in layer.model_dump(exclude_none=True).items():
            whole.setdefault(name, {}).update(told)
    return Validation.model_validate(whole)


def limit(rules: Validation, rule: str, field: str) -> float | None:
    """Return one limit of resolved rules, None if the rule is off."""
    told: Mapping[str, float] = getattr(rules, rule).model_dump()
    return told[field] if told["enabled"] else None
