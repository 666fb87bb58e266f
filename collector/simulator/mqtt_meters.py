"""Simulated MQTT meters: every tick each publishes what it shows, with its troubles."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from collector.clock import Clock
from collector.polls import micros
from collector.simulator.faults import Trouble
from collector.simulator.fleet import Fleet, Member
from collector.simulator.publisher import Publisher, PublisherClosed, payload_of, topic_of

Row = dict[str, object]
_CHUNK = 100
"""Most readings a message; what a late gateway kept comes in several."""


@dataclass(slots=True)
class Sender:
    """Turns ticks into messages; keeps what late and disorderly meters hold back."""

    fleet: Fleet
    members: Sequence[Member]
    _kept: dict[str, list[Row]] = field(default_factory=dict)

    def messages(self, ticks: Sequence[datetime]) -> list[tuple[str, bytes]]:
        """Return (topic, payload) of all meters for `ticks`, oldest first."""
        at = np.array([micros(tick) for tick in ticks], dtype=np.int64)
        shown = self.fleet.values(at, self.members)
        shown = {name: np.round(values, 4) for name, values in shown.items()}
        found = []
        for column, member in enumerate(self.members):
            rows = [
                {"measured_at": tick.isoformat()}
                | {name: values[line, column].item() for name, values in shown.items()}
                for line, tick in enumerate(ticks)
            ]
            for tick, row in zip(ticks, rows, strict=True):
                found += self._of(member, tick, row)
        return found

    def _of(self, member: Member, tick: datetime, row: Row) -> list[tuple[str, bytes]]:
        if member.has(Trouble.SILENT, tick):
            return []
        if member.has(Trouble.SENTINEL, tick):
            row = {"measured_at": row["measured_at"], "frequency_hz": row["frequency_hz"]}
        kept = self._kept.setdefault(member.meter.id, [])
        kept.append(row)
        mixed = member.has(Trouble.OUT_OF_ORDER, tick)
        if member.has(Trouble.LATE, tick) or (mixed and len(kept) < 2):
            return []
        rows = kept[::-1] if mixed else kept
        self._kept[member.meter.id] = []
        topic = topic_of(member.meter.id)
        chunks = [payload_of(rows[i : i + _CHUNK]) for i in range(0, len(rows), _CHUNK)]
        if member.has(Trouble.PARTIAL, tick):
            chunks = [chunk[: len(chunk) // 2] for chunk in chunks]
        return [(topic, chunk) for chunk in chunks] * (1 + member.has(Trouble.DUPLICATE, tick))


class MqttMeters:
    """Publishes the fleet's MQTT meters on a thread of its own."""

    def __init__(
        self, fleet: Fleet, publisher: Publisher, clock: Clock, every_s: float = 15.0
    ) -> None:
        """Prepare; nothing is sent before `start`.

        Args:
            fleet: whose members with `via: mqtt` are published.
            publisher: opened and closed here.
            clock: site time; ticks are multiples of `every_s` on it.
            every_s: site seconds between two readings of a meter.
        """
        members = [m for m in fleet.members if m.meter.source.via == "mqtt"]
        self._sender = Sender(fleet, members)
        self._publisher = publisher
        self._clock = clock
        self._every = timedelta(seconds=every_s)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt-meters", daemon=True)
        self.messages = 0
        """Messages handed to the broker so far."""

    def start(self) -> None:
        """Connect and begin.

        Raises:
            OSError: no broker there.
        """
        self._publisher.connect()
        self._thread.start()

    def stop(self) -> None:
        """Stop, give the broker a second to acknowledge, disconnect."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(1)
        self._publisher.settle(1.0)
        self._publisher.close()
        if self._thread.is_alive():
            self._thread.join(2)

    def _run(self) -> None:
        with suppress(PublisherClosed):
            self._publish()

    def _publish(self) -> None:
        done = self._tick_before(self._clock.now())
        while not self._over.is_set():
            last = self._tick_before(self._clock.now())
            ticks = [done + self._every * (i + 1) for i in range((last - done) // self._every)]
            if ticks:
                for topic, payload in self._sender.messages(ticks):
                    self._publisher.publish(topic, payload)
                    self.messages += 1
                done = last
            left = (done + self._every - self._clock.now()).total_seconds()
            self._over.wait(max(self._clock.wall_seconds(left), 0.001))

    def _tick_before(self, now: datetime) -> datetime:
        step = self._every // timedelta(microseconds=1)
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros(now) // step * step)
