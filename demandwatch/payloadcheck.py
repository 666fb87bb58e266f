"""Checks the sources of MQTT meters against the payload mappings and the broker's settings."""

from collections.abc import Iterator, Mapping, Sequence
from zoneinfo import available_timezones

from collector.payloads.mapping import CANONICAL, PayloadMapping, topic_filter
from collector.payloads.routes import filters_of
from collector.settings import CollectorSettings
from collector.site import MqttSource, Site
from collector.yamlfile import Fault
from demandwatch.crosscheck import Place

_Said = tuple[str, str, str]
"""Key of the source, problem, what is allowed."""


def payload_faults(
    collector: CollectorSettings | None,
    sites: Sequence[Site],
    places: Sequence[Place],
    mappings: Mapping[str, PayloadMapping],
) -> Iterator[Fault]:
    """Yield the faults of every meter that publishes by MQTT.

    Args:
        collector: the broker's settings; None if they have faults of their own.
        sites: all sites.
        places: where each of them is told.
        mappings: those that loaded.
    """
    shared = bool(collector and collector.mqtt and collector.mqtt.shared_group)
    heard: dict[tuple[str, ...], str] = {}
    for site, place in zip(sites, places, strict=True):
        for meter in site.meters:
            source = meter.source
            if not isinstance(source, MqttSource):
                continue
            said = list(_of_source(source, mappings))
            mapping = mappings.get(source.mapping)
            if mapping is not None and not said:
                said += _of_pair(source, mapping, meter.id, heard, shared=shared)
            for key, problem, allowed in said:
                yield Fault(*place, f"meters.{meter.id}.source.{key}", problem, allowed)


def _of_source(source: MqttSource, mappings: Mapping[str, PayloadMapping]) -> Iterator[_Said]:
    """Yield what is wrong with one source by itself."""
    mapping = mappings.get(source.mapping)
    if source.mapping == CANONICAL:
        for key in ("device", "topic", "zone", "side"):
            if getattr(source, key):
                yield key, "belongs to a payload mapping", f"`mapping` other than {CANONICAL}"
        return
    if mapping is None:
        allowed = ", ".join([CANONICAL, *sorted(mappings)])
        yield "mapping", f"no payload mapping {source.mapping!r}", allowed
        return
    levels = source.device.split("/")
    if not source.device:
        yield "device", "is required but absent", "the name the device gives itself"
    elif mapping.format == "sparkplug" and (len(levels) not in {2, 3} or not all(levels)):
        yield "device", f"cannot be {source.device!r}", "group/node/device, or group/node"
    if source.topic:
        yield from _of_topic(source, mapping)
    if mapping.local and source.zone not in available_timezones():
        problem = f"{source.zone!r} is not a time zone" if source.zone else "is required but absent"
        yield "zone", problem, "the zone of the device's clock, e.g. UTC or Asia/Shanghai"
    if source.zone and not mapping.local:
        yield "zone", f"{mapping.id} tells its times with their offset or by arrival", "nothing"
    if mapping.side == "unstated" and source.side is None:
        yield "side", "is required but absent", "primary or secondary: compare with the display"


def _of_topic(source: MqttSource, mapping: PayloadMapping) -> Iterator[_Said]:
    if len(mapping.topics) != 1:
        yield "topic", f"{mapping.id} has fixed or several topics", "a mapping with one topic"
        return
    try:
        topic_filter(source.topic)
    except ValueError as error:
        yield "topic", str(error), "a topic filter"
        return
    if mapping.device_path is None and {"+", "#"} & set(source.topic):
        problem = f"{source.topic!r} would take other devices' values for this meter's"
        yield "topic", problem, "the one topic of this device"


def _of_pair(
    source: MqttSource,
    mapping: PayloadMapping,
    meter_id: str,
    heard: dict[tuple[str, ...], str],
    *,
    shared: bool,
) -> Iterator[_Said]:
    """Yield what is wrong with a source beside others and the broker's settings."""
    place = (mapping.id, source.device, *filters_of(source, mapping))
    if place in heard:
        yield "device", f"{source.device!r} is meter {heard[place]} already", "a device of its own"
    heard.setdefault(place, meter_id)
    if shared and mapping.format == "sparkplug":
        problem = "Sparkplug cannot be shared: births and data would reach different collectors"
        yield "mapping", problem, "collector.mqtt without `shared_group`"
    elif shared and mapping.by_arrival:
        problem = (f"{mapping.id} takes the time of arrival and cannot be shared: what a collector "
                   "that is away should get is lost")  # fmt: skip
        yield "mapping", problem, "collector.mqtt without `shared_group`"
