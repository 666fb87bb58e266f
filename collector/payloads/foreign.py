"""Messages of devices that do not speak the canonical JSON, to readings.

Pure but for its memory: the addends of sums that come in several messages, and what Sparkplug nodes
were born with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from collector.decode import parse, text_of
from collector.payloads.mapping import TimeRule, ValueRule
from collector.payloads.nodes import Nodes
from collector.payloads.paths import dig, paired, scaled
from collector.payloads.routes import SPARKPLUG, Route, Routes, Spot
from collector.payloads.sheet import Sheet
from collector.payloads.times import told
from collector.quantity import QUANTITIES
from collector.reason import Reason
from collector.rows import Decoded, Message

Ask = Callable[[str, bytes], None]
"""Publishes a payload on a topic, at most once, not retained."""


@dataclass(slots=True)
class Foreign:
    """Decodes what `Routes` has a meter for."""

    routes: Routes
    ask: Ask = lambda _topic, _payload: None
    """How Sparkplug nodes are asked for a rebirth."""
    ignored: int = 0
    """Messages that were other talk of a device, by its mapping."""
    _nodes: Nodes = field(init=False)
    _parts: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=dict)
    """Addends of a sum: value and arrival (ms since 1970), by meter and quantity."""

    def __post_init__(self) -> None:
        """Begin without any Sparkplug node."""
        self._nodes = Nodes(self.routes.metrics)

    def knows(self, topic: str) -> bool:
        """Return whether somebody's messages come on `topic`."""
        return bool(self.routes.of(topic)) or (
            bool(self.routes.metrics) and topic.startswith(f"{SPARKPLUG}/")
        )

    def begin(self, now: datetime) -> None:
        """Begin anew on a new connection, for what was sent meanwhile is lost.

        Every Sparkplug birth is forgotten and asked for again; addends are dropped.
        """
        self._parts.clear()
        self._nodes.forget()
        self._ask(now)

    def decode(self, messages: Sequence[Message], now: datetime) -> Decoded:
        """Decode a batch, all of whose topics `knows`.

        Args:
            messages: in the order of arrival.
            now: instant of reception; `received_at`, and the time of those who do not tell it.
        """
        sheet = Sheet(now)
        for message in messages:
            if message.topic.startswith(f"{SPARKPLUG}/"):
                self._nodes.take(sheet, message)
                continue
            routes = [one for one in self.routes.of(message.topic) if one.rule is not None]
            for route in routes:
                self._take(sheet, route, message)
            if not routes:
                self._other(sheet, message)
        self._ask(now)
        return sheet.decoded()

    def _ask(self, now: datetime) -> None:
        for topic, payload in self._nodes.requests(now):
            self.ask(topic, payload)

    def _other(self, sheet: Sheet, message: Message) -> None:
        """Take what came only because a wide filter was subscribed to."""
        if all(r.mapping.other_messages == "ignore" for r in self.routes.of(message.topic)):
            self.ignored += 1
        else:
            sheet.rows.reject(Reason.TOPIC_MISMATCH, message.topic, text_of(message.payload))

    def _take(self, sheet: Sheet, route: Route, message: Message) -> None:
        mapping, topic = route.mapping, message.topic
        if mapping.by_arrival and message.stale is not None:
            sheet.rows.reject(message.stale, topic, text_of(message.payload))
            return
        content: object
        try:
            bare = mapping.format == "number"
            content = {"": _number(message.payload)} if bare else parse(message.payload)
        except (ValueError, RecursionError) as error:
            reason = Reason.NOT_A_NUMBER if bare else Reason.NOT_JSON
            sheet.rows.reject(reason, topic, f"{error}: {text_of(message.payload)}")
            return
        inner = dig(content, mapping.each) if mapping.each else content
        for one in inner if isinstance(inner, list) else [inner]:
            self._element(sheet, route, topic, one)

    def _element(self, sheet: Sheet, route: Route, topic: str, content: object) -> None:
        """Take one object of a message."""
        mapping = route.mapping
        if mapping.pairs is not None:
            listed = dig(content, mapping.pairs.at)
            content = paired(content, listed, mapping.pairs.name, mapping.pairs.value)
        rules = route.rule.values if route.rule is not None else ()
        said = [(rule, dig(content, rule.path)) for rule in rules]
        said = [(rule, value) for rule, value in said if value is not None]
        if not said:
            if mapping.other_messages == "ignore":
                self.ignored += 1
            else:
                shape = Reason.NO_QUANTITY if isinstance(content, dict) else Reason.NOT_AN_OBJECT
                sheet.rows.reject(shape, topic, repr(content))
            return
        spot = _spot(sheet, route, topic, content)
        if spot is None:
            return
        values = {r.quantity: scaled(value, r.scale) for r, value in said if r.of == 1}
        values |= self._sums(sheet, route, topic, spot.meter_id, said)
        if not values:
            return
        if not isinstance(mapping.time, TimeRule):
            at = sheet.arrival(spot.meter_id, set(values))
            sheet.add(spot, topic, f"mqtt:{mapping.id}:arrival", at, values)
            return
        stamp = dig(content, mapping.time.path)
        when = told(mapping.time, stamp, spot.zone)
        if isinstance(when, Reason):
            sheet.rows.reject(when, topic, repr(stamp))
        else:
            sheet.add(spot, topic, f"mqtt:{mapping.id}", when, values)

    def _sums(
        self,
        sheet: Sheet,
        route: Route,
        topic: str,
        meter_id: str,
        said: Sequence[tuple[ValueRule, object]],
    ) -> dict[str, object]:
        """Keep addends; return the sums that are complete with them, each addend used once."""
        sums: dict[str, object] = {}
        for rule, raw in said:
            if rule.of == 1:
                continue
            value, quantity = scaled(raw, rule.scale), QUANTITIES[rule.quantity]
            if not isinstance(value, int | float) or isinstance(value, bool):
                sheet.rows.reject(Reason.NOT_A_NUMBER, topic, f"{rule.quantity}={raw!r:.120}")
            elif not quantity.low <= value <= quantity.high:
                sheet.rows.reject(Reason.OUT_OF_RANGE, topic, f"{rule.quantity}={raw!r:.120}")
            else:
                key = (meter_id, rule.quantity)
                parts = self._parts.setdefault(key, [(0.0, float("-inf"))] * rule.of)
                parts[rule.part - 1] = (float(value), sheet.now_ms)
                within_ms = route.mapping.together_s * 1000
                if all(abs(sheet.now_ms - at) <= within_ms for _, at in parts):
                    sums[rule.quantity] = sum(value for value, _ in self._parts.pop(key))
        return sums


def _spot(sheet: Sheet, route: Route, topic: str, content: object) -> Spot | None:
    """Return the meter a message is of; None if it is of none we know, which is noted."""
    if route.mapping.device_path is None:
        return route.fixed
    device = dig(content, route.mapping.device_path)
    spot = route.by_device.get(str(device)) if isinstance(device, str | int) else None
    if spot is None:
        sheet.rows.reject(Reason.UNKNOWN_METER, topic, f"device {device!r:.80}")
    return spot


def _number(payload: bytes) -> float:
    text = payload.decode("ascii")
    if "_" in text:  # Python reads 1_000, nobody else does
        raise ValueError("not a number")
    return float(text)
