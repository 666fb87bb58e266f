"""Packed decimal digits, least significant byte first, as DL/T 645 carries every number; pure."""


class NotBcdError(ValueError):
    """A digit above 9, or digits that are no date."""


def number(raw: bytes, decimals: int, *, signed: bool = False) -> float | None:
    """Return the number; None if every byte is FFH, which says that there is no value.

    Args:
        raw: digits, two a byte, the least significant byte first.
        decimals: digits behind the point.
        signed: the top bit is the sign (1: negative), so the top digit is at most 7.

    Raises:
        NotBcdError: a digit above 9.
    """
    if raw == b"\xff" * len(raw):
        return None
    top = raw[-1] & 0x7F if signed else raw[-1]
    value = _digits(bytes([*raw[:-1], top])) / 10.0**decimals
    return -value if signed and raw[-1] & 0x80 else value


def packed(value: float | None, size: int, decimals: int, *, signed: bool = False) -> bytes:
    """Return `value` as a meter shows it, the inverse of `number`; for simulated meters.

    A value too large wraps, as a register does. None gives FFH in every byte.
    """
    if value is None:
        return b"\xff" * size
    modulus = 10 ** (2 * size) * (8 if signed else 10) // 10
    digits = round(abs(value) * 10**decimals) % modulus
    raw = bytearray.fromhex(f"{digits:0{2 * size}d}")[::-1]
    if signed and value < 0 and digits:
        raw[-1] |= 0x80
    return bytes(raw)


def pairs(raw: bytes) -> list[int]:
    """Return each byte's two digits as a number, in the order they came.

    Raises:
        NotBcdError: a digit above 9.
    """
    return [_digits(bytes([one])) for one in raw]


def _digits(raw: bytes) -> int:
    text = raw[::-1].hex()
    if not text.isdigit():
        raise NotBcdError(f"{raw.hex(' ')} holds a digit above 9")
    return int(text)
