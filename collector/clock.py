"""The collector's clock: one of the two places where time is read rather than passed in.

A clock may run faster than the wall (a demonstration, a replay); all stages share one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Clock:
    """Maps the machine's monotonic clock onto site time at a chosen speed.

    `Clock.real()` follows the wall clock, steps included; an accelerated clock starts at `epoch`
    and advances `speed` seconds for each second that passes.
    """

    speed: float = 1.0
    epoch: datetime | None = None
    """Site time at the moment `anchor_s` was read; None follows the wall clock."""
    anchor_s: float = 0.0
    monotonic: Callable[[], float] = time.monotonic

    @classmethod
    def real(cls) -> "Clock":
        """Return the wall clock."""
        return cls()

    @classmethod
    def accelerated(cls, epoch: datetime, speed: float) -> "Clock":
        """Return a clock that reads `epoch` now and runs `speed` times as fast as the wall."""
        return cls(speed=speed, epoch=epoch.astimezone(UTC), anchor_s=time.monotonic())

    @classmethod
    def parse(cls, text: str) -> "Clock":
        """Return the clock that `SITE_TIME@WALL_TIME*SPEED` describes, e.g. of another process.

        Raises:
            ValueError: the text is of another form.
        """
        try:
            times, speed = text.rsplit("*", 1)
            site, wall = (datetime.fromisoformat(one) for one in times.split("@"))
            ahead = (datetime.now(UTC) - wall).total_seconds()  # noqa: TID251 - this is the clock
            return cls.accelerated(site + timedelta(seconds=ahead * float(speed)), float(speed))
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{text!r} is not a clock: write SITE_TIME@WALL_TIME*SPEED, both times with offset"
            ) from error

    def told(self) -> str:
        """Return this clock in the form that `parse` reads."""
        wall = datetime.now(UTC)  # noqa: TID251 - this is the clock
        return f"{self.now().isoformat()}@{wall.isoformat()}*{self.speed:g}"

    def now(self) -> datetime:
        """Return the present instant, aware, UTC."""
        if self.epoch is None:
            return datetime.now(UTC)  # noqa: TID251 - this is the clock
        return self.epoch + timedelta(seconds=(self.monotonic() - self.anchor_s) * self.speed)

    def wall_seconds(self, site_seconds: float) -> float:
        """Return how long to wait in real seconds for `site_seconds` to pass."""
        return site_seconds / self.speed
