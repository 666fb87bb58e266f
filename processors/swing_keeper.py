"""Keeps each meter's swing current while the engine runs."""

import time
from datetime import datetime

import polars as pl

from processors.history.store import History
from processors.swing import LOOK_BACK, SWING, swings

LOOK_S = 30.0
"""Real seconds between looks at history: a day's figure does not change faster."""
FIRST_S = 2.0
"""The same while nothing is known."""


class Swings:
    """The last look at history."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._told, self._looked_at = pl.DataFrame(schema=SWING), float("-inf")

    def at(self, instant: datetime) -> pl.DataFrame:
        """Return SWING of the day before an instant, at most LOOK_S old."""
        wait = FIRST_S if self._told.is_empty() else LOOK_S
        if time.monotonic() - self._looked_at >= wait:
            self._told = swings(self._history.intervals(instant - LOOK_BACK, instant))
            self._looked_at = time.monotonic()
        return self._told
