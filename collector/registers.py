"""Registers: which blocks to read, and what the words mean; pure, vectorised over polls."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collector.profiles import Profile, Register
from collector.quantity import QUANTITIES
from collector.words import WORDS, Bools, Floats, Order, Raw, Words, pack, pack_bits, unpack

NO_SCALE = 0x8000
"""In a scale register: the value is not implemented (SunSpec Device Information Model, sunssf)."""
_LARGEST_POWER = 10
"""SunSpec allows powers of ten from -10 to 10."""


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
    offsets: tuple[tuple[int, ...], ...]
    """Of each register of the profile, in its order: index of its first word, then of each part
    that is added."""
    scales: tuple[int | None, ...]
    """Of each register: index of its scale register; None: it has none."""


def plan(profile: Profile, max_registers: int = 125, max_gap: int = 8) -> Plan:
    """Return the fewest block reads that cover the profile.

    Groups are never split, blocks never touch a forbidden range. Taking the spans in order of
    address and filling each block as far as it goes gives the fewest blocks.

    Args:
        profile: the register map.
        max_registers: most registers in one request on this bus; the meter may allow fewer.
        max_gap: unused registers read along rather than starting another request; the meter may
            allow fewer.

    Raises:
        ValueError: a group is longer than `max_registers`.
    """
    limit = min(max_registers, profile.max_registers)
    if profile.max_gap is not None:
        max_gap = min(max_gap, profile.max_gap)
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

    def at(register: Register, address: int) -> int:
        return _offset(blocks, profile.function_of(register), register, address)

    return Plan(
        profile,
        tuple(blocks),
        sum(block.count for block in blocks),
        tuple(tuple(at(r, start) for start in (r.address, *r.plus)) for r in profile.registers),
        tuple(
            None if r.scale_register is None else at(r, r.scale_register) for r in profile.registers
        ),
    )


def _extended(block: Block, more: Block, max_gap: int) -> Block | None:
    reach = block.start + block.count
    if more.function != block.function or more.start - reach > max_gap:
        return None
    return Block(block.function, block.start, max(reach, more.start + more.count) - block.start)


def _clear(block: Block, forbidden: Sequence[tuple[int, int]]) -> bool:
    end = block.start + block.count
    return not any(low < end and block.start <= high for low, high in forbidden)


def _offset(blocks: Sequence[Block], function: int, register: Register, address: int) -> int:
    """Return where `address` lies in the block that holds all of `register`."""
    first, behind = register.span
    before = 0
    for block in blocks:
        start, end = block.start, block.start + block.count
        if block.function == function and start <= first and behind <= end:
            return before + address - start
        before += block.count
    raise ValueError(f"no block holds {register.quantity}")


@dataclass(frozen=True, slots=True)
class Doubt:
    """A value that was read but cannot be believed; its cell in the result is NaN."""

    row: int
    """Which poll of the batch."""
    quantity: str
    reason: str
    """`not_finite`, `out_of_range`, or `bad_digits`: words that are no decimal number."""
    value: float
    """What was read; of bad digits, the words as one unsigned number."""


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
    rows = zip(layout.profile.registers, layout.offsets, layout.scales, strict=True)
    for register, offsets, scale in rows:
        name = register.quantity
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is a doubt below
            raw, nothing = _raw(layout.profile, register, words, offsets)
            value = raw.number * register.scale
            if scale is not None:
                value, nothing = _scaled(value, nothing, words[:, scale])
            if register.offset:
                value += register.offset
            if register.secondary and ratio is not None:
                value *= factor(name, ratio)
        fits = (value >= QUANTITIES[name].low) & (value <= QUANTITIES[name].high)
        if raw.bad is not None:
            fits &= ~raw.bad
            value[raw.bad] = raw.unsigned[raw.bad]
        if not fits.all():
            wrong = ~fits if nothing is None else ~fits & ~nothing
            doubts += _doubts(name, value, wrong, raw.bad)
            value[wrong] = np.nan
        if nothing is not None:
            value[nothing] = np.nan
        values[name] = value
    return values, doubts


def _raw(
    profile: Profile, register: Register, words: Words, offsets: Sequence[int]
) -> tuple[Raw, Bools | None]:
    """Return the register's numbers, its parts added, and where a sentinel stands."""
    size, orders = WORDS[register.type], _orders(profile, register)
    found = [unpack(register.type, words[:, at : at + size], *orders) for at in offsets]
    whole, nothing = found[0], _is_one_of(found[0].unsigned, register.sentinels)
    for part in found[1:]:
        bad = None if whole.bad is None or part.bad is None else whole.bad | part.bad
        whole = Raw(whole.number + part.number, whole.unsigned, bad)
        silent = _is_one_of(part.unsigned, register.sentinels)
        nothing = silent if nothing is None or silent is None else nothing | silent
    return whole, nothing


