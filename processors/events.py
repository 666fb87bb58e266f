"""Settings of events: who was ordered or asked to use less, when, how much, and proof of notice."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

import polars as pl
from pydantic import AwareDatetime, Field, model_validator

from collector.reading import UTC_US
from collector.site import Identifier, Site, Strict
from processors.interval import BLOCK

LONGEST = timedelta(hours=24)


class Notice(Strict):
    """Proof that a site was told: all four, or it is no proof."""

    at: AwareDatetime
    """When, with its offset."""
    told: Annotated[str, Field(min_length=1)]
    """Who was notified: person or post of the site."""
    how: Annotated[str, Field(min_length=1)]
    """By what means, e.g. `SMS, receipt 20261116-0091`."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Digest of the text of the notice."""


class Ordered(Strict):
    """What one site was ordered or asked."""

    site: Identifier
    cut_kw: Annotated[float, Field(gt=0)] | None = None
    """Demand below the baseline (kW), in each block."""
    cap_kw: Annotated[float, Field(ge=0)] | None = None
    """Greatest demand (kW), in each block; needs no baseline to be judged."""
    notice: Notice | None = None
    """None: nothing shows that the site was told; its compliance is then undecided."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.cut_kw is None) == (self.cap_kw is None):
            raise ValueError("give either `cut_kw` or `cap_kw`")
        return self


class Event(Strict):
    """One event of orderly use (有序用电) or demand response (需求响应), at most 24 h long.

    An order for several days is an event a day: each has its own baseline.
    """

    id: Identifier
    kind: Literal["orderly_use", "response"]
    start: AwareDatetime
    """Both at a quarter of an hour."""
    end: AwareDatetime
    sites: Annotated[tuple[Ordered, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if any(one.timestamp() % BLOCK.seconds for one in (self.start, self.end)):
            raise ValueError("`start` and `end` must lie on a quarter of an hour")
        if not timedelta(0) < self.end - self.start <= LONGEST:
            raise ValueError("`end` must be later than `start`, by 24 h at most")
        if len({one.site for one in self.sites}) < len(self.sites):
            raise ValueError("each site once")
        return self


class BaselineSettings(Strict):
    """How the customer baseline is found; no Chinese rule was found in public: it is a choice."""

    keep: Annotated[int, Field(ge=1, le=30)] = 4
    """X: so many like days of greatest energy in the event's hours are averaged ..."""
    of: Annotated[int, Field(ge=1, le=30)] = 5
    """... of the last Y that are eligible. 4 of 5 is illustrative (reference data)."""
    lookback_days: Annotated[int, Field(ge=1, le=366)] = 60
    """How far back (days) like days are looked for."""
    min_coverage: Annotated[float, Field(ge=0, le=1)] = 0.95
    """Least share of a like day, and of its hours used, that measurement supports (illustrative:
    5 % of points may miss)."""
    beside_days: Annotated[int, Field(ge=0, le=7)] = 1
    """Days before and after any event of the site that are not like days: load was moved there."""
    adjust: Literal["additive", "ratio", "none"] = "additive"
    """Same-day adjustment by the hours below: add the difference, or multiply by the ratio."""
    adjust_hours: Annotated[float, Field(gt=0, le=12, multiple_of=0.25)] = 2.0
    """Length (h) of the window of the same day (unverified: 2 h) ..."""
    adjust_gap_hours: Annotated[float, Field(ge=0, le=12, multiple_of=0.25)] = 1.0
    """... and from its end to the event (unverified: 1 h)."""
    adjust_before: Literal["notice", "event"] = "notice"
    """`notice`: the window ends no later than the notice, for who is told can raise his load. A
    window that is not on the event's day adjusts nothing. `event`: by the gap alone."""
    adjust_cap: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Greatest adjustment as share of each block's baseline (unverified: 20 %)."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.keep > self.of:
            raise ValueError("`keep` must not exceed `of`")
        return self


ORDER: dict[str, pl.DataType] = {
    "event_id": pl.String(),
    "site_id": pl.String(),
    "kind": pl.String(),
    "timezone": pl.String(),
    "start": UTC_US,
    "end": UTC_US,
    "cut_kw": pl.Float64(),
    "cap_kw": pl.Float64(),
    "notified_at": UTC_US,
    "notice_sha256": pl.String(),
}
"""One row an event and site; `notified_at` and `notice_sha256` null where nothing proves notice."""


def orders(events: Iterable[Event], sites: Iterable[Site]) -> pl.DataFrame:
    """Return ORDER of all events, sorted by event and site; sites not given are left out."""
    zones = {one.id: one.timezone for one in sites}
    rows = [
        (
            *(event.id, one.site, event.kind, zones[one.site]),
            *(_utc(event.start), _utc(event.end), one.cut_kw, one.cap_kw),
            *((_utc(one.notice.at), one.notice.sha256) if one.notice else (None, None)),
        )
        for event in events
        for one in event.sites
        if one.site in zones
    ]
    return pl.DataFrame(rows, schema=ORDER, orient="row").sort("event_id", "site_id")


def _utc(at: datetime) -> datetime:
    return at.astimezone(ZoneInfo("UTC"))
