"""The way upstream: publishes at QoS 1 and tells which messages the broker has taken.

One thread uses a link, once: what was not acknowledged when it broke is published anew by its
owner on the next link, so the session need not outlive it.
"""

import select
import socket
import ssl
from typing import NamedTuple, cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from collector.brokersettings import BrokerSettings

_NOBODY = 0x10  # MQTT 5, 3.4.2.1: accepted, but no matching subscribers
_CONNECT_S = 3.0  # also the longest a stop may have to wait


class UplinkError(RuntimeError):
    """The broker refused, or the connection was lost; it is tried again."""


class Ack(NamedTuple):
    """What the broker answered to one message."""

    mid: int
    refusal: str
    """Empty: it has the message, and somebody who will get it."""


class Uplink:
    """One connection."""

    def __init__(self, settings: BrokerSettings, client_id: str) -> None:
        """Connect.

        Raises:
            UplinkError: the broker refused us.
            OSError: it cannot be reached, or a file of the settings cannot be read.
        """
        self._settings = settings
        self._acks: list[Ack] = []
        self._greeted = False
        self._refused = ""
        self._client = _client(settings, client_id)
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        self._client.connect_timeout = _CONNECT_S
        clean = True if settings.protocol == "5" else paho.MQTT_CLEAN_START_FIRST_ONLY
        self._client.connect(settings.host, settings.port, settings.keepalive_s, clean_start=clean)
        try:
            self._await_greeting()
        except BaseException:
            self.close()
            raise

    def publish(self, topic: str, payload: bytes) -> int:
        """Queue a message; return the number its `Ack` will carry.

        Raises:
            UplinkError: the connection is lost.
        """
        sent = self._client.publish(topic, payload, qos=1)
        self._check(sent.rc)
        return sent.mid

    def poll(self, timeout_s: float) -> list[Ack]:
        """Send and receive; return what was acknowledged, after at most `timeout_s`.

        Raises:
            UplinkError: the connection is lost.
        """
        link = self._socket()
        pending = isinstance(link, ssl.SSLSocket) and link.pending() > 0
        writing = [link] if self._client.want_write() else []
        readable, writable, _ = select.select([link], writing, [], 0 if pending else timeout_s)
        if readable or pending:
            self._check(self._client.loop_read(100))
        if writable:
            self._check(self._client.loop_write())
        self._check(self._client.loop_misc())
        acks, self._acks = self._acks, []
        return acks

    def close(self) -> None:
        """Say good-bye and drop the connection."""
        self._client.disconnect()
        link = self._client.socket()
        if link is not None:
            link.close()

    def _await_greeting(self) -> None:
        for _ in range(int(_CONNECT_S / 0.1)):
            self.poll(0.1)
            if self._refused:
                raise UplinkError(self._refused)
            if self._greeted:
                return
        raise UplinkError("the broker does not answer")

    def _socket(self) -> socket.socket:
        link = self._client.socket()
        if link is None:
            raise UplinkError(self._refused or "connection lost")
        return cast("socket.socket", link)  # only a WebSocket would be something else

    def _check(self, code: MQTTErrorCode) -> None:
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise UplinkError(self._refused or f"connection lost: {paho.error_string(code)}")

    def _on_connect(self, _client: paho.Client, _data: object, _flags: object, code: ReasonCode,
                    _properties: object) -> None:  # fmt: skip
        self._greeted = not code.is_failure
        if code.is_failure:
            self._refused = f"the broker refused the connection: {code}"

    def _on_publish(self, _client: paho.Client, _data: object, mid: int, code: ReasonCode,
                    _properties: object) -> None:  # fmt: skip
        if code.value == _NOBODY:
            refusal = "nobody upstream has subscribed to our batches"
        else:
            refusal = str(code) if code.is_failure else ""
        self._acks.append(Ack(mid, refusal))


def _client(settings: BrokerSettings, client_id: str) -> paho.Client:
    five = settings.protocol == "5"
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=None if five else True,
        protocol=paho.MQTTv5 if five else paho.MQTTv311,
        reconnect_on_failure=False,
    )
    client.max_inflight_messages_set(1000)  # the owner keeps fewer under way
    if settings.username is not None:
        client.username_pw_set(settings.username, settings.secret())
    if settings.tls is not None:
        tls = settings.tls
        ca, cert, key = (str(path) if path else None for path in (tls.ca, tls.cert, tls.key))
        client.tls_set(ca, cert, key)
    return client
