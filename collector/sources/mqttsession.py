"""What a broker's persistent session is subscribed to, remembered beside the journal.

A session outlives us, and with it the subscriptions of older settings (telegraf #9703): the broker
would go on delivering, and queueing, topics nobody wants. MQTT has no way to ask for the list, so
it is written down before it is changed, and what is no longer wanted is unsubscribed.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import structlog

from collector.payloads.routes import Wanted
from collector.settings import MqttSettings

LOG = structlog.get_logger()
_PACKET_TOPICS = 500
Item = TypeVar("Item")


class Subscriptions:
    """The topic filters of one session: those wanted, and those it may still have."""

    def __init__(
        self,
        settings: MqttSettings,
        mapped: Sequence[Wanted] = (),
        path: Path | None = None,
        alone: Sequence[Wanted] = (),
    ) -> None:
        """Read what was remembered.

        Args:
            settings: the broker, our name there and the canonical topics.
            mapped: what meters with a payload mapping need.
            path: the file; None: nothing is remembered.
            alone: what is never shared with the other members of a group.
        """
        self._path = path
        self._session = f"{settings.client_id}@{settings.host}:{settings.port}"
        share = f"$share/{settings.shared_group}/" if settings.shared_group else ""
        wanted = [Wanted(topic, 1) for topic in settings.topics] + list(mapped)
        shared = {w.topic: Wanted(share + w.topic, w.qos) for w in wanted}
        self.wanted = (*shared.values(), *alone)
        """To subscribe to at each connection."""
        self._all = self._read()

    def begin(self, *, session_present: bool) -> list[str]:
        """Return the filters to unsubscribe; the wanted ones are remembered before they are sent.

        Raises:
            OSError: the file cannot be written.
        """
        ours = {one.topic for one in self.wanted}
        known = self._all.get(self._session)
        if known is None and session_present and self._path is not None:
            hint = "it may deliver topics that are not wanted; a new client_id leaves it behind"
            LOG.warning("session_unknown", session=self._session, hint=hint)
        before = set(known or ()) if session_present else set[str]()
        self._write(before | ours)
        return sorted(before - ours)

    def settle(self) -> None:
        """Remember that the session has exactly the wanted ones.

        Raises:
            OSError: the file cannot be written.
        """
        self._write({one.topic for one in self.wanted})

    def _read(self) -> dict[str, list[str]]:
        if self._path is None or not self._path.exists():
            return {}
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(name): [str(one) for one in topics] for name, topics in found.items()}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            LOG.warning("subscriptions_unreadable", path=str(self._path), error=str(error))
            return {}

    def _write(self, topics: set[str]) -> None:
        told = sorted(topics)
        if self._path is None or self._all.get(self._session) == told:
            return
        self._all[self._session] = told
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(self._all, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def packets(items: Sequence[Item]) -> list[list[Item]]:
    """Return `items` in lists short enough for one packet each."""
    starts = range(0, len(items), _PACKET_TOPICS)
    return [list(items[i : i + _PACKET_TOPICS]) for i in starts]
