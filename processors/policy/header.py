"""What every policy pack states of itself: source in law, span in force, coal coefficient."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from collector.site import Identifier, Strict, Text


class Provenance(StrEnum):
    """How well a figure is known; only `published` may carry evidence."""

    PUBLISHED = "published"
    """Attributed to a named published document, with its table and page."""
    UNVERIFIED = "unverified"
    """Recalled or seen in passing; to be checked against the document."""
    ILLUSTRATIVE = "illustrative"
    """Invented for demonstrations and tests."""


class Validity(Strict):
    """The days a pack is in force, half-open."""

    since: date | None = Field(default=None, alias="from")
    """Day of implementation; null: not known, and then no verdict is evidence."""
    until: date | None = None
    """First day no longer in force; null: still in force."""
    not_before: date | None = None
    """A bound used while `from` is not known: the edition cannot be older than its own number."""
    provenance: Provenance = Provenance.UNVERIFIED

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        begin = self.begin
        if self.until is not None and self.until <= begin:
            raise ValueError("`until` must be later than `from`")
        return self

    @property
    def begin(self) -> date:
        """First day a statistics period may begin; ValueError if the pack gives none."""
        begin = self.since or self.not_before
        if begin is None:
            raise ValueError("give `from`, or `not_before` while the day is not known")
        return begin

    def holds(self, start: date, end: date) -> bool:
        """Return whether the pack is in force throughout `[start, end)`."""
        return self.begin <= start and (self.until is None or end <= self.until)

    def meets(self, other: "Validity") -> bool:
        """Return whether two spans share a day."""
        before = self.until is not None and self.until <= other.begin
        after = other.until is not None and other.until <= self.begin
        return not (before or after)


class Legal(Strict):
    """Where the figures stand in law."""

    document: str
    clause: str = ""
    seen_via: str = ""
    """Who transcribed it, if the document itself was not opened."""
    note: str = ""


class Coal(Strict):
    """The standard-coal coefficient this pack binds; another pack's differs by up to 2.3 times."""

    value: Annotated[float, Field(gt=0, lt=1)]
    """kgce a kWh of electricity."""
    basis: Literal["calorific", "equivalent"]
    """当量值 (0.1229, physics) or 等价值 (about 0.28-0.31, a year's power stations)."""
    provenance: Provenance
    source: str = ""


class Header(Strict):
    """What every pack states about itself."""

    id: Identifier
    """The same for all editions of one document."""
    edition: str
    title: Text
    region: str
    legal: Legal
    validity: Validity
    note: str = ""
