"""MQTT source: QoS 1 messages are acknowledged only after the journal's commit.

The broker's session is persistent, so whatever was not acknowledged when we fell, it sends again.
"""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import structlog

from collector.batches import topic_of
from collector.intake import Acts, Desk, Intake
from collector.payloads.foreign import Foreign
from collector.payloads.routes import Routes, Wanted
from collector.rows import Message
from collector.settings import MqttSettings
from collector.sources.mqttinbox import Load
from collector.sources.mqttlink import BrokerError, Connection
from collector.sources.mqttsession import Subscriptions

LOG = structlog.get_logger()
_FIRST_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class MqttStatus:
    """What the operator sees of the connection."""

    connected: bool = False
    since: datetime | None = None
    """Instant of the last change of `connected`."""
    last_message_at: datetime | None = None
    last_error: str | None = None
    """Why the last connection ended or was refused; kept after the recovery."""


class MqttReader:
    """Reads the broker for ever in a thread of its own, and reconnects for ever."""

    def __init__(
        self,
        settings: MqttSettings,
        known: frozenset[str],
        desk: Desk,
        routes: Routes | None = None,
        memory: Path | None = None,
        edges: Mapping[str, frozenset[str]] | None = None,
        acts: Acts | None = None,
    ) -> None:
        """Prepare to read.

        Args:
            settings: the broker.
            known: meters that may speak the canonical JSON.
            desk: where readings go.
            routes: the meters that have a payload mapping.
            memory: file of the session's subscriptions; None: a changed list of topics leaves the
                older ones subscribed.
            edges: collectors at the edge whose batches come this way, and the meters of each.
            acts: keeps declarations; closed with the reader. None: none are asked for.
        """
        self._settings = settings
        self._desk = desk
        self._foreign = Foreign(routes, self._publish) if routes else None
        limit = settings.max_payload_bytes
        self._intake = Intake(desk, known, "mqtt", limit, self._foreign, edges, acts)
        self._acts = acts
        batches = (Wanted(topic_of(edge), 1) for edge in edges or ())
        wanted = (*(routes.wanted if routes else ()), *batches)
        alone = [Wanted(one, 1) for one in settings.activity_topics] if acts is not None else []
        self._subscriptions = Subscriptions(settings, wanted, memory, alone)
        self._load = Load(settings.receive_maximum)
        self._connection: Connection | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt")
        self._status = MqttStatus()
        self._last_message_at: datetime | None = None
        self._connected = desk.metrics.gauge("mqtt_connected", "1 while the broker is connected")
        self._lost = desk.metrics.counter("mqtt_lost", "Connections refused or lost")

    def start(self) -> None:
        """Begin; returns at once, whether or not the broker is there."""
        self._thread.start()

    def stop(self) -> None:
        """Journal and acknowledge what has been received, then disconnect; within 6 s."""
        self._stopping.set()
        if (connection := self._connection) is not None:
            connection.wake()
        self._thread.join()
        if self._acts is not None:
            self._acts.close()

    def status(self) -> MqttStatus:
        """Return the present state of the connection."""
        return replace(self._status, last_message_at=self._last_message_at)

    def held(self) -> int:
        """Return how many messages are under way to the journal."""
        return self._load.messages

    def know(self, known: frozenset[str]) -> None:
        """Accept these meters from now on."""
        self._intake.known = known

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            if self._load.full:  # what the broker would send again is still in our memory
                self._stopping.wait(_FIRST_PAUSE_S)
                continue
            error = self._serve()
            if error is None:
                break
            if self._status.connected:
                pause_s = _FIRST_PAUSE_S
            self._lost.inc()
            self._note(connected=False, error=error)
            LOG.warning("broker_lost", error=error, retry_in_s=pause_s)
            self._stopping.wait(pause_s)
            pause_s = min(pause_s * 2, self._settings.reconnect_max_s)
        self._note(connected=False)

    def _serve(self) -> str | None:
        """Serve one connection; returns why it ended, None if we ended it."""
        try:
            connection = Connection(
                self._settings, self._subscriptions, self._take, self._up, self._load
            )
        except (OSError, ValueError) as error:  # a password or certificate file is missing
            return str(error)
        self._connection = connection
        try:
            connection.serve(self._stopping)
        except (BrokerError, OSError) as error:
            return str(error)
        except Exception as error:
            # A bug of ours. The broker keeps what we did not acknowledge: start anew, and be loud.
            LOG.exception("mqtt_bug")
            return repr(error)
        finally:
            connection.close()
        return None

    def _up(self) -> None:
        self._note(connected=True)
        if self._foreign is not None:
            self._foreign.begin(self._desk.now())

    def _publish(self, topic: str, payload: bytes) -> None:
        """Send a command to a device; on the reader's thread, while it is connected."""
        if self._connection is not None:
            self._connection.publish(topic, payload)

    def _take(self, messages: Sequence[Message]) -> "Future[int]":
        self._last_message_at = self._desk.now()
        return self._intake.take(messages)

    def _note(self, *, connected: bool, error: str | None = None) -> None:
        before = self._status
        changed = before.connected != connected
        self._connected.set(float(connected))
        if connected and changed:
            LOG.info("broker_connected", host=self._settings.host, port=self._settings.port)
        self._status = MqttStatus(
            connected=connected,
            since=self._desk.now() if changed else before.since,
            last_error=error or before.last_error,
        )
