"""Frames of DL/T 645-2007: bytes to frames and back; pure.

A frame (link layer of the standard): 68H, six address bytes, 68H, control code, length of the
data, data, checksum, 16H. Every data byte travels with 33H added. The address is twelve decimal
digits, two a byte, the last two first. Any number of bytes FEH may run ahead to wake the receiver.
"""

from dataclasses import dataclass

START, END, WAKE, OFFSET = 0x68, 0x16, 0xFE, 0x33
READ, READ_MORE, READ_ADDRESS = 0x11, 0x12, 0x13
"""Requests: data by identifier; what did not fit in the answer's frame; the meter's address."""
BROADCAST_TIME = 0x08
"""Sets the clocks of all meters on a line, unanswered. We never send it, we only meet it."""
ANSWER, REFUSED, MORE = 0x80, 0x40, 0x20
"""Bits of an answer's control code: from the meter; an error; further frames are to be asked for.
So 91H and 92H answer, B1H and B2H announce more, D1H and D2H refuse."""
WILDCARD = b"\xaa" * 6
"""Address that every meter answers to: only where a single one hangs on the line."""
BROADCAST = b"\x99" * 6
_HEAD = 10
_TAIL = 2
LONGEST = _HEAD + 255 + _TAIL
"""Bytes of the longest frame a length byte can announce; the standard allows 200 of data."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, its data without the 33H."""

    address: bytes
    """Six bytes as they travel: the last two digits first."""
    control: int
    data: bytes = b""

    @property
    def answers(self) -> bool:
        """Whether a meter sent it; else it is a request: another master's, or an echo of ours."""
        return bool(self.control & ANSWER)


def address_of(digits: str) -> bytes:
    """Return the address bytes of twelve decimal digits.

    Raises:
        ValueError: it is not twelve digits.
    """
    if len(digits) != 12 or not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{digits!r} is no address: twelve digits, as on the meter's plate")
    return bytes.fromhex(digits)[::-1]


def digits_of(address: bytes) -> str:
    """Return an address as people read it; digits that are none appear in hexadecimal."""
    return address[::-1].hex().upper()


def encode(frame: Frame, wake: int = 0) -> bytes:
    """Return the bytes of a frame, with `wake` bytes FEH ahead.

    Raises:
        ValueError: the address is not six bytes, or the data are longer than 255.
    """
    if len(frame.address) != 6 or len(frame.data) > 255:
        raise ValueError("a frame has six address bytes and at most 255 of data")
    head = bytes([START, *frame.address, START, frame.control, len(frame.data)])
    body = head + bytes((one + OFFSET) & 0xFF for one in frame.data)
    return bytes([WAKE]) * wake + body + bytes([sum(body) & 0xFF, END])


def scan(heard: bytes) -> tuple[list[Frame], bytes]:
    """Return the sound frames in a stream of bytes, and the rest that may yet become one.

    Whatever is no frame is passed over: wake bytes, noise, frames with a wrong checksum. A 68H of
    noise that seems to announce a long frame does not hide a sound frame behind it.
    """
    frames: list[Frame] = []
    at, waiting = 0, None
    while (start := heard.find(START, at)) >= 0:
        end = _end(heard, start)
        if end is None:  # not all of it came yet, or it is noise: look behind it, but keep it
            waiting = start if waiting is None else waiting
            at = start + 1
        elif end:
            frames.append(_frame(heard[start:end]))
            at, waiting = end, None
        else:
            at = start + 1
    return frames, b"" if waiting is None else heard[waiting:][-LONGEST:]


def _end(heard: bytes, start: int) -> int | None:
    """Return where the frame at `start` ends; 0: there is none; None: more bytes are needed."""
    if len(heard) - start > 7 and heard[start + 7] != START:
        return 0
    if len(heard) - start < _HEAD:
        return None
    end = start + _HEAD + heard[start + 9] + _TAIL
    if len(heard) < end:
        return None
    sound = heard[end - 1] == END and sum(heard[start : end - 2]) & 0xFF == heard[end - 2]
    return end if sound else 0


def _frame(raw: bytes) -> Frame:
    data = bytes((one - OFFSET) & 0xFF for one in raw[_HEAD:-_TAIL])
    return Frame(raw[1:7], raw[8], data)


def errors_of(word: int) -> str:
    """Return what an error word says (appendix C of the standard, ERR)."""
    meanings = (
        "other error",
        "no such data",
        "wrong password or not authorised",
        "the baud rate cannot be changed",
        "too many yearly periods",
        "too many daily periods",
        "too many rates",
        "reserved bit 7",
    )
    said = [text for bit, text in enumerate(meanings) if word >> bit & 1]
    return f"error word {word:02X}H: {', '.join(said) or 'no bit is set'}"
