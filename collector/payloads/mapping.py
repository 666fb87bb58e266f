"""Payload mappings: which part of a device's messages holds which quantity, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from collector.quantity import COUNTERS, QUANTITIES
from collector.site import Identifier, Strict
from collector.yamlfile import Fault, faults_of, load_yaml

CANONICAL = "canonical"
"""The mapping a meter has that speaks the product's own JSON."""
DEVICE = "{device}"
"""Stands in a topic for the name the meter gives its device (`source.device`)."""


def _known(name: str) -> str:
    if name not in QUANTITIES:
        raise ValueError(f"one of {', '.join(QUANTITIES)}")
    return name


def _steps(path: object) -> object:
    return tuple(path.split(".")) if isinstance(path, str) else path


def topic_filter(topic: str) -> str:
    """Return `topic` if it is a topic filter.

    Raises:
        ValueError: it is none.
    """
    levels = topic.split("/")
    alone = all(len(level) == 1 or not set(level) & {"+", "#"} for level in levels)
    if not topic or "#" in levels[:-1] or not alone or "\0" in topic or len(topic.encode()) > 65535:
        raise ValueError(f"topic filter {topic!r}: `+` fills one level, `#` only the last")
    return topic


Steps = Annotated[tuple[str, ...], BeforeValidator(_steps), Field(min_length=1)]
"""Keys from the outside in: `params.em:0.act_power`, or a list where a key has a dot in it; a
number counts in an array from 0."""


class TimeRule(Strict):
    """Where a message says when it was measured."""

    path: Steps
    format: Literal["epoch_s", "epoch_ms", "iso", "local"]
    """Seconds or milliseconds since 1970 UTC. `iso`: ISO 8601 with offset, or milliseconds since
    1970. `local`: a wall clock without offset, in the zone the meter's source names; a local time
    that the zone has twice is rejected."""
    pattern: str = ""
    """For `local`: as of strptime; empty: ISO 8601."""

    @model_validator(mode="after")
    def _fits(self) -> "TimeRule":
        if self.pattern and self.format != "local":
            raise ValueError("`pattern` belongs to format local")
        return self


class ValueRule(Strict):
    """One value of a message: quantity = number x scale (x transformer ratio)."""

    path: Steps = ("",)
    """Where it is; for `sparkplug` the metric's name. Absent for payloads that are the number."""
    quantity: Annotated[str, AfterValidator(_known)]
    scale: float = 1.0
    """Into the quantity's unit, e.g. 0.001 from Wh; negative turns a sign."""
    part: Annotated[int, Field(ge=1, le=8)] = 1
    of: Annotated[int, Field(ge=1, le=8)] = 1
    """This is addend `part` of `of` that come in messages of their own, e.g. the three phases'
    counters: their sum is a reading once all have come within `together_s`."""
    note: str = ""

    @model_validator(mode="after")
    def _fits(self) -> "ValueRule":
        if self.scale == 0:
            raise ValueError("`scale` other than 0")
        if self.part > self.of:
            raise ValueError("`part` must not be above `of`")
        if self.of > 1 and self.quantity not in COUNTERS:
            raise ValueError("only counters may be added up over messages: momentary values of "
                             "different moments give wrong sums")  # fmt: skip
        return self


