"""Sparkplug B payloads: bytes to metrics; the one user of protobuf. Pure.

The messages are described here by the field numbers of the Sparkplug specification 3.0.0, 6.4.1;
what no meter sends (data sets, templates, files) is skipped as an unknown field.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

Number = int | float

_TYPES = {
    "uint32": descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
    "uint64": descriptor_pb2.FieldDescriptorProto.TYPE_UINT64,
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    "float": descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT,
    "double": descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
}
_FIELDS = {
    "PropertyValue": "1 type uint32, 2 is_null bool, 3 int_value uint32, 4 long_value uint64",
    "PropertySet": "1 keys string*, 2 values PropertyValue*",
    "Metric": "1 name string, 2 alias uint64, 3 timestamp uint64, 4 datatype uint32,"
    " 5 is_historical bool, 7 is_null bool, 9 properties PropertySet, 10 int_value uint32,"
    " 11 long_value uint64, 12 float_value float, 13 double_value double, 14 boolean_value bool,"
    " 15 string_value string",
    "Payload": "1 timestamp uint64, 2 metrics Metric*, 3 seq uint64",
}
"""Field numbers, names and types; a star: repeated."""
_SIGNED_BITS = {1: 8, 2: 16, 3: 32, 4: 64}
"""Data types whose values are two's complement in unsigned fields (6.4.16): Int8 to Int64."""
_VALUES = (
    "int_value", "long_value", "float_value", "double_value", "boolean_value", "string_value",
)  # fmt: skip
BOOLEAN = 11
GOOD = 192
"""The quality code of a good value (6.4.15)."""


class Metric(NamedTuple):
    """One metric of a payload."""

    name: str | None
    alias: int | None
    timestamp_ms: int | None
    datatype: int | None
    raw: Number | bool | str | None
    """As on the wire: a signed integer is told from an unsigned one by the data type alone."""
    quality: int | None
    """The property `Quality`; None: not stated."""


class Payload(NamedTuple):
    """One message."""

    timestamp_ms: int | None
    seq: int | None
    metrics: tuple[Metric, ...]


class SparkplugError(ValueError):
    """The bytes are no Sparkplug B payload."""


class Codec:
    """Reads payloads and writes the one we send."""

    def __init__(self) -> None:
        """Build the message classes, in a pool of their own."""
        file = descriptor_pb2.FileDescriptorProto(
            name="demandwatch_sparkplug.proto", package="demandwatch.sparkplug", syntax="proto2"
        )
        for name, fields in _FIELDS.items():
            _describe(file.message_type.add(name=name), fields)
        pool = descriptor_pool.DescriptorPool()
        pool.Add(file)
        found = pool.FindMessageTypeByName("demandwatch.sparkplug.Payload")
        self._payload: Callable[[], Any] = message_factory.GetMessageClass(found)

    def decode(self, data: bytes) -> Payload:
        """Return what `data` says.

        Raises:
            SparkplugError: it is no payload.
        """
        message = self._payload()
        try:
            message.ParseFromString(data)
        except (DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise SparkplugError(str(error) or type(error).__name__) from error
        return Payload(
            _given(message, "timestamp"),
            _given(message, "seq"),
            tuple(_metric(one) for one in message.metrics),
        )

    def rebirth(self, now_ms: int) -> bytes:
        """Return the command `Node Control/Rebirth` (6.4.20)."""
        message = self._payload()
        message.timestamp = now_ms
        command = message.metrics.add(name="Node Control/Rebirth", timestamp=now_ms)
        command.datatype, command.boolean_value = BOOLEAN, True
        return bytes(message.SerializeToString())


def number(raw: Number | bool | str | None, datatype: int | None) -> Number | bool | str | None:
    """Return a metric's value; what is no number stays as it is."""
    bits = _SIGNED_BITS.get(datatype or 0)
    if bits is None or type(raw) is not int:
        return raw
    low = raw & ((1 << bits) - 1)
    return low - (1 << bits) if low >> (bits - 1) else low


def _describe(message: descriptor_pb2.DescriptorProto, fields: str) -> None:
    for one in fields.split(", "):
        place, name, kind = one.split()
        field = message.field.add(name=name, number=int(place))
        repeated = kind.endswith("*")
        field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
        kind = kind.rstrip("*")
        if kind in _TYPES:
            field.type = _TYPES[kind]
        else:
            field.type, field.type_name = field.TYPE_MESSAGE, f".demandwatch.sparkplug.{kind}"


def _given(message: Any, name: str) -> Any:  # noqa: ANN401 - protobuf's classes are made at run time
    return getattr(message, name) if message.HasField(name) else None


def _metric(message: Any) -> Metric:  # noqa: ANN401 - same
    raw = None
    if not message.is_null:
        raw = next((getattr(message, one) for one in _VALUES if message.HasField(one)), None)
    return Metric(
        _given(message, "name"),
        _given(message, "alias"),
        _given(message, "timestamp"),
        _given(message, "datatype"),
        raw,
        _quality(message.properties),
    )


def _quality(properties: Any) -> int | None:  # noqa: ANN401 - same
    for key, value in zip(properties.keys, properties.values, strict=False):
        if key == "Quality" and not value.is_null:
            long = value.HasField("long_value")
            return int(value.long_value if long else value.int_value)
    return None
