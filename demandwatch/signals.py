"""Signals to functions, and waiting for the one that ends the program."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def signals(**handlers: Callable[[], None]) -> Iterator[None]:
    """Call a function on a signal, e.g. `signals(SIGTERM=stop.set)`; restores what was before."""
    before = {}
    for name, act in handlers.items():
        number = signal.Signals[name]

        def handle(_number: int, _frame: FrameType | None, act: Callable[[], None] = act) -> None:
            act()

        before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def until_stopped(seconds: float | None = None) -> None:
    """Wait for SIGINT or SIGTERM, at most `seconds`."""
    over = threading.Event()
    with signals(SIGINT=over.set, SIGTERM=over.set):
        over.wait(seconds)
