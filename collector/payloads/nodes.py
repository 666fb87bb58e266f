"""Sparkplug edge nodes: births, deaths, aliases and the sequence. Pure but for its memory.

Data can be understood only after a birth (Sparkplug 3.0.0, 6.4.19): aliases are numbers the birth
gave names. When we have missed it, or may have, the data are rejected and a rebirth is asked for;
the node then says its present values, and its counters make the energy whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from collector.payloads.mapping import PayloadMapping
from collector.payloads.paths import scaled
from collector.payloads.routes import SPARKPLUG, Spot
from collector.payloads.sheet import Sheet
from collector.payloads.sparkplug import GOOD, Codec, Metric, Payload, SparkplugError, number
from collector.payloads.times import milliseconds
from collector.reason import Reason
from collector.rows import Message

REBIRTH_EVERY = timedelta(seconds=60)
"""A node is asked for a rebirth no more often: one that cannot must not be flooded."""
_BD_SEQ = "bdSeq"


@dataclass(slots=True)
class _Node:
    """What one edge node's births told."""

    born: bool = False
    seq: int | None = None
    """Sequence number of its last message; 0 to 255."""
    bd_seq: object = None
    """The birth's number, which the death of the same connection repeats."""
    aliases: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Device and name by alias."""
    types: dict[tuple[str, str], int] = field(default_factory=dict)
    """Data type by device and name."""
    devices: set[str] = field(default_factory=set)
    """Devices that are born; the node itself is "" among them."""
    asked_at: datetime | None = None
    wanted: bool = False
    """A rebirth is to be asked for."""

    def doubt(self) -> None:
        """Trust no number of the birth any more: a newer one may have given them anew."""
        self.aliases, self.types, self.wanted = {}, {}, True

    def die(self) -> None:
        """Forget what the birth told."""
        self.born, self.seq, self.bd_seq = False, None, None
        self.aliases, self.types, self.devices = {}, {}, set()


class Nodes:
    """All edge nodes that are heard."""

    def __init__(self, metrics: Mapping[str, tuple[PayloadMapping, Spot]]) -> None:
        """Begin with none born; `metrics` as in `Routes`."""
        self._meters = metrics
        self._rules = {id(m): {".".join(r.path): r for r in m.values} for m, _ in metrics.values()}
        self._ours = {"/".join(name.split("/")[:2]) for name in metrics}
        self._nodes: dict[str, _Node] = {}
        self._codec = Codec()

    def forget(self) -> None:
        """Forget every birth, and want each anew."""
        for name in self._ours:
            node = self._nodes.setdefault(name, _Node())
            node.die()
            node.wanted = True

    def requests(self, now: datetime) -> list[tuple[str, bytes]]:
        """Return the rebirth commands that are due, as (topic, payload)."""
        due = []
        for name, node in self._nodes.items():
            if node.wanted and (node.asked_at is None or now - node.asked_at >= REBIRTH_EVERY):
                node.asked_at, node.wanted = now, False
                group, edge = name.split("/")
                payload = self._codec.rebirth(int(milliseconds(now)))
                due.append((f"{SPARKPLUG}/{group}/NCMD/{edge}", payload))
        return due

    def take(self, sheet: Sheet, message: Message) -> None:
        """Take one message on a Sparkplug topic."""
        parts = message.topic.split("/")
        kind = parts[2] if len(parts) in {4, 5} else ""
        whole = len(parts) == (5 if kind.startswith("D") else 4)
        if not whole or kind not in _KINDS or f"{parts[1]}/{parts[3]}" not in self._ours:
            sheet.rows.reject(Reason.TOPIC_MISMATCH, message.topic, "")
            return
        node = self._nodes.setdefault(f"{parts[1]}/{parts[3]}", _Node())
        if message.stale is Reason.RETAINED:  # births must not be retained: it may be an old one
            sheet.rows.reject(message.stale, message.topic, "")
            return
        try:
            payload = self._codec.decode(message.payload)
        except SparkplugError as error:
            sheet.rows.reject(Reason.NOT_SPARKPLUG, message.topic, str(error))
            node.doubt()  # it may have been a birth
            return
        self._of_kind(sheet, node, message.topic, payload)

    def _of_kind(self, sheet: Sheet, node: _Node, topic: str, payload: Payload) -> None:
        _, group, kind, edge, *rest = topic.split("/")
        device = rest[0] if rest else ""
        if kind == "NDEATH":
            if node.bd_seq is None or _bd_seq(payload) == node.bd_seq:
                node.die()  # else it is the will of a connection that a newer birth has replaced
            return
        if kind == "NBIRTH":
            node.die()
            node.born, node.bd_seq, node.seq, node.wanted = True, _bd_seq(payload), 0, False
        else:
            self._follow(node, payload.seq)
        if not node.born or (kind in {"DDATA", "NDATA"} and device not in node.devices):
            node.wanted = True
            sheet.rows.reject(Reason.NO_BIRTH, topic, f"{len(payload.metrics)} metrics")
        elif kind == "DDEATH":
            node.devices.discard(device)
        else:
            if kind.endswith("BIRTH"):
                _learn(node, device, payload)
            name = f"{group}/{edge}/{device}" if device else f"{group}/{edge}"
            self._read(sheet, node, topic, device, name, payload)

    def _follow(self, node: _Node, seq: int | None) -> None:
        """Check that nothing was missed since the last message."""
        if node.born and (seq is None or seq != ((node.seq or 0) + 1) % 256):
            node.doubt()
        node.seq = seq

    def _read(
        self, sheet: Sheet, node: _Node, topic: str, device: str, name: str, payload: Payload
    ) -> None:
        """Take the metrics of a birth or of data, those of one instant together."""
        if name not in self._meters:
            return
        mapping, spot = self._meters[name]
        rules = self._rules[id(mapping)]
        rows: dict[int | None, dict[str, object]] = {}
        for metric in payload.metrics:
            owner, told = _named(node, device, metric)
            rule = rules.get(told or "")
            kind = metric.datatype or node.types.get((device, told or ""))
            if told is None or (rule and kind is None and type(metric.raw) is int):
                node.wanted = True  # without its type a negative integer looks like a large one
                excerpt = f"name {metric.name!r:.80}, alias {metric.alias}, type {kind}"
                sheet.rows.reject(Reason.NO_BIRTH, topic, excerpt)
            elif rule is None or owner != device or metric.raw is None:
                continue
            elif metric.quality not in {None, GOOD}:
                sheet.rows.reject(Reason.BAD_QUALITY, topic, f"{told}: quality {metric.quality}")
            else:
                at = payload.timestamp_ms if metric.timestamp_ms is None else metric.timestamp_ms
                row = rows.setdefault(at, {})
                row[rule.quantity] = scaled(number(metric.raw, kind), rule.scale)
        for at, values in rows.items():
            sheet.add(spot, topic, f"mqtt:{mapping.id}", at, values)


_KINDS = frozenset(("NBIRTH", "NDEATH", "NDATA", "DBIRTH", "DDEATH", "DDATA"))


def _bd_seq(payload: Payload) -> object:
    return next((one.raw for one in payload.metrics if one.name == _BD_SEQ), None)


def _learn(node: _Node, device: str, payload: Payload) -> None:
    """Keep the names, aliases and types of a birth."""
    node.devices.add(device)
    node.types = {key: kind for key, kind in node.types.items() if key[0] != device}
    node.aliases = {alias: owner for alias, owner in node.aliases.items() if owner[0] != device}
    for metric in payload.metrics:
        if metric.name is None:
            continue
        if metric.alias is not None:
            node.aliases[metric.alias] = (device, metric.name)
        if metric.datatype is not None:
            node.types[device, metric.name] = metric.datatype


def _named(node: _Node, device: str, metric: Metric) -> tuple[str, str | None]:
    """Return whose metric it is and its name; None if the name is not known."""
    if metric.name:
        return device, metric.name
    if metric.alias is None:
        return device, None
    return node.aliases.get(metric.alias, (device, None))
