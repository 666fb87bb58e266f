"""Dated facts: values in force from a day on, in the site's time zone. Added, never edited."""

from datetime import date
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, model_validator

from collector.strict import Strict


class Begins(Strict):
    """A fact in force from the start of a day in the site's time zone, until the next one's."""

    since: date = Field(alias="from")


class Dated(Begins):
    """One value in force from the start of a day."""

    value: Annotated[float, Field(gt=0)]
    declared_by: str = ""
    """Who declared it; shown in the evidence."""


class Input(Dated):
    """An input of a correction: 0 is a fact where the formula takes it, e.g. a share of 0."""

    value: Annotated[float, Field(ge=0)]


class Cap(Dated):
    """A limit on the site's load (负荷限额), e.g. of a notice of orderly use (有序用电); kW."""

    until: date | None = None
    """First day it no longer binds; None: until the next one's."""

    @model_validator(mode="after")
    def _later(self) -> "Cap":
        if self.until is not None and self.until <= self.since:
            raise ValueError("`until` must be later than `from`")
        return self


Fact = TypeVar("Fact", bound=Begins)


def ordered(values: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """Return dated facts as they are; ValueError unless in ascending order of distinct days."""
    days = [one.since for one in values]
    if days != sorted(set(days)):
        raise ValueError("dated values must have distinct `from` days in ascending order")
    return values


DatedValues = Annotated[tuple[Dated, ...], AfterValidator(ordered)]


def in_force(values: tuple[Fact, ...], day: date) -> Fact | None:
    """Return the fact in force on `day`, or None if none had begun."""
    begun = [one for one in values if one.since <= day]
    return begun[-1] if begun else None
