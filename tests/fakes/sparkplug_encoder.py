"""Sparkplug B payloads written with plain varints, independently of any protobuf library.

Field numbers and data types: Eclipse Sparkplug Specification 3.0.0, 6.4.
"""

import struct

TYPES = {
    "Int8": 1, "Int16": 2, "Int32": 3, "Int64": 4, "UInt8": 5, "UInt16": 6, "UInt32": 7,
    "UInt64": 8, "Float": 9, "Double": 10, "Boolean": 11, "String": 12,
}  # fmt: skip


def varint(value):
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def blob(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def value_field(kind, value):
    if kind in {"Int8", "Int16", "Int32", "UInt8", "UInt16", "UInt32"}:
        return number(10, value & 0xFFFFFFFF)
    if kind in {"Int64", "UInt64"}:
        return number(11, value & 0xFFFFFFFFFFFFFFFF)
    if kind == "Float":
        return varint(12 << 3 | 5) + struct.pack("<f", value)
    if kind == "Double":
        return varint(13 << 3 | 1) + struct.pack("<d", value)
    if kind == "Boolean":
        return number(14, int(value))
    return blob(15, value.encode())


def metric(kind, value, name=None, alias=None, at=None, typed=True, quality=None, historical=False):
    """`value` None: is_null. `typed`: data messages may leave the data type to the birth."""
    out = b""
    if name is not None:
        out += blob(1, name.encode())
    if alias is not None:
        out += number(2, alias)
    if at is not None:
        out += number(3, at)
    if typed:
        out += number(4, TYPES[kind])
    if historical:
        out += number(5, 1)
    if value is None:
        return out + number(7, 1)
    if quality is not None:
        stated = number(1, TYPES["Int32"]) + number(3, quality)
        out += blob(9, blob(1, b"Quality") + blob(2, stated))
    return out + value_field(kind, value)


def payload(*metrics, seq=None, at=None):
    out = number(1, at) if at is not None else b""
    out += b"".join(blob(2, one) for one in metrics)
    return out + (number(3, seq) if seq is not None else b"")
