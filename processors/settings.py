"""Settings of the processors: the key `processors:` of demandwatch.yaml."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from collector.site import Identifier, Kind, Strict

Share = Annotated[float, Field(ge=0, le=1)]


class VerdictSettings(Strict):
    """When a figure is good enough to be judged."""

    guides: Mapping[Kind, Identifier] = {}
    """Guide of each kind of site that names none itself; no default: a bureau chooses its guide."""
    min_coverage: Share = 0.95
    """Least share of the period that measurement must support; below, a verdict is undecided."""
    min_period_days: Annotated[int, Field(ge=1, le=366)] = 365
    """Shortest period (days) a yearly guide may judge. 365: seasons are not extrapolated; a trial
    may set 28, and its overruns are clues."""
    max_estimated_share: Share = 0.05
    """Greatest share of estimated energy (0..1) under which an overrun may be evidence."""


class QuotaSettings(Strict):
    """Monthly quota accounts."""

    lookback_days: Annotated[int, Field(ge=7, le=366)] = 28
    """Days of history the projection rests on; four weeks hold each weekday four times."""
    surcharge: Identifier | None = None
    """Id of the surcharge pack for the simulation (测算); null: none is shown."""


class ProcessorsSettings(Strict):
    """What the understanding stage may be told."""

    policy_folder: str = "policy"
    """Folder of policy packs, relative to the file that names it."""
    horizon_hours: Annotated[float, Field(gt=0, le=48)] = 2.0
    """How long (h) a late reading of a meter is still taken in memory; older ones make the day be
    recomputed from history. Two hours cover a gateway's usual reconnection."""
    verdicts: VerdictSettings = VerdictSettings()
    quotas: QuotaSettings = QuotaSettings()
