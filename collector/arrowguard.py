"""Looks over an Arrow IPC stream of strangers before a reader allocates what it declares.

The reader believes every length it reads: eight bytes of a crafted stream make it ask for terabytes
and end the process. Here the lengths alone are read, as flat buffers
(https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc,
format/Message.fbs), and held against the bytes that are there. Pure.
"""

import struct

_SCHEMA, _RECORDS = 1, 3  # MessageHeader; dictionary batches (2) and tensors we never send
_PAIRS = struct.Struct("<qq")


def check(stream: memoryview, rows: int, max_bytes: int) -> None:
    """Return if all lengths are sound.

    Args:
        stream: an Arrow IPC stream of flat columns.
        rows: rows it must have.
        max_bytes: unpacked bytes it may have.

    Raises:
        ValueError: something is wrong with it.
    """
    try:
        found = _walk(stream, rows, max_bytes)
    except struct.error as error:
        raise ValueError("a length points beyond the payload") from error
    if found != rows:
        raise ValueError(f"{found} rows where {rows} were announced")


def _walk(stream: memoryview, rows: int, max_bytes: int) -> int:
    at, found, schemas = 0, 0, 0
    while at < len(stream):
        mark, size = struct.unpack_from("<Ii", stream, at)
        if mark != 0xFFFFFFFF or size < 0:
            raise ValueError("no message where one must begin")
        if size == 0:
            break
        at += 8
        message = stream[at : at + size]
        (root,) = struct.unpack_from("<I", message, 0)
        kind, header, length = _message(message, root)
        at += size
        if not 0 <= length <= len(stream) - at:
            raise ValueError("a body longer than the payload")
        if kind == _SCHEMA and not schemas and not length:
            schemas += 1
        elif kind == _RECORDS and schemas:
            found += _records(message, header, stream[at : at + length], rows, max_bytes)
        else:
            raise ValueError(f"a message of kind {kind} where none belongs")
        at += length
    return found


def _message(data: memoryview, root: int) -> tuple[int, int, int]:
    """Return kind, position of the header and length of the body."""
    kind_at, header_at, length_at = (_field(data, root, n) for n in (1, 2, 3))
    if not kind_at or not header_at:
        raise ValueError("a message without a header")
    kind = struct.unpack_from("<B", data, kind_at)[0]
    header = header_at + struct.unpack_from("<I", data, header_at)[0]
    length = struct.unpack_from("<q", data, length_at)[0] if length_at else 0
    return kind, header, length


def _records(data: memoryview, header: int, body: memoryview, rows: int, max_bytes: int) -> int:
    """Return the rows of a record batch whose lengths are sound."""
    length_at, packed = _field(data, header, 0), _field(data, header, 3)
    length = int(struct.unpack_from("<q", data, length_at)[0]) if length_at else 0
    if not 0 <= length <= rows:
        raise ValueError("more rows than announced")
    if any(count != length or nulls > count for count, nulls in _pairs(data, header, 1)):
        raise ValueError("a column of another length")
    total = 0
    for offset, size in _pairs(data, header, 2):
        if offset < 0 or size < 0 or offset + size > len(body):
            raise ValueError("a column beyond the body")
        if packed and 0 < size < 8:
            raise ValueError("a packed column without its length")
        unpacked = struct.unpack_from("<q", body, offset)[0] if packed and size else -1
        if unpacked < -1:
            raise ValueError("a column of negative length")
        total += max(unpacked, size)
    if total > max_bytes:
        raise ValueError(f"{total} bytes unpacked")
    return length


def _pairs(data: memoryview, table: int, number: int) -> list[tuple[int, int]]:
    """Return a vector of structs of two 64-bit numbers."""
    at = _field(data, table, number)
    if not at:
        return []
    at += struct.unpack_from("<I", data, at)[0]
    (count,) = struct.unpack_from("<I", data, at)
    if at + 4 + count * _PAIRS.size > len(data):
        raise ValueError("a list longer than its message")
    return [_PAIRS.unpack_from(data, at + 4 + n * _PAIRS.size) for n in range(count)]


def _field(data: memoryview, table: int, number: int) -> int:
    """Return where a table's field is, 0: it is absent."""
    (back,) = struct.unpack_from("<i", data, table)
    virtual = table - back
    if virtual < 0:
        raise ValueError("a table outside its message")
    (size,) = struct.unpack_from("<H", data, virtual)
    slot = 4 + 2 * number
    offset = struct.unpack_from("<H", data, virtual + slot)[0] if slot < size else 0
    return table + offset if offset else 0