class TopicRule(Strict):
    """A kind of message."""

    topic: Annotated[str, AfterValidator(topic_filter)]
    """Topic filter; `{device}` stands for the device's name."""
    values: tuple[ValueRule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _once(self) -> "TopicRule":
        told = [(one.quantity, one.part) for one in self.values]
        if len(set(told)) < len(told):
            raise ValueError("each quantity (and part) once in a message")
        return self


class Pairs(Strict):
    """A list of name-value objects inside the message, read as one object."""

    at: Steps
    """Where the list is."""
    name: str
    value: str


class PayloadMapping(Strict):
    """What one kind of device publishes; one YAML file in the folder of payload mappings."""

    id: Identifier
    title: str
    reference: str
    """Where the payload is documented."""
    note: str = ""
    format: Literal["json", "number", "sparkplug"] = "json"
    """`number`: the payload is the bare number. `sparkplug`: Sparkplug B."""
    topics: tuple[TopicRule, ...] = ()
    """Kinds of messages; not for `sparkplug`, whose topics are fixed."""
    values: tuple[ValueRule, ...] = ()
    """For `sparkplug`: the metrics."""
    subscribe: tuple[Annotated[str, AfterValidator(topic_filter)], ...] = ()
    """Topic filters to subscribe to instead of each topic's own, to save subscriptions."""
    each: Annotated[tuple[str, ...], BeforeValidator(_steps)] | None = None
    """Where the array of readings is, each of them an object; None: the message is one."""
    pairs: Pairs | None = None
    device_path: Annotated[tuple[str, ...], BeforeValidator(_steps)] | None = None
    """Where the message names its device; None: its topic does."""
    time: Literal["arrival"] | TimeRule | None = None
    """`arrival`: the device does not say, and the time it reached us is taken: only for what came
    straight through, neither retained nor queued. None for `sparkplug`, which tells it itself."""
    together_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Longest time between the addends of one sum."""
    side: Literal["primary", "unstated"] = "primary"
    """`unstated`: the maker does not say on which side of the transformers the values are; each
    meter's source must."""
    other_messages: Literal["reject", "ignore"] = "reject"
    """What to do with messages that hold none of the values: `ignore` counts them only."""

    @property
    def by_arrival(self) -> bool:
        """Whether readings carry the time of their arrival."""
        return self.time == "arrival"

    @property
    def local(self) -> bool:
        """Whether the meter's source must name a time zone."""
        return isinstance(self.time, TimeRule) and self.time.format == "local"

    @model_validator(mode="after")
    def _complete(self) -> "PayloadMapping":
        if self.id == CANONICAL:
            raise ValueError(f"`{CANONICAL}` is built in")
        if self.format == "sparkplug":
            self._sparkplug()
        elif not self.topics or self.values or self.time is None:
            raise ValueError("`topics` and `time` are required, `values` stand under each topic")
        if self.format == "number" and (self.time != "arrival" or self.device_path or self.each):
            raise ValueError("a bare number has neither a time nor a device nor rows in it")
        if self.device_path is None and any(DEVICE not in one.topic for one in self.topics):
            raise ValueError("the device must be named by each topic (`{device}`) or `device_path`")
        if not self.by_arrival and any(v.of > 1 for one in self.topics for v in one.values):
            raise ValueError("sums over messages are for `time: arrival`")
        return self

    def _sparkplug(self) -> None:
        if self.topics or self.subscribe or self.time or self.each or self.pairs:
            raise ValueError("sparkplug knows its topics and times: only `values` are told")
        if not self.values or any(one.of > 1 for one in self.values):
            raise ValueError("`values` names the metrics; sums over messages are not for sparkplug")
        if len({one.quantity for one in self.values}) < len(self.values):
            raise ValueError("each quantity once")


@dataclass(frozen=True, slots=True)
class PayloadMappings:
    """All mappings of a folder, by id, and what was wrong with the others."""

    by_id: Mapping[str, PayloadMapping]
    faults: Sequence[Fault]


def load_payload_mappings(folder: Path) -> PayloadMappings:
    """Read every `*.yaml` of `folder`; a file's name is its mapping's id. No folder: none."""
    found: dict[str, PayloadMapping] = {}
    faults: list[Fault] = []
    for path in sorted(folder.glob("*.yaml")):
        loaded = load_yaml(path)
        faults += loaded.faults
        if loaded.faults:
            continue
        try:
            mapping = PayloadMapping.model_validate(loaded.data)
        except ValidationError as error:
            faults += faults_of(error, path, loaded.lines, model=PayloadMapping)
            continue
        if mapping.id != path.stem:
            line = loaded.lines.get(("id",), 0)
            faults.append(Fault(path, line, "id", f"cannot be {mapping.id!r}", f"{path.stem!r}"))
        found[mapping.id] = mapping
    return PayloadMappings(found, faults)
