"""An anomaly pack: the thresholds of metering anomalies (计量异常), each with its provenance."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from collector.anomaly_limits import LIMITS, Amount, Kind
from collector.site import Identifier, Strict, Text
from processors.policy.header import Header, Provenance


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
