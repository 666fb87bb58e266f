"""How simulated DL/T 645 meters answer, as a fleet file may say it."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from collector.site import Identifier, Strict


class LineFault(StrEnum):
    """How a simulated meter fails a request."""

    SILENT = "silent"
    """No answer."""
    LATE = "late"
    """The answer comes `late_s` after the request."""
    CHECKSUM = "checksum"
    """A wrong checksum."""
    PARTIAL = "partial"
    """The answer stops in its middle."""
    DOUBLED = "doubled"
    """The answer comes twice."""
    REFUSED = "refused"
    """Error word 02H, no such data."""
    SWAPPED_ADDRESS = "swapped_address"
    """The answer carries the address first digits first."""
    WRONG_ITEM = "wrong_item"
    """The answer is to another identifier."""
    NOISE = "noise"
    """Stray bytes and another master's broadcast run ahead of the answer."""
    LOST_FOLLOW_UP = "lost_follow_up"
    """What does not fit in the first frame is never sent."""
    WRONG_SEQUENCE = "wrong_sequence"
    """Follow-up frames carry another sequence number than asked for."""
    BAD_DIGITS = "bad_digits"
    """A digit above 9 in every answer."""


class Manner(Strict):
    """One meter's way to answer for a while; the last that holds counts."""

    meter: Identifier
    fault: LineFault | None = None
    after_s: Annotated[float, Field(ge=0)] = 0.0
    """Site seconds after the fleet's start."""
    for_s: Annotated[float, Field(gt=0)] | None = None
    """Site seconds it lasts; None: to the end."""
    wake: Annotated[int, Field(ge=0, le=64)] = 4
    """Bytes FEH ahead of each answer."""
    frame_bytes: Annotated[int, Field(ge=0, le=200)] = 0
    """Bytes of payload in one frame, the rest by follow-up frames; 0: all in one."""
    late_s: Annotated[float, Field(gt=0, le=600)] = 2.0
    """For `late`: real seconds."""
    clock_ahead_s: float = 0.0
    """The meter's clock minus the true time when the manner begins."""
    clock_gains_s_per_day: float = 0.0
    """What the meter's clock gains in a day; GB/T 17215 allows 0.5 s at reference temperature."""

    def holds(self, at: datetime, started: datetime) -> bool:
        """Return whether it holds at `at` in a fleet started at `started`."""
        start = started + timedelta(seconds=self.after_s)
        over = self.for_s is not None and at >= start + timedelta(seconds=self.for_s)
        return start <= at and not over

    def clock_s(self, at: datetime, started: datetime) -> float:
        """Return how far the meter's clock is ahead at `at`."""
        days = ((at - started).total_seconds() - self.after_s) / 86_400
        return self.clock_ahead_s + self.clock_gains_s_per_day * days
