"""Health of the meters: who was heard, who failed, when and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

import polars as pl

from collector.reading import UTC_US

HEALTH: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "last_heard_at": UTC_US,
    "last_error": pl.String(),
    "last_error_at": UTC_US,
    "failures": pl.Int64(),
    "successes": pl.Int64(),
    "response_ms": pl.Float64(),
}
"""One row a meter ever heard or failed. `failures` and `successes` count since the process began;
`response_ms` is the last poll's answer time (ms), null for meters that speak by themselves."""


@dataclass(slots=True)
class _Entry:
    last_heard_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None
    failures: int = 0
    successes: int = 0
    response_ms: float | None = None


class Health:
    """Thread-safe book of the meters' communication."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._meters: dict[str, _Entry] = {}

    def heard(
        self,
        meter_ids: Sequence[str],
        at: datetime,
        response_ms: Sequence[float] | None = None,
    ) -> None:
        """Note readings that are safe in the journal; a meter may be named more than once."""
        with self._lock:
            for index, meter_id in enumerate(meter_ids):
                entry = self._meters.setdefault(meter_id, _Entry())
                entry.successes += 1
                entry.last_heard_at = max(entry.last_heard_at or at, at)
                if response_ms is not None:
                    entry.response_ms = response_ms[index]

    def failed(self, meter_id: str, reason: str, at: datetime) -> None:
        """Note one failed poll and its reason."""
        with self._lock:
            entry = self._meters.setdefault(meter_id, _Entry())
            entry.failures += 1
            entry.last_error, entry.last_error_at = reason, at

    def snapshot(self) -> pl.DataFrame:
        """Return the present state, schema HEALTH, sorted by meter_id."""
        with self._lock:
            rows = [
                (
                    meter_id,
                    e.last_heard_at,
                    e.last_error,
                    e.last_error_at,
                    e.failures,
                    e.successes,
                    e.response_ms,
                )
                for meter_id, e in self._meters.items()
            ]
        return pl.DataFrame(rows, schema=HEALTH, orient="row").sort("meter_id")
