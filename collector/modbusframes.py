"""Modbus frames: the answers found in what a line carries, and frames to put on one; pure.

Modbus Application Protocol V1.1b3 (functions 3 and 4, exceptions), Messaging on TCP/IP V1.0b
(header with transaction id), Modbus over Serial Line V1.02 (RTU: CRC, no numbering).
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

_READ = struct.Struct(">BHH")
_ERROR = 0x80
"""Bit of the function code that marks an exception."""
_MIN_RTU = 5
"""Bytes of an exception, the shortest answer: unit, function, code, CRC."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request for registers."""

    unit: int
    function: int
    start: int
    count: int
    turn: int = 0
    """Tells this reading of a block from earlier ones; its repetitions share it."""


class Answer(NamedTuple):
    """One answer, whole and undamaged as far as its frame can tell."""

    unit: int
    function: int
    """Without the error bit."""
    words: bytes
    code: int = 0
    """Exception code; 0: none."""

    def fits(self, ask: Ask) -> bool:
        """Return whether `ask` may have caused this: unit, function and number of bytes agree."""
        if (self.unit, self.function) != (ask.unit, ask.function):
            return False
        return bool(self.code) or len(self.words) == 2 * ask.count


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC = _crc_table()


def crc16(data: bytes) -> bytes:
    """Return the check of an RTU frame, low byte first (Modbus over Serial Line, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def rtu(unit: int, pdu: bytes) -> bytes:
    """Return an RTU frame."""
    body = bytes([unit]) + pdu
    return body + crc16(body)


def tcp(transaction: int, unit: int, pdu: bytes) -> bytes:
    """Return a Modbus TCP frame."""
    return b"%b\0\0%b%c%b" % (transaction.to_bytes(2), (len(pdu) + 1).to_bytes(2), unit, pdu)


def read_pdu(ask: Ask) -> bytes:
    """Return a request's PDU.

    Raises:
        struct.error: a number does not fit its field.
    """
    return _READ.pack(ask.function, ask.start, ask.count)


def answer_pdu(function: int, words: bytes) -> bytes:
    """Return an answer's PDU."""
    return bytes([function, len(words)]) + words


def exception_pdu(function: int, code: int) -> bytes:
    """Return an exception's PDU."""
    return bytes([function | _ERROR, code])


def find_tcp(buffer: bytes, transaction: int, ask: Ask) -> tuple[int, Answer | None]:
    """Find the answer that carries `transaction`; whatever else the stream holds is passed over.

    The header is searched for, not counted to: after a frame that broke off in the middle the next
    whole one is found all the same. Frames of other transactions never match.

    Returns:
        How many bytes need not be shown again, and the answer once it is complete. Its words are
        empty if the frame contradicts itself.
    """
    head = transaction.to_bytes(2) + b"\0\0"
    at = buffer.find(head)
    while at >= 0:
        body = buffer[at + 4 : at + 9]
        if len(body) < 5:
            return at, None
        size, unit, function = int.from_bytes(body[:2]), body[2], body[3]
        mine = ask.unit in {unit, 0}  # asked for unit 0, a device answers as it likes
        if mine and function & ~_ERROR == ask.function and 3 <= size <= 254:
            end = at + 6 + size
            if len(buffer) < end:
                return at, None
            return end, _of_pdu(ask.unit, buffer[at + 7 : end])
        at = buffer.find(head, at + 1)
    return max(0, len(buffer) - len(head) + 1), None


def _of_pdu(unit: int, pdu: bytes) -> Answer:
    if pdu[0] & _ERROR:
        return Answer(unit, pdu[0] & ~_ERROR, b"", code=pdu[1])
    words = pdu[2:]
    return Answer(unit, pdu[0], words if len(words) == pdu[1] else b"")


def split_rtu(buffer: bytes) -> tuple[int, list[Answer]]:
    """Find all whole answers to functions 3 and 4, of any unit; noise between them is passed over.

    RTU has no mark where a frame begins: one is tried at each byte, and its CRC decides. Foreign
    requests, broadcasts, echoes and torn frames are thus noise, and do not hide what follows.

    Returns:
        How many bytes need not be shown again, and the answers in order.
    """
    answers: list[Answer] = []
    at, hold = 0, -1
    while at < len(buffer):
        size = _rtu_size(buffer, at)
        if size and at + size > len(buffer):
            hold = at if hold < 0 else hold
        elif size and crc16(buffer[at : at + size - 2]) == buffer[at + size - 2 : at + size]:
            answers.append(_of_pdu(buffer[at], buffer[at + 1 : at + size - 2]))
            at, hold = at + size, -1
            continue
        at += 1
    return (len(buffer) if hold < 0 else hold), answers


def _rtu_size(buffer: bytes, at: int) -> int:
    """Return the size of the answer that may begin at `at`; 0: none can."""
    head = buffer[at + 1 : at + 3]
    if head and head[0] & ~_ERROR not in {3, 4}:
        return 0
    if len(head) < 2 or head[0] & _ERROR:
        return _MIN_RTU
    return 5 + head[1] if 2 <= head[1] <= 250 and head[1] % 2 == 0 else 0
