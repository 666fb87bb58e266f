"""One connection to a broker; the one user of paho-mqtt in the product's readers.

The owner's thread runs it: read what the socket holds, hand it over in bulk, acknowledge what has
become durable. Nothing is shared with other threads but a queue of finished commits and a socket
pair that wakes the loop. A connection object is used once: an acknowledgement that comes too late
dies with it, and can never name another message that has since been given the same id.
"""

import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from collector.decode import Message
from collector.settings import MqttSettings

Take = Callable[[Sequence[Message]], "Future[int]"]
_BURST = 2000  # messages handed over together at most
_BURST_S = 0.05  # and a long burst is cut, so that what is durable is acknowledged meanwhile
_QUIET_S = 0.001  # a burst is over when nothing came for so long
_LINGER_S = 0.005  # and a message waits for company no longer than this
_IDLE_S = 0.5  # between looks at the keep-alive
_DRAIN_S = 5.0  # at the end, for commits under way


class BrokerError(RuntimeError):
    """The connection was refused or lost, or the journal refused; it is tried again."""


class Connection:
    """Connects, subscribes, reads and acknowledges until it is lost or told to stop."""

    def __init__(self, settings: MqttSettings, take: Take, on_up: Callable[[], None]) -> None:
        """Prepare a connection.

        Args:
            settings: the broker.
            take: receives messages in order; its future says when they may be acknowledged.
            on_up: called when the broker has accepted us and our subscriptions.
        """
        self._settings = settings
        self._take = take
        self._on_up = on_up
        self._inbox: list[Message] = []
        self._ids: list[int] = []
        self._first_at = 0.0
        self._under_way = 0
        self._durable: deque[tuple[Sequence[int], BaseException | None]] = deque()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._refused = ""
        self._client = _client(settings)
        self._client.on_connect = self._greeted
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._received
        # Packets queue up until the loop writes them, rather than each being sent as it is made.
        self._client.on_socket_register_write = lambda *_: None

    def serve(self, stopping: threading.Event) -> None:
        """Run until `stopping`, then drain and disconnect.

        Raises:
            BrokerError: refused or lost.
            OSError: unreachable.
        """
        self._connect()
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            watched = cast("socket.socket", self._client.socket())  # connected: there is one
            selector.register(watched, selectors.EVENT_READ)
            while not stopping.is_set():
                self._wait(selector, watched)
                self._read()
                if self._inbox and self._time_is_up():
                    self._hand_over()
                self._acknowledge()
                self._check(self._client.loop_misc())
        self._drain()

    def wake(self) -> None:
        """Make the loop look around; from any thread."""
        with suppress(BlockingIOError, OSError):  # full: it will wake anyway; closed: it has ended
            self._waker.send(b"x")

    def close(self) -> None:
        """Drop the connection; without `serve` having drained it, nothing more is acknowledged."""
        sock = self._client.socket()
        if sock is not None:
            sock.close()
        self._woken.close()
        self._waker.close()

    def _connect(self) -> None:
        one = self._settings
        if one.protocol == "5":
            wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own
            wishes.SessionExpiryInterval = int(one.session_expiry_hours * 3600)
            wishes.ReceiveMaximum = one.receive_maximum
            self._client.connect(
                one.host, one.port, one.keepalive_s, clean_start=False, properties=wishes
            )
        else:
            self._client.connect(one.host, one.port, one.keepalive_s)

    def _greeted(self, client: paho.Client, _data: object, _flags: object, code: ReasonCode,
                 _properties: object) -> None:  # fmt: skip
        if code.is_failure:
            self._refused = f"the broker refused the connection: {code}"
            return
        group = self._settings.shared_group
        topics = [f"$share/{group}/{t}" if group else t for t in self._settings.topics]
        if self._settings.protocol == "5":
            options = SubscribeOptions(
                qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
            )
            client.subscribe([(topic, options) for topic in topics])
        else:
            client.subscribe([(topic, 1) for topic in topics])

    def _subscribed(self, _client: paho.Client, _data: object, _mid: int, codes: list[ReasonCode],
                    _properties: object) -> None:  # fmt: skip
        refused = [str(code) for code in codes if code.is_failure]
        if refused:
            self._refused = f"the broker refused a subscription: {', '.join(refused)}"
        else:
            self._on_up()

    def _received(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        if not self._inbox:
            self._first_at = time.monotonic()
        self._inbox.append(Message(message.topic, bytes(message.payload)))
        if message.qos:
            self._ids.append(message.mid)

    def _wait(self, selector: selectors.BaseSelector, watched: socket.socket) -> None:
        """Wait for something to do; a quiet socket ends the burst."""
        events = selectors.EVENT_READ
        if self._client.want_write():
            events |= selectors.EVENT_WRITE
        selector.modify(watched, events)
        pending = isinstance(watched, ssl.SSLSocket) and watched.pending() > 0
        timeout_s = 0.0 if pending else _QUIET_S if self._inbox else _IDLE_S
        ready = {key.fileobj for key, _ in selector.select(timeout_s)}
        if self._woken in ready:
            with suppress(BlockingIOError):
                self._woken.recv(65536)
        if watched not in ready and not pending:
            self._first_at = 0.0

    def _read(self) -> None:
        """Read messages until the socket is empty or the burst is full."""
        until = time.monotonic() + _BURST_S
        while len(self._inbox) < _BURST and time.monotonic() < until:
            before = len(self._inbox)
            self._check(self._client.loop_read())
            if len(self._inbox) == before:
                return

    def _time_is_up(self) -> bool:
        full = len(self._inbox) >= _BURST
        return full or time.monotonic() - self._first_at >= _LINGER_S

    def _hand_over(self) -> None:
        inbox, ids = self._inbox, self._ids
        self._inbox, self._ids = [], []
        future = self._take(inbox)
        self._under_way += 1
        future.add_done_callback(lambda done: self._done(ids, done.exception()))

    def _done(self, ids: Sequence[int], error: BaseException | None) -> None:
        """Report a commit; runs on the journal's thread."""
        self._durable.append((ids, error))
        self.wake()

    def _acknowledge(self) -> None:
        while self._durable:
            ids, error = self._durable.popleft()
            self._under_way -= 1
            if error is not None:
                # The broker sends again what it has no acknowledgement for, once we reconnect.
                raise BrokerError(f"the journal refused: {error}")
            for mid in ids:
                self._client.ack(mid, 1)
        if self._client.want_write():
            self._check(self._client.loop_write())

    def _check(self, code: MQTTErrorCode) -> None:
        if self._refused:
            raise BrokerError(self._refused)
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or self._client.socket() is None:
            raise BrokerError(f"connection lost: {paho.error_string(code)}")

    def _drain(self) -> None:
        """Hand over what was received, wait for the commits, acknowledge and say good-bye."""
        if self._inbox:
            self._hand_over()
        deadline = time.monotonic() + _DRAIN_S
        self._woken.settimeout(0.1)
        while self._under_way and time.monotonic() < deadline:
            with suppress(TimeoutError):
                self._woken.recv(65536)
            self._acknowledge()
        self._client.disconnect()
        while self._client.want_write() and time.monotonic() < deadline:
            self._client.loop_write()


def _client(settings: MqttSettings) -> paho.Client:
    five = settings.protocol == "5"
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=settings.client_id,
        clean_session=None if five else False,
        protocol=paho.MQTTv5 if five else paho.MQTTv311,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    if settings.username is not None:
        client.username_pw_set(settings.username, settings.secret())
    if settings.tls is not None:
        tls = settings.tls
        ca, cert, key = (str(path) if path else None for path in (tls.ca, tls.cert, tls.key))
        client.tls_set(ca, cert, key)
    return client
