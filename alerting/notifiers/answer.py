"""What every notifier can do, and the two ways it can fail."""

from typing import Protocol


class Unavailable(Exception):  # noqa: N818 - it says what the channel is, not that we erred
    """The channel cannot take it now; try again later."""


class Refused(Exception):  # noqa: N818 - same
    """The channel will never take this notice; a repeat would not help."""


class Notifier(Protocol):
    """A way to tell somebody."""

    def send(self, notice_id: str, payload: str) -> None:
        """Deliver one notice (a JSON object, see alerting/notices.py) or raise.

        Raises:
            Unavailable: try again later.
            Refused: do not try again.
        """
