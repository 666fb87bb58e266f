"""What simulated DL/T 645 meters answer, faults included; pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from collector.dlt645.frames import (
    ANSWER,
    BROADCAST,
    BROADCAST_TIME,
    MORE,
    READ,
    READ_ADDRESS,
    READ_MORE,
    REFUSED,
    WILDCARD,
    Frame,
    address_of,
    encode,
)
from collector.dlt645.items import ITEMS
from collector.dlt645.items import encode as encode_item
from collector.dlt645.meterclock import clock_bytes
from collector.simulator.dlt645_manners import LineFault

_OTHER_ERROR, _NO_SUCH_DATA = 0x01, 0x02


@dataclass(frozen=True, slots=True)
class Showing:
    """What a meter shows at an instant, and how it answers."""

    values: Mapping[str, float | None]
    """Secondary values by quantity; None shows FFH. An item none of whose quantities is here is
    refused: the meter has no such data."""
    fault: LineFault | None = None
    wake: int = 4
    """Bytes FEH ahead of each answer."""
    frame_bytes: int = 0
    """Bytes of payload in one frame; 0: all in one."""
    clock_ahead_s: float = 0.0
    """The meter's clock minus the true time."""
    late_s: float = 1.0
    """For LATE."""


@dataclass(frozen=True, slots=True)
class Meter:
    """One simulated meter."""

    address: str
    show: Callable[[datetime], Showing]
    zone: ZoneInfo


@dataclass(slots=True)
class Answerer:
    """Answers what is asked on one line."""

    meters: Sequence[Meter]
    now: Callable[[], datetime]
    _long: dict[tuple[bytes, bytes], bytes] = field(default_factory=dict)
    """Meter and identifier -> the payload whose rest may yet be asked for."""

    def answer(self, asked: Frame) -> list[tuple[float, bytes]]:
        """Return (pause in s, bytes) to send; nothing if no meter is meant."""
        meant = [one for one in self.meters if address_of(one.address) == asked.address]
        if asked.address == WILDCARD and len(self.meters) == 1:
            meant = list(self.meters)
        if not meant or asked.answers:
            return []
        at = self.now()
        showing = meant[0].show(at)
        if showing.fault is LineFault.SILENT:
            return []
        answer = self._frame(meant[0], showing, at, asked)
        return [] if answer is None else _sent(answer, showing)

    def _frame(self, meter: Meter, showing: Showing, at: datetime, asked: Frame) -> Frame | None:
        address = address_of(meter.address)
        if asked.control == READ_ADDRESS:
            return Frame(address, READ_ADDRESS | ANSWER, address)
        if asked.control == READ_MORE and len(asked.data) == 5:
            return self._rest(address, showing, asked)
        if asked.control != READ or len(asked.data) != 4:
            return None
        payload = _payload(meter, showing, at, int.from_bytes(asked.data, "little"))
        if payload is None or showing.fault is LineFault.REFUSED:
            return Frame(address, READ | ANSWER | REFUSED, bytes([_NO_SUCH_DATA]))
        self._long[address, asked.data] = payload
        return _part(address, showing, asked.data, payload, 0)

    def _rest(self, address: bytes, showing: Showing, asked: Frame) -> Frame | None:
        if showing.fault is LineFault.LOST_FOLLOW_UP:
            return None
        di, seq = asked.data[:4], asked.data[4]
        payload = self._long.get((address, di), b"")
        if seq * showing.frame_bytes >= len(payload):
            return Frame(address, READ_MORE | ANSWER | REFUSED, bytes([_OTHER_ERROR]))
        return _part(address, showing, di, payload, seq)


def _payload(meter: Meter, showing: Showing, at: datetime, di: int) -> bytes | None:
    clock = clock_bytes(at + timedelta(seconds=showing.clock_ahead_s), meter.zone)
    if di in clock:
        return clock[di]
    item = next((one for one in ITEMS.values() if di in one.dis), None)
    if item is None or not any(name in showing.values for name in item.quantities):
        return None
    payload = encode_item(item, di, showing.values, meter.zone)
    if showing.fault is LineFault.BAD_DIGITS:
        return bytes([0x0A, *payload[1:]])
    return payload


def _part(address: bytes, showing: Showing, di: bytes, payload: bytes, seq: int) -> Frame:
    size = showing.frame_bytes or len(payload)
    piece = payload[seq * size : (seq + 1) * size]
    control = (READ_MORE if seq else READ) | ANSWER
    if (seq + 1) * size < len(payload):
        control |= MORE
    told = seq + 1 if showing.fault is LineFault.WRONG_SEQUENCE else seq
    return Frame(address, control, di + piece + (bytes([told]) if seq else b""))


def _sent(answer: Frame, showing: Showing) -> list[tuple[float, bytes]]:
    fault = showing.fault
    if fault is LineFault.SWAPPED_ADDRESS:
        answer = Frame(answer.address[::-1], answer.control, answer.data)
    if fault is LineFault.WRONG_ITEM:
        answer = Frame(answer.address, answer.control, b"\x07" + answer.data[1:])
    raw = encode(answer, showing.wake)
    if fault is LineFault.CHECKSUM:
        raw = raw[:-2] + bytes([raw[-2] ^ 0x01]) + raw[-1:]
    if fault is LineFault.PARTIAL:
        raw = raw[: showing.wake + (len(raw) - showing.wake) // 2]
    if fault is LineFault.NOISE:
        other = encode(Frame(BROADCAST, BROADCAST_TIME, bytes.fromhex("000012231126")), 2)
        raw = b"\x00\x68\xff\x68\x10\x68" + other + b"\x16\x68" + raw
    if fault is LineFault.DOUBLED:
        raw += raw
    return [(showing.late_s if fault is LineFault.LATE else 0.0, raw)]
