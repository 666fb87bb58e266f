"""Who a meter says it is: the `identity` section of a profile, planned and decoded; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collector.profiles import Identity, Profile
from collector.registers import Block
from collector.words import pack, unpack


@dataclass(frozen=True, slots=True)
class Identified:
    """One answer of the meter about itself."""

    what: str
    """`maker`, `model`, `serial_number`, `firmware` or `hardware`."""
    value: str
    """Text as shown; numbers in decimal."""
    expected: bool | None
    """Whether it is what the profile expects; None: the profile expects nothing."""


def block_of(profile: Profile, one: Identity) -> Block:
    """Return the request that reads one entry of the identity section."""
    return Block(one.function or profile.function, one.address, one.size)


def identify(profile: Profile, one: Identity, words: Sequence[int]) -> Identified | None:
    """Decode the answer to `block_of`.

    Returns:
        None where the words state nothing: digits that are none, an empty text or one that is not
        ASCII.
    """
    order = one.byte_order or profile.byte_order
    if one.type == "ascii":
        text = _text(words, order)
        if text is None:
            return None
        told = text in one.expect if one.expect else text.startswith(one.prefix)
        return Identified(one.what, text, told if one.expect or one.prefix else None)
    part = np.array([words], dtype=np.uint16)
    raw = unpack(one.type, part, one.word_order or profile.word_order, order)
    number = float(raw.number[0])
    if (raw.bad is not None and raw.bad[0]) or not np.isfinite(number):
        return None
    value = str(int(number)) if number.is_integer() else f"{number:g}"
    expected = any(value == str(each) for each in one.expect)
    return Identified(one.what, value, expected if one.expect else None)


def shown(profile: Profile) -> dict[tuple[int, int], int]:
    """Return what a simulated meter says of itself, as the profile expects it.

    (function, address) -> word; nothing where the profile expects nothing.
    """
    image: dict[tuple[int, int], int] = {}
    for one in profile.identity:
        told = one.expect[0] if one.expect else one.prefix
        orders = one.word_order or profile.word_order, one.byte_order or profile.byte_order
        if told == "":
            continue
        if one.type == "ascii":
            data = str(told).encode("ascii").ljust(2 * one.size, b"\0")
            pairs = [data[i : i + 2] for i in range(0, len(data), 2)]
            words = [int.from_bytes(pair, orders[1]) for pair in pairs]
        else:
            words = pack(one.type, float(told), *orders)
        function = one.function or profile.function
        image |= {(function, one.address + i): word for i, word in enumerate(words)}
    return image


def _text(words: Sequence[int], order: str) -> str | None:
    """Return the text of the words; NUL and blanks at its ends are filling, not text."""
    data = b"".join(word.to_bytes(2, "big" if order == "big" else "little") for word in words)
    data = data.split(b"\0", 1)[0].strip()
    return data.decode("ascii") if data and all(32 <= byte < 127 for byte in data) else None
