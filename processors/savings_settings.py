"""Settings of the tracker of targets."""

from typing import Annotated

from pydantic import Field

from collector.site import Identifier, Strict

Share = Annotated[float, Field(ge=0, le=1)]


class TargetSettings(Strict):
    """Which targets are tracked."""

    pack: Identifier | None = None
    """Id of a target pack; null: none is tracked."""
    base_year: int | None = None
    """Try the pack's percentages from this year on: illustrative, never law. Null: its own."""
    min_site_share: Share = 0.95
    """Least share of a group's sites that must be known in both years."""
