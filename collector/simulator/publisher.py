"""Publishing readings over MQTT, QoS 1: the client behind simulated meters and replays."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import orjson
from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

_VERSIONS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}
WINDOW = 2_000
"""Messages on the way that the broker has not acknowledged; more are not sent before."""


def topic_of(meter_id: str) -> str:
    """Return the canonical topic of a meter."""
    return f"demandwatch/v1/{meter_id}/readings"


def payload_of(rows: Sequence[Mapping[str, object]]) -> bytes:
    """Return the canonical payload: one object, or an array of them."""
    return orjson.dumps(rows[0] if len(rows) == 1 else rows)


class PublisherClosed(Exception):  # noqa: N818 - an end, not an error
    """The publisher was closed while someone waited to publish."""


class Publisher:
    """A connection that publishes and knows what the broker has acknowledged."""

    def __init__(
        self,
        host: str,
        port: int,
        protocol: Literal["5", "3.1.1"] = "5",
        client_id: str = "demandwatch-simulator",
    ) -> None:
        self._host, self._port = host, port
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=_VERSIONS[protocol]
        )
        self._client.max_inflight_messages_set(WINDOW)
        self._client.on_publish = self._acknowledged
        self._change = threading.Condition()
        self._waiting = 0
        self._closed = False

    def connect(self) -> None:
        """Connect and stay connected, reconnecting as needed, until `close`.

        Raises:
            OSError: nobody listens there.
        """
        self._client.connect(self._host, self._port)
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes) -> None:
        """Send one message; waits while too many are unacknowledged.

        Raises:
            PublisherClosed: `close` was called meanwhile.
            RuntimeError: the client refuses it.
        """
        with self._change:
            self._change.wait_for(lambda: self._waiting < WINDOW or self._closed)
            if self._closed:
                raise PublisherClosed
            self._waiting += 1
        sent: MQTTMessageInfo = self._client.publish(topic, payload, qos=1)
        if sent.rc not in {MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN}:
            raise RuntimeError(f"cannot publish to {self._host}:{self._port}: {sent.rc.name}")

    def settle(self, timeout_s: float) -> bool:
        """Wait until everything sent is acknowledged; False if it is not by then."""
        return self.wait_for(lambda: self._waiting == 0, timeout_s)

    def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait, from acknowledgement to acknowledgement, until `condition()`."""
        with self._change:
            return self._change.wait_for(condition, timeout_s)

    def close(self) -> None:
        """Disconnect; unacknowledged messages are forgotten."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._client.disconnect()
        self._client.loop_stop()

    def _acknowledged(self, *_: object) -> None:
        with self._change:
            self._waiting -= 1
            self._change.notify_all()
