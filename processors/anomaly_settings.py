"""Settings of metering anomalies: the key `processors.anomalies`."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, field_validator

from collector.strict import Identifier, Strict
from processors.policy.anomaly_pack import LIMITS, Amount, Kind


class AnomalySettings(Strict):
    """Which metering anomalies are looked for, and how often."""

    pack: Identifier = "metering-anomaly"
    """Id of the anomaly pack in the policy folder; without it nothing is looked for."""
    off: tuple[Kind, ...] = ()
    """Kinds that are not looked for."""
    limits: Mapping[Kind, Mapping[str, Amount]] = {}
    """Limits that differ from the pack's, by kind and name; their provenance is `settings`."""
    every_s: Annotated[float, Field(ge=0)] = 3600.0
    """Site seconds between looks of a running system; 0: it does not look by itself."""
    look_back_hours: Annotated[float, Field(gt=0, le=168)] = 6.0
    """Readings a look of a running system covers; longer than `every_s` and any delay of data."""

    @field_validator("limits")
    @classmethod
    def _known(cls, limits: Mapping[Kind, Mapping[str, float]]) -> Mapping[Kind, object]:
        for kind, told in limits.items():
            if unknown := sorted(set(told) - set(LIMITS[kind])):
                allowed = ", ".join(LIMITS[kind]) or "nothing: it has no limit"
                raise ValueError(f"{kind.value}: no limit {unknown[0]!r}; it has {allowed}")
        return limits
