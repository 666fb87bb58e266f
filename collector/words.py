"""Register types: how many 16-bit words a number fills and what they mean; pure, vectorised.

Modbus Application Protocol V1.1b3, 4.2: a word is sent most significant byte first. How longer
numbers are laid over words is the maker's choice; all four combinations of word and byte order are
known here.

- `u`, `s`, `f`: unsigned, two's complement, IEEE 754; the number behind is the bits.
- `bcd`: packed decimal, four digits a word; a nibble above 9 is no digit.
- `mod10x2` to `mod10x4`: each word holds 0 to 9999 (Schneider Electric calls it MOD10).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint16]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Order = Literal["big", "little"]
Type = Literal[
    "u16", "s16", "u32", "s32", "u48", "s48", "u64", "s64", "f32", "f64",
    "bcd16", "bcd32", "bcd48", "bcd64", "mod10x2", "mod10x3", "mod10x4",
]  # fmt: skip

WORDS: dict[str, int] = {
    "u16": 1, "s16": 1, "u32": 2, "s32": 2, "u48": 3, "s48": 3, "u64": 4, "s64": 4,
    "f32": 2, "f64": 4, "bcd16": 1, "bcd32": 2, "bcd48": 3, "bcd64": 4,
    "mod10x2": 2, "mod10x3": 3, "mod10x4": 4,
}  # fmt: skip
"""16-bit words each register type fills."""

_NUMPY = {"u": "u", "s": "i", "f": "f"}
_SIGN = 0x8000
_DIGITS = 10**4
"""One word of BCD or mod10 holds four decimal digits."""


def modulus_of(kind: str) -> float | None:
    """Return the raw number at which a counter of this type starts again at 0.

    None for floats and signed numbers: what a meter does at their end is not a matter of width.
    """
    if kind[0] == "u":
        return float(2 ** (16 * WORDS[kind]))
    return float(_DIGITS ** WORDS[kind]) if kind[:3] in {"bcd", "mod"} else None


@dataclass(frozen=True, slots=True)
class Raw:
    """The numbers of one register in many polls."""

    number: Floats
    """Shape (polls,), before scale and offset; anything where `bad`."""
    unsigned: NDArray[np.unsignedinteger]
    """The same words as one unsigned number, most significant word first: what sentinels are
    compared with."""
    bad: Bools | None
    """Words that are no number of this type: a BCD nibble above 9, a mod10 word above 9999; None
    where every pattern is a number."""


def unpack(kind: str, part: Words, word_order: Order = "big", byte_order: Order = "big") -> Raw:
    """Turn words as they came, shape (polls, WORDS[kind]), into numbers."""
    if word_order == "little":
        part = part[:, ::-1]
    if byte_order == "little":
        part = part.byteswap()
    size = WORDS[kind]
    packed = np.ascontiguousarray(part, dtype=">u2")
    unsigned = _three(packed) if size == 3 else packed.view(f">u{2 * size}")[:, 0]
    if kind[:3] == "bcd":
        shifts = np.arange(16 * size - 4, -4, -4, dtype=np.uint64)
        return _decimal(
            unsigned, (unsigned.astype(np.uint64)[:, None] >> shifts) & np.uint64(15), 10
        )
    if kind[:3] == "mod":
        return _decimal(unsigned, packed, _DIGITS)
    if size != 3:
        numbers = packed.view(f">{_NUMPY[kind[0]]}{2 * size}")[:, 0]
        with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN like another
            return Raw(numbers.astype(np.float64), unsigned, None)
    number = unsigned.astype(np.float64)
    if kind[0] == "s":
        number[packed[:, 0] >= _SIGN] -= 2.0**48
    return Raw(number, unsigned, None)


def _three(packed: NDArray[np.uint16]) -> NDArray[np.unsignedinteger]:
    wide = np.zeros((len(packed), 4), dtype=">u2")
    wide[:, 1:] = packed
    return wide.view(">u8")[:, 0]


def _decimal(
    unsigned: NDArray[np.unsignedinteger], places: NDArray[np.unsignedinteger], base: int
) -> Raw:
    """Sum the decimal places, shape (polls, places), the most significant first."""
    weights = float(base) ** np.arange(places.shape[1] - 1, -1, -1)
    return Raw(places.astype(np.float64) @ weights, unsigned, np.any(places >= base, axis=1))


def pack(
    kind: str, number: float, word_order: Order = "big", byte_order: Order = "big"
) -> list[int]:
    """Return the words a meter shows for `number`, in the order they are sent.

    Integers are rounded and wrap at the width of the type, as a real counter does.

    Raises:
        ValueError: a negative number for a decimal type; no number.
    """
    size = WORDS[kind]
    if kind[0] == "f":
        data = np.array(number, dtype=f">f{2 * size}").tobytes()
        return pack_bits(int.from_bytes(data, "big"), size, word_order, byte_order)
    whole = round(number)
    if kind[:3] in {"bcd", "mod"}:
        if whole < 0:
            raise ValueError(f"{kind} holds no negative number: {number}")
        whole = _bits_of_digits(whole % _DIGITS**size, size, packed=kind[0] == "b")
    return pack_bits(whole % (1 << (16 * size)), size, word_order, byte_order)


def _bits_of_digits(whole: int, size: int, *, packed: bool) -> int:
    if packed:
        return int(str(whole), 16)
    words = [whole // _DIGITS**place % _DIGITS for place in range(size)]
    return sum(word << (16 * place) for place, word in enumerate(words))


def pack_bits(bits: int, size: int, word_order: Order, byte_order: Order) -> list[int]:
    """Lay an unsigned number of `size` words out in the order they are sent."""
    words = [bits >> (16 * place) & 0xFFFF for place in reversed(range(size))]
    if word_order == "little":
        words.reverse()
    if byte_order == "little":
        words = [(word >> 8) | (word & 0xFF) << 8 for word in words]
    return words
