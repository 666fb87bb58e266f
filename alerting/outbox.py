"""Couriers: carry notices from the outbox to their channels, in order, until delivered.

Each channel has its own courier, so one that is down delays no other.
"""

import sqlite3
import threading
from collections.abc import Callable, Mapping

import structlog

from alerting.notifiers.answer import Notifier, Refused, Unavailable
from alerting.notifiers.webhook import Webhook
from alerting.outbox_db import Notice, OutboxDb
from alerting.settings import Channel, OutboxSettings

NOTIFIERS: Mapping[str, Callable[[Channel], Notifier]] = {"webhook": Webhook}
"""How to make the notifier of each kind of channel."""

Log = structlog.stdlib.BoundLogger


class Courier:
    """Delivers for one channel, in its own thread."""

    def __init__(
        self, name: str, notifier: Notifier, outbox: OutboxDb, settings: OutboxSettings
    ) -> None:
        self._name = name
        self._notifier = notifier
        self._outbox = outbox
        self._settings = settings
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"courier-{name}", daemon=True)
        self._log: Log = structlog.get_logger("outbox").bind(channel=name)

    def start(self) -> None:
        """Begin with whatever an earlier run left."""
        self._thread.start()

    def wake(self) -> None:
        """Say that new notices may be waiting."""
        self._woken.set()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop after the attempt under way; what is left stays queued."""
        self._stopping.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        wait_s: float | None = None
        failures = 0
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                ahead = self._drain()
            except sqlite3.Error as error:  # disk full or locked: the ledger recovers, so do we
                self._log.error("outbox cannot be read or written", problem=str(error))
                ahead = False
            failures = 0 if ahead else failures + 1
            wait_s = None if ahead else self._pause_s(failures)
            self._rest(wait_s)

    def _rest(self, wait_s: float | None) -> None:
        """Wait for news; while the channel is down, news must not shorten the back-off."""
        if wait_s is None:
            self._woken.wait()
        else:
            self._stopping.wait(wait_s)

    def _pause_s(self, failures: int) -> float:
        settings = self._settings
        return min(settings.first_retry_s * 2.0 ** min(failures - 1, 30), settings.longest_retry_s)

    def _drain(self) -> bool:
        """Send until nothing waits; False if the channel cannot take more now."""
        while notices := self._outbox.waiting(self._name):
            for notice in notices:
                if self._stopping.is_set():
                    return True
                if not self._send(notice):
                    return False
        return True

    def _send(self, notice: Notice) -> bool:
        try:
            self._notifier.send(str(notice.notice_id), notice.payload)
        except Unavailable as error:
            final = notice.attempts + 1 >= self._settings.attempts
            self._outbox.failed(notice, str(error), final=final)
            self._log.warning("notice not delivered", problem=str(error), given_up=final)
            return final
        except Refused as error:
            self._outbox.failed(notice, str(error), final=True)
            self._log.error("notice refused", problem=str(error), alert=notice.alert_id)
            return True
        self._outbox.delivered(notice)
        return True


class Couriers:
    """All channels' couriers."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        outbox: OutboxDb,
        settings: OutboxSettings | None = None,
    ) -> None:
        chosen = settings or OutboxSettings()
        self._all = [
            Courier(name, NOTIFIERS[one.kind](one), outbox, chosen)
            for name, one in channels.items()
        ]

    def start(self) -> None:
        """Start every courier."""
        for one in self._all:
            one.start()

    def wake(self) -> None:
        """Tell every courier to look; cheap."""
        for one in self._all:
            one.wake()

    def stop(self) -> None:
        """Stop every courier."""
        for one in self._all:
            one.stop()
