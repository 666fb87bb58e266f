"""Registers: which blocks to read, and what the words mean; pure, vectorised over polls.

Modbus Application Protocol V1.1b3, 4.2: a word is sent most significant byte first; the order of
the words of longer numbers is the maker's choice, hence a setting of the profile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collector.profiles import WORDS, Profile, Register
from collector.quantity import QUANTITIES

Words = NDArray[np.uint16]
Floats = NDArray[np.float64]
_NUMPY = {"u": ">u", "s": ">i", "f": ">f"}


@dataclass(frozen=True, slots=True)
class Block:
    """One request: `count` registers from `start` by `function`."""

    function: int
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How a profile is read: the blocks, and where each register lies in their joined words."""

    profile: Profile
    blocks: tuple[Block, ...]
    width: int
    """Words of all blocks together."""
    offsets: tuple[int, ...]
    """Of each register of the profile, in its order: index of its first word."""


def plan(profile: Profile, max_registers: int = 125, max_gap: int = 8) -> Plan:
    """Return the fewest block reads that cover the profile.

    Groups are never split, blocks never touch a forbidden range. Taking the spans in order of
    address and filling each block as far as it goes gives the fewest blocks.

    Args:
        profile: the register map.
        max_registers: most registers in one request on this bus; the meter may allow fewer.
        max_gap: unused registers read along rather than starting another request.

    Raises:
        ValueError: a group is longer than `max_registers`.
    """
    limit = min(max_registers, profile.max_registers)
    blocks: list[Block] = []
    for name, (function, first, end) in sorted(profile.spans().items(), key=lambda x: x[1]):
        if end - first > limit:
            raise ValueError(
                f"profile {profile.id}: group {name} needs {end - first} registers in one"
                f" request, the bus allows {limit}"
            )
        last = blocks[-1] if blocks else None
        joined = last and _extended(last, Block(function, first, end - first), max_gap)
        if joined and joined.count <= limit and _clear(joined, profile.forbidden):
            blocks[-1] = joined
        else:
            blocks.append(Block(function, first, end - first))
    return arranged(profile, blocks)


def arranged(profile: Profile, blocks: Sequence[Block]) -> Plan:
    """Return where the profile's registers lie in the joined words of `blocks`.

    Raises:
        ValueError: no block holds one of the registers.
    """
    return Plan(
        profile,
        tuple(blocks),
        sum(block.count for block in blocks),
        tuple(_offset(blocks, profile.function_of(r), r) for r in profile.registers),
    )


def _extended(block: Block, more: Block, max_gap: int) -> Block | None:
    reach = block.start + block.count
    if more.function != block.function or more.start - reach > max_gap:
        return None
    return Block(block.function, block.start, max(reach, more.start + more.count) - block.start)


def _clear(block: Block, forbidden: Sequence[tuple[int, int]]) -> bool:
    end = block.start + block.count
    return not any(low < end and block.start <= high for low, high in forbidden)


def _offset(blocks: Sequence[Block], function: int, register: Register) -> int:
    before = 0
    for block in blocks:
        start, end = block.start, block.start + block.count
        if block.function == function and start <= register.address and register.end <= end:
            return before + register.address - start
        before += block.count
    raise ValueError(f"profile {'{'}profile_id{'}'}: no block holds {register.quantity}")


@dataclass(frozen=True, slots=True)
class Doubt:
    """A value that was read but cannot be believed; its cell in the result is NaN."""

    row: int
    """Which poll of the batch."""
    quantity: str
    reason: str
    """`not_finite` or `out_of_range`."""
    value: float


def decode(
    layout: Plan, words: Words, ratio: Mapping[str, Floats] | None = None
) -> tuple[dict[str, Floats], list[Doubt]]:
    """Turn the words of many polls of one profile into primary values.

    Args:
        layout: the plan the words were read by.
        words: shape (polls, layout.width).
        ratio: factor of each poll for quantities behind transformers, keys `ct` and `pt`, shape
            (polls,); absent means 1. Currents take ct, voltages pt, powers and energies both.

    Returns:
        Quantity -> values, shape (polls,), NaN where the meter states none or the value is in
        doubt; and the doubts.
    """
    values: dict[str, Floats] = {}
    doubts: list[Doubt] = []
    for register, offset in zip(layout.profile.registers, layout.offsets, strict=True):
        name = register.quantity
        raw, nothing = _raw(layout.profile, register, words, offset)
        value = raw.astype(np.float64) * register.scale + register.offset
        if register.secondary and ratio is not None:
            value *= factor(name, ratio)
        with np.errstate(invalid="ignore"):
            wrong = ~((value >= QUANTITIES[name].low) & (value <= QUANTITIES[name].high)) & ~nothing
        for row in np.flatnonzero(wrong):
            reason = "out_of_range" if np.isfinite(value[row]) else "not_finite"
            doubts.append(Doubt(int(row), name, reason, float(value[row])))
        value[nothing | wrong] = np.nan
        values[name] = value
    return values, doubts


def _raw(
    profile: Profile, register: Register, words: Words, offset: int
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Return the register's numbers and where they are sentinels."""
    size = WORDS[register.type]
    part = words[:, offset : offset + size]
    if (register.word_order or profile.word_order) == "little":
        part = part[:, ::-1]
    if (register.byte_order or profile.byte_order) == "little":
        part = part.byteswap()
    packed = np.ascontiguousarray(part, dtype=">u2")
    kind = f"{_NUMPY[register.type[0]]}{2 * size}"
    unsigned = packed.view(f">u{2 * size}")[:, 0]
    nothing = np.zeros(len(words), dtype=bool)
    for sentinel in register.sentinels:
        nothing |= unsigned == np.uint64(sentinel)
    return packed.view(kind)[:, 0], nothing


def factor(quantity: str, ratio: Mapping[str, Floats]) -> Floats | float:
    """Return what turns a quantity's secondary values into primary ones; `ratio` as in `decode`."""
    unit = QUANTITIES[quantity].unit
    ct, pt = ratio.get("ct", np.ones(1)), ratio.get("pt", np.ones(1))
    if unit in {"kWh", "kvarh", "kW", "kvar", "kVA"}:
        return ct * pt
    return {"A": ct, "V": pt}.get(unit, 1.0)


def encode(profile: Profile, values: Mapping[str, float | None]) -> dict[tuple[int, int], int]:
    """Return the words a meter would show: (function, address) -> word; for simulated meters.

    A quantity that is absent or None shows the register's first sentinel, else 0. Integers are
    rounded, and wrap at the width of the register as a real counter does. Ratios are not applied.
    """
    image: dict[tuple[int, int], int] = {}
    for register in profile.registers:
        size = WORDS[register.type]
        value = values.get(register.quantity)
        if value is None:
            raw = register.sentinels[0] if register.sentinels else 0
            data = raw.to_bytes(2 * size, "big")
        elif register.type[0] == "f":
            number = (value - register.offset) / register.scale
            data = np.array(number, dtype=f">f{2 * size}").tobytes()
        else:
            number = round((value - register.offset) / register.scale)
            data = (number % (1 << (16 * size))).to_bytes(2 * size, "big")
        pairs = [data[i : i + 2] for i in range(0, 2 * size, 2)]
        if (register.word_order or profile.word_order) == "little":
            pairs.reverse()
        order = register.byte_order or profile.byte_order
        for index, pair in enumerate(pairs):
            key = (profile.function_of(register), register.address + index)
            image[key] = int.from_bytes(pair, order)
    return image
