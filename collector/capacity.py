"""How full the journal of an edge is, and how long it will last at the present inflow. Pure."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

LEVELS = (50, 80, 95, 100)
"""Percent at which the operator is told."""
RESERVE_BYTES = 64_000_000
RESERVE_SHARE = 0.05
"""Of the disk the smaller of both is left alone: SQLite needs room to delete, too."""
_RATE_SPAN = timedelta(hours=1)
_RATE_LEAST = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Room:
    """What the disk and the settings allow, in bytes and hours."""

    used_bytes: int
    limit_bytes: int
    held_hours: float
    """Age of the oldest reading not yet forwarded."""
    capacity_hours: float


@dataclass(frozen=True, slots=True)
class Fill:
    """How full the journal is."""

    share: float
    """0 empty, 1 full: the greater of the share of bytes and the share of hours."""
    held_hours: float
    hours_left: float | None
    """Until full if nothing were forwarded; None: the inflow is not known yet."""
    hours_in_all: float | None
    """What an empty journal would hold at the present inflow (h), at most `capacity_hours`."""

    @property
    def level(self) -> int:
        """The greatest of LEVELS that is reached; 0: none."""
        return max((one for one in LEVELS if self.share * 100 >= one), default=0)


def limit_of(capacity_bytes: int, used: int, spare: int, disk_free: int, disk_total: int) -> int:
    """Return the bytes the journal may take: what is set, or what the disk has if that is less."""
    reserve = min(RESERVE_BYTES, int(disk_total * RESERVE_SHARE))
    return max(min(capacity_bytes, used + spare + disk_free - reserve), 1)


def fill(room: Room, bytes_per_hour: float | None) -> Fill:
    """Return how full the journal is.

    Args:
        room: what is used and allowed.
        bytes_per_hour: present inflow; None: not known yet.
    """
    share = max(room.used_bytes / room.limit_bytes, room.held_hours / room.capacity_hours)
    by_hours = max(room.capacity_hours - room.held_hours, 0.0)
    if bytes_per_hour is None:
        return Fill(share, room.held_hours, None, None)
    if bytes_per_hour <= 0:
        return Fill(share, room.held_hours, by_hours, room.capacity_hours)
    by_bytes = max(room.limit_bytes - room.used_bytes, 0) / bytes_per_hour
    whole = min(room.limit_bytes / bytes_per_hour, room.capacity_hours)
    return Fill(share, room.held_hours, min(by_hours, by_bytes), whole)


@dataclass(slots=True)
class Inflow:
    """Bytes an hour over the last hour, from samples of a growing counter."""

    samples: deque[tuple[datetime, int]] = field(default_factory=deque)

    def note(self, at: datetime, total_bytes: int) -> float | None:
        """Take a sample; return bytes an hour, None while the span is too short to tell."""
        if self.samples and at < self.samples[-1][0]:
            self.samples.clear()  # the clock was set back
        self.samples.append((at, total_bytes))
        while at - self.samples[0][0] > _RATE_SPAN:
            self.samples.popleft()
        began, first = self.samples[0]
        if at - began < _RATE_LEAST:
            return None
        return (total_bytes - first) / ((at - began) / timedelta(hours=1))
