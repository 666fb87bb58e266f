"""Waiting for something that happens in another thread or process, with a deadline."""

import time
from collections.abc import Callable


def until(predicate: Callable[[], object], timeout_s: float = 10.0, what: str = "") -> None:
    """Return as soon as `predicate()` is true.

    Raises:
        AssertionError: it was still false after `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() > deadline:
            raise AssertionError(f"still waiting after {timeout_s} s: {what or predicate}")
        time.sleep(0.005)
