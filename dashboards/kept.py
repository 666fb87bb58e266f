"""Keeps computed views for a moment, so that twenty screens cost as much as one."""

import threading
import time
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

Value = TypeVar("Value")


class Kept:
    """Values by key, each computed at most once in `seconds`; thread-safe, bounded."""

    def __init__(self, seconds: float, limit: int = 256) -> None:
        self._seconds = seconds
        self._limit = limit
        self._values: dict[Hashable, tuple[float, object]] = {}
        self._locks: dict[Hashable, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """Return the kept value, or compute it; others who want it wait for the one who does."""
        with self._lock(key):
            found = self._values.get(key)
            if found is None or time.monotonic() - found[0] > self._seconds:
                found = (time.monotonic(), compute())
                self._values[key] = found
        return cast("Value", found[1])

    def drop(self, key: Hashable) -> None:
        """Forget a value, so that the next one who wants it computes it."""
        with self._lock(key):
            self._values.pop(key, None)

    def _lock(self, key: Hashable) -> threading.Lock:
        with self._guard:
            if len(self._values) >= self._limit:
                self._values.clear()
                self._locks = {k: lock for k, lock in self._locks.items() if lock.locked()}
            return self._locks.setdefault(key, threading.Lock())
