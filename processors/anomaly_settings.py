"""Settings of metering anomalies: the key `processors.anomalies`."""

from typing import Annotated

from pydantic import Field

from collector.anomaly_limits import AnomalyLimits
from collector.strict import Identifier


class AnomalySettings(AnomalyLimits):
    """Which metering anomalies are looked for, and how often; a site and a meter may differ."""

    pack: Identifier = "metering-anomaly"
    """Id of the anomaly pack in the policy folder; without it nothing is looked for."""
    every_s: Annotated[float, Field(ge=0)] = 3600.0
    """Site seconds between looks of a running system; 0: it does not look by itself."""
    look_back_hours: Annotated[float, Field(gt=0, le=168)] = 6.0
    """Readings a look of a running system covers; longer than `every_s` and any delay of data."""
