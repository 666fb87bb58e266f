"""From a topic to the meters that may be heard on it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from collector.payloads.mapping import DEVICE, PayloadMapping, TopicRule, topic_filter
from collector.polls import Ratios
from collector.site import Meter, MqttSource, Site

_NODE_KINDS = ("NBIRTH", "NDEATH", "NDATA")
_DEVICE_KINDS = ("DBIRTH", "DDEATH", "DDATA")
SPARKPLUG = "spBv1.0"
_MOST_KNOWN_TOPICS = 100_000  # a sender that invents topics must not fill the memory


@dataclass(frozen=True, slots=True)
class Spot:
    """A meter at the end of a route."""

    meter_id: str
    zone: str
    """Of a wall clock without offset; else empty."""
    ratios: Ratios | None
    """What secondary values are multiplied by; None: the values are primary ones."""


@dataclass(slots=True)
class Route:
    """One kind of message on one topic filter."""

    mapping: PayloadMapping
    rule: TopicRule | None
    """None: what comes along because of a wide subscription."""
    fixed: Spot | None = None
    """The meter, where the topic tells the device."""
    by_device: dict[str, Spot] = field(default_factory=dict)
    """The meters, where the payload does."""


@dataclass(slots=True)
class _Level:
    below: "dict[str, _Level]" = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic filter and the quality of service it is subscribed with."""

    topic: str
    qos: int
    """0 for messages whose arrival is their time: what waited at the broker would get a wrong one,
    and Sparkplug's, which are sent so."""


class Routes:
    """The topics of all meters that do not speak the canonical JSON."""

    def __init__(self, sites: Iterable[Site], mappings: Mapping[str, PayloadMapping]) -> None:
        """Bind every meter whose mapping is in `mappings`; others are left out."""
        self._root = _Level()
        self._known: dict[str, tuple[Route, ...]] = {}
        self._wanted: dict[str, int] = {}
        self.metrics: dict[str, tuple[PayloadMapping, Spot]] = {}
        """Sparkplug meters by `group/node/device` or `group/node`."""
        for site in sites:
            for meter in site.meters:
                source = meter.source
                if isinstance(source, MqttSource) and source.mapping in mappings:
                    self._bind(site, meter, source, mappings[source.mapping])

    @property
    def wanted(self) -> list[Wanted]:
        """What to subscribe to, in no particular order, each filter once."""
        return [Wanted(topic, qos) for topic, qos in self._wanted.items()]

    def of(self, topic: str) -> tuple[Route, ...]:
        """Return the routes whose filter matches `topic`."""
        found = self._known.get(topic)
        if found is None:
            if len(self._known) >= _MOST_KNOWN_TOPICS:
                self._known.clear()
            found = self._known[topic] = tuple(_match(self._root, topic.split("/")))
        return found

    def _bind(self, site: Site, meter: Meter, source: MqttSource, mapping: PayloadMapping) -> None:
        ratios = Ratios.of(site, meter) if source.side == "secondary" else None
        spot = Spot(meter.id, source.zone, ratios)
        if mapping.format == "sparkplug":
            self.metrics[source.device] = (mapping, spot)
            self._wanted |= dict.fromkeys(_sparkplug_filters(source.device), 0)
            return
        for rule in mapping.topics:
            topic = topic_filter((source.topic or rule.topic).replace(DEVICE, source.device))
            route = self._route(topic, mapping, rule)
            if mapping.device_path is None:
                route.fixed = spot
            else:
                route.by_device[source.device] = spot
        for topic in filters_of(source, mapping):
            self._route(topic, mapping, None)
            self._wanted[topic] = 0 if mapping.by_arrival else max(1, self._wanted.get(topic, 1))

    def _route(self, topic: str, mapping: PayloadMapping, rule: TopicRule | None) -> Route:
        level = self._root
        for part in topic.split("/"):
            level = level.below.setdefault(part, _Level())
        for route in level.routes:
            if route.mapping is mapping and route.rule is rule:
                return route
        level.routes.append(Route(mapping, rule))
        return level.routes[-1]


def filters_of(source: MqttSource, mapping: PayloadMapping) -> list[str]:
    """Return the topic filters one meter needs."""
    if mapping.format == "sparkplug":
        return _sparkplug_filters(source.device)
    topics = mapping.subscribe or tuple(one.topic for one in mapping.topics)
    if source.topic:
        topics = (source.topic,)
    return [topic.replace(DEVICE, source.device) for topic in topics]


def _sparkplug_filters(device: str) -> list[str]:
    """Return all that an edge node sends but commands: its sequence runs over all its devices."""
    group, node = device.split("/")[:2]
    return [f"{SPARKPLUG}/{group}/{kind}/{node}" for kind in _NODE_KINDS] + [
        f"{SPARKPLUG}/{group}/{kind}/{node}/+" for kind in _DEVICE_KINDS
    ]


def _match(level: _Level, parts: Sequence[str]) -> list[Route]:
    """Return what hangs below `level` on a topic's remaining levels (MQTT 5.0, 4.7)."""
    found = level.below["#"].routes[:] if "#" in level.below else []
    if not parts:
        return found + level.routes
    for name in (parts[0], "+"):
        below = level.below.get(name)
        if below is not None:
            found += _match(below, parts[1:])
    return found
