"""One question and its answer, over as many frames as it takes; pure.

An answer counts only if meter, control code and identifier are those asked for; all else on the
line (late answers, other masters, echoes, broadcasts) is passed over. What does not fit in one
frame is asked for with a sequence number from 1 behind the identifier (the standard's "read
follow-up data"); the answer repeats it as its last byte.
"""

from dataclasses import dataclass, field

from collector.dlt645.frames import (
    ANSWER,
    MORE,
    READ,
    READ_ADDRESS,
    READ_MORE,
    REFUSED,
    WILDCARD,
    Frame,
    errors_of,
)

_DI = 4
_LONGEST = 2048
"""Bytes of the longest joined answer we take: many times the largest block we ask for."""


class RefusedError(Exception):
    """The meter answered with an error word, or with what cannot be right."""

    def __init__(self, text: str, *, missing: bool = False) -> None:
        super().__init__(text)
        self.missing = missing
        """Whether it says that it has no such data."""


@dataclass(slots=True)
class Exchange:
    """Reads one identifier of one meter."""

    address: bytes
    di: int
    _joined: bytes = b""
    _seq: int = 0
    passed_over: list[Frame] = field(default_factory=list)
    """Frames that were no answer to this question; for the message if none comes."""

    def request(self) -> Frame:
        """Return the frame to send now: the question, or what asks for the rest of the answer."""
        data = self.di.to_bytes(_DI, "little")
        if self._seq == 0:
            return Frame(self.address, READ, data)
        return Frame(self.address, READ_MORE, data + bytes([self._seq]))

    def take(self, frame: Frame) -> bool | bytes:
        """Take one frame from the line.

        Returns:
            The complete payload behind the identifier; True if `request` must be sent again for
            more of it; False if the frame is none of ours and waiting goes on.

        Raises:
            RefusedError: the meter refused.
        """
        asked = READ if self._seq == 0 else READ_MORE
        if frame.address != self.address or frame.control & ~(REFUSED | MORE) != asked | ANSWER:
            return self._pass_over(frame)
        if frame.control & REFUSED:
            raise self._refused(frame)
        if frame.data[:_DI] != self.di.to_bytes(_DI, "little"):
            return self._pass_over(frame)
        body = frame.data[_DI:]
        if self._seq:
            if not body or body[-1] != self._seq:
                return self._pass_over(frame)
            body = body[:-1]
        self._joined += body
        if not frame.control & MORE:
            return self._joined
        if self._seq == 255 or len(self._joined) > _LONGEST:
            raise RefusedError(f"{self.di:08X}: an answer without end")
        self._seq += 1
        return True

    def _refused(self, frame: Frame) -> RefusedError:
        if len(frame.data) != 1:
            return RefusedError(f"{self.di:08X}: refused, without an error word")
        word = frame.data[0]
        return RefusedError(f"{self.di:08X}: {errors_of(word)}", missing=bool(word & 0x02))

    def _pass_over(self, frame: Frame) -> bool:
        self.passed_over.append(frame)
        return False


@dataclass(slots=True)
class AddressQuestion:
    """Asks the only meter of a line for its address; several would answer at once, unheard."""

    passed_over: list[Frame] = field(default_factory=list)

    def request(self) -> Frame:
        """Return the frame to send."""
        return Frame(WILDCARD, READ_ADDRESS)

    def take(self, frame: Frame) -> bool | bytes:
        """Take one frame; return the address as it travels, False if it is none of ours."""
        if frame.control != READ_ADDRESS | ANSWER or frame.data != frame.address:
            self.passed_over.append(frame)
            return False
        return frame.data