def _orders(profile: Profile, register: Register) -> tuple[Order, Order]:
    return register.word_order or profile.word_order, register.byte_order or profile.byte_order


def _is_one_of(unsigned: NDArray[np.generic], sentinels: Sequence[int]) -> Bools | None:
    """Return where a sentinel stands, None if the register has none."""
    found: Bools | None = None
    for one in sentinels:
        here = unsigned == np.uint64(one)
        found = here if found is None else found | here
    return found


def _scaled(value: Floats, nothing: Bools | None, told: Words) -> tuple[Floats, Bools | None]:
    """Apply the power of ten the meter tells; one that SunSpec forbids makes the value infinite."""
    none = told == NO_SCALE
    power = told.view(np.int16).astype(np.float64)
    allowed = np.abs(power) <= _LARGEST_POWER
    value = np.where(allowed, value * 10.0 ** np.where(allowed, power, 0.0), np.inf)
    return value, none if nothing is None else none | nothing


def _doubts(name: str, value: Floats, wrong: Bools, bad: Bools | None) -> list[Doubt]:
    found = []
    for row in np.flatnonzero(wrong).tolist():
        reason = "out_of_range" if np.isfinite(value[row]) else "not_finite"
        if bad is not None and bad[row]:
            reason = "bad_digits"
        found.append(Doubt(row, name, reason, float(value[row])))
    return found


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
    rounded, and wrap at the width of the register as a real counter does. A scale register shows
    the finest power of ten that holds all its values; a sum is shown by its first part, the others
    are 0. Ratios are not applied.
    """
    image: dict[tuple[int, int], int] = {}
    powers = _powers(profile, values)
    for register in profile.registers:
        function, orders = profile.function_of(register), _orders(profile, register)
        value = values.get(register.quantity)
        step = register.scale
        if register.scale_register is not None:
            power = powers[function, register.scale_register]
            image[function, register.scale_register] = NO_SCALE if power is None else power % 65536
            step *= 10.0 ** (power or 0)
        if value is None:
            raw = register.sentinels[0] if register.sentinels else 0
            words = pack_bits(raw, WORDS[register.type], *orders)
        else:
            words = pack(register.type, (value - register.offset) / step, *orders)
        image |= {(function, register.address + i): word for i, word in enumerate(words)}
        for start in register.plus:
            image |= {(function, start + i): 0 for i in range(len(words))}
    return image


def _powers(
    profile: Profile, values: Mapping[str, float | None]
) -> dict[tuple[int, int], int | None]:
    """Return the power of ten of each scale register; None where none of its values is given."""
    found: dict[tuple[int, int], int | None] = {}
    for one in profile.registers:
        if one.scale_register is None:
            continue
        key, value = (profile.function_of(one), one.scale_register), values.get(one.quantity)
        if value is None:
            found.setdefault(key, None)
            continue
        room = abs((value - one.offset) / one.scale) / 10 ** _digits(one.type)
        needed = math.ceil(math.log10(room)) if room > 10.0**-_LARGEST_POWER else -_LARGEST_POWER
        least = found.get(key)
        found[key] = needed if least is None else max(least, needed)
    return found


def _digits(kind: str) -> int:
    """Return how many decimal digits a register of this type holds at least."""
    if kind[0] == "f":
        return 6
    bits = 16 * WORDS[kind]
    return bits // 4 if kind[:3] == "bcd" else math.floor((bits - 1) * math.log10(2))
