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
    """How late data usually are; for later ones a running system goes back and looks again."""
    look_again_days: Annotated[int, Field(ge=1, le=400)] = 35
    """Days a running system can go back for late data."""
    keep_days: Annotated[int, Field(ge=62, le=400)] = 100
    """Days for which a running system knows ended anomalies; at least two months."""
