"""What may go wrong between a simulated Modbus meter and its reader: on the wire, not in values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from collector.modbusframes import rtu, tcp
from collector.site import Identifier, Strict


class Wire(StrEnum):
    """Kinds of wire fault; each is one that real lines have."""

    TIMEOUT = "timeout"
    """No answer."""
    LATE = "late"
    """The answer comes `delay_s` after its request: with a stale transaction id, if numbered."""
    OUT_OF_ORDER = "out_of_order"
    """The answer is kept until the next request has come, and goes out before the answer to it."""
    STALE_TRANSACTION = "stale_transaction"
    """The answer carries the number of the request before; without numbers it is sound."""
    DOUBLED = "doubled"
    """The answer comes twice, as from a radio repeater."""
    STRAY_FRAME = "stray_frame"
    """Somebody else's broadcast comes just before the answer."""
    WRONG_CRC = "wrong_crc"
    """The check does not fit; over TCP, which has none, the protocol id is wrong."""
    PARTIAL_FRAME = "partial_frame"
    """Only the first half of the answer comes."""
    EXCEPTION = "exception"
    """Modbus exception `code`."""
    SWAPPED_WORDS = "swapped_words"
    """Numbers of several words come with their words in the other order."""
    HANG_UP = "hang_up"
    """The connection is closed instead of an answer (not on a serial device)."""


class WireFault(Strict):
    """One wire fault of one meter."""

    meter: Identifier
    kind: Wire
    after_s: Annotated[float, Field(ge=0)] = 0.0
    """Site seconds after the fleet's start."""
    for_s: Annotated[float, Field(gt=0)] | None = None
    """Site seconds it lasts; None: to the end."""
    every: Annotated[int, Field(ge=1)] = 1
    """Each so many requests of the meter one is hit; 1: all."""
    delay_s: Annotated[float, Field(gt=0, le=600)] = 2.0
    """For `late`: real seconds."""
    code: Annotated[int, Field(ge=1, le=255)] = 4
    """For `exception`: 4 is "server device failure", 6 "busy", 11 "gateway: no answer"."""


@dataclass(slots=True)
class Nuisance:
    """The wire faults of one simulated meter, over time."""

    faults: Sequence[WireFault]
    started: datetime
    asked: int = 0

    def next(self, now: datetime) -> WireFault | None:
        """Return what befalls the request that has just come."""
        self.asked += 1
        for one in self.faults:
            start = self.started + timedelta(seconds=one.after_s)
            over = one.for_s is not None and now >= start + timedelta(seconds=one.for_s)
            if start <= now and not over and self.asked % one.every == 0:
                return one
        return None


def framed(numbered: bool, transaction: int, unit: int, pdu: bytes) -> bytes:
    """Return a sound frame."""
    return tcp(transaction, unit, pdu) if numbered else rtu(unit, pdu)


def spoiled(kind: Wire, numbered: bool, transaction: int, unit: int, pdu: bytes) -> bytes:
    """Return what comes in place of one sound answer.

    Args:
        kind: the fault; those of timing and of content leave the frame as it is.
        numbered: frames of Modbus TCP, else RTU.
        transaction: number of the request.
        unit: of the meter.
        pdu: the answer.
    """
    frame = framed(numbered, transaction, unit, pdu)
    if kind is Wire.STALE_TRANSACTION:
        return framed(numbered, (transaction - 1) % 65536, unit, pdu)
    if kind is Wire.DOUBLED:
        return frame + frame
    if kind is Wire.STRAY_FRAME:
        # unit 0, function 6: a broadcast that sets a register
        return framed(numbered, 0, 0, bytes([6, 0, 42, 0, 1])) + frame
    if kind is Wire.WRONG_CRC:
        at = 2 if numbered else len(frame) - 1
        return frame[:at] + bytes([frame[at] ^ 0x55]) + frame[at + 1 :]
    return frame[: len(frame) // 2] if kind is Wire.PARTIAL_FRAME else frame
