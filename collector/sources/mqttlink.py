"""One connection to a broker; the one user of paho-mqtt in the product's readers.

The owner's thread runs it: read what the socket holds, hand it over in bulk, acknowledge what has
become durable. Nothing is shared with other threads but a queue of finished commits, the count of
what is under way, and a socket pair that wakes the loop. A connection is used once: a late
acknowledgement dies with it, and can never name another message that was given the same id.
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

from collector.payloads.routes import Wanted
from collector.reason import Reason
from collector.rows import Message
from collector.settings import MqttSettings
from collector.sources.mqttinbox import Freshness, Inbox, Load
from collector.sources.mqttsession import Subscriptions, packets

Take = Callable[[Sequence[Message]], "Future[int]"]
_BURST_S = 0.05  # a long burst is cut, so that what is durable is acknowledged meanwhile
_QUIET_S = 0.001  # a burst is over when nothing came for so long
_IDLE_S = 0.5  # between looks at the keep-alive
_DRAIN_S = 5.0  # at the end, for commits under way


class BrokerError(RuntimeError):
    """The connection was refused or lost, or the journal refused; it is tried again."""


class Connection:
    """Connects, subscribes, reads and acknowledges until it is lost or told to stop."""

    def __init__(
        self,
        settings: MqttSettings,
        subscriptions: Subscriptions,
        take: Take,
        on_up: Callable[[], None],
        load: Load,
    ) -> None:
        """Prepare a connection.

        Args:
            settings: the broker.
            subscriptions: of its session.
            take: receives messages in order; its future says when they may be acknowledged.
            on_up: called when the broker has accepted us and our subscriptions.
            load: counts what is under way; reading stops while it is full.
        """
        self._settings = settings
        self._subscriptions = subscriptions
        self._take = take
        self._on_up = on_up
        self._load = load
        self._inbox = Inbox()
        self._under_way = 0
        self._asked: dict[int, Sequence[Wanted]] = {}
        self._freshness = Freshness(time.monotonic())
        self._fresh = True
        self._durable: deque[tuple[Sequence[int], BaseException | None]] = deque()
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)
        self._refused = ""
        self._client = _client(settings)
        self._client.on_connect = self._greeted
        self._client.on_subscribe = self._subscribed
        self._client.on_unsubscribe = self._unsubscribed
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
                if self._wait(selector, watched):
                    self._read()
                if self._inbox.due:
                    self._hand_over()
                self._acknowledge()
                self._check(self._client.loop_misc())
        self._drain()

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message, at most once; on the thread that serves."""
        self._client.publish(topic, payload, qos=0)

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

    def _greeted(self, client: paho.Client, _data: object, flags: paho.ConnectFlags,
                 code: ReasonCode, _properties: object) -> None:  # fmt: skip
        if code.is_failure:
            self._refused = f"the broker refused the connection: {code}"
            return
        old = self._subscriptions.begin(session_present=flags.session_present)
        for topics in packets(old):
            self._ask(client.unsubscribe(topics), ())
        for some in packets(self._subscriptions.wanted):
            if self._settings.protocol == "5":
                new = SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
                told = [(w.topic, SubscribeOptions(w.qos, retainHandling=new)) for w in some]
                self._ask(client.subscribe(told), some)
            else:
                self._ask(client.subscribe([(w.topic, w.qos) for w in some]), some)
        self._settle()

    def _ask(self, sent: tuple[MQTTErrorCode, int | None], wanted: Sequence[Wanted]) -> None:
        code, mid = sent
        if mid is None:
            self._refused = f"connection lost: {paho.error_string(code)}"
        else:
            self._asked[mid] = wanted

    def _subscribed(self, _client: paho.Client, _data: object, mid: int, codes: list[ReasonCode],
                    _properties: object) -> None:  # fmt: skip
        for wanted, code in zip(self._asked.pop(mid, ()), codes, strict=False):
            if code.is_failure:
                self._refused = f"the broker refused the subscription {wanted.topic}: {code}"
            elif code.value < wanted.qos:
                self._refused = f"the broker grants {wanted.topic} no QoS 1: readings would be lost"
        self._settle()

    def _unsubscribed(self, _client: paho.Client, _data: object, mid: int, _codes: object,
                      _properties: object) -> None:  # fmt: skip
        self._asked.pop(mid, None)
        self._settle()

    def _settle(self) -> None:
        if not self._asked and not self._refused:
            self._subscriptions.settle()
            self._on_up()

    def _received(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        stale = None
        if message.retain:
            stale = Reason.RETAINED
        elif message.qos or not self._fresh:  # it may have been queued at the broker, or here
            stale = Reason.DELAYED
        mid = message.mid if message.qos else None
        self._inbox.put(Message(message.topic, bytes(message.payload), stale), mid)

    def _wait(self, selector: selectors.BaseSelector, watched: socket.socket) -> bool:
        """Wait for something to do; returns whether there is something to read.

        While too much is under way nothing is read: the broker and TCP hold back what comes.
        """
        hold = self._load.full
        wanted = 0 if hold else selectors.EVENT_READ
        if self._client.want_write():
            wanted |= selectors.EVENT_WRITE
        _watch(selector, watched, wanted)
        pending = not hold and isinstance(watched, ssl.SSLSocket) and watched.pending() > 0
        timeout_s = 0.0 if pending else _QUIET_S if self._inbox.messages else _IDLE_S
        ready = {key.fileobj: events for key, events in selector.select(timeout_s)}
        if self._woken in ready:
            with suppress(BlockingIOError):
                self._woken.recv(65536)
        there = pending or bool(ready.get(watched, 0) & selectors.EVENT_READ)
        if there:
            self._fresh = self._freshness.reads(time.monotonic())
        else:
            self._inbox.end()
            if not hold:
                self._freshness.empty(time.monotonic())
        return there

    def _read(self) -> None:
        """Read messages until the socket is empty or the burst is full."""
        until = time.monotonic() + _BURST_S
        while not self._inbox.full and time.monotonic() < until:
            before = len(self._inbox.messages)
            self._check(self._client.loop_read())
            if len(self._inbox.messages) == before:
                return

    def _hand_over(self) -> None:
        burst = self._inbox.take()
        count, size = len(burst.messages), burst.size
        self._load.add(count, size)
        self._under_way += 1
        future = self._take(burst.messages)

        def done(finished: "Future[int]") -> None:  # on the journal's thread
            self._load.add(-count, -size)
            self._durable.append((burst.ids, finished.exception()))
            self.wake()

        future.add_done_callback(done)

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
        if self._inbox.messages:
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


def _watch(selector: selectors.BaseSelector, sock: socket.socket, events: int) -> None:
    """Have the selector watch `sock` for `events`; 0: not at all."""
    if sock not in selector.get_map():
        if events:
            selector.register(sock, events)
    elif events:
        selector.modify(sock, events)
    else:
        selector.unregister(sock)


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
