"""A look at a meter: what was asked, what came, and what it means; pure.

A Reading holds what went over the wire and nothing derived, so that it can be kept in a report and
decoded again by whoever doubts it. A Look is its meaning under one register map.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import numpy as np
from pydantic import Field

from collector.profiles import Profile, Register
from collector.quantity import QUANTITIES
from collector.registers import Block, arranged, decode, factor
from collector.site import Strict
from collector.words import WORDS, Floats, unpack

Hex = Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2})*$")]


class Answered(Strict):
    """One request for registers and its answer."""

    function: int
    start: int
    count: int
    words: Hex | None = None
    """As they came, most significant byte first; None: none came."""
    error: str = ""
    """Why none came."""
    refused: bool = False
    """Whether the meter itself said no; else nothing was heard."""
    took_ms: float = 0.0

    @property
    def block(self) -> Block:
        """The request."""
        return Block(self.function, self.start, self.count)


class ItemAnswered(Strict):
    """One DL/T 645 item and its answers."""

    item: str
    payloads: tuple[Hex, ...] | None = None
    """What followed each of the item's identifiers; None: not answered, or refused."""
    error: str = ""
    refused: bool = False
    took_ms: float = 0.0


class Reading(Strict):
    """Everything one turn brought from one meter."""

    at: datetime
    """Half way between the first request and the last answer, UTC."""
    answers: tuple[Answered, ...] = ()
    """Over Modbus."""
    items: tuple[ItemAnswered, ...] = ()
    """Over DL/T 645."""
    clock_offset_s: float | None = None
    """The meter's clock minus ours, where it tells one."""

    @property
    def took_ms(self) -> float:
        """Time from the first request to the last answer, pauses left out."""
        return sum(a.took_ms for a in self.answers) + sum(i.took_ms for i in self.items)

    @property
    def unanswered(self) -> tuple[str, ...]:
        """What went wrong, in words."""
        errors = [a.error for a in self.answers] + [i.error for i in self.items]
        return tuple(one for one in errors if one)


@dataclass(frozen=True, slots=True)
class Ratio:
    """The transformers in front of the meter."""

    ct: float = 1.0
    pt: float = 1.0

    def arrays(self) -> dict[str, Floats]:
        """Return them as `registers.decode` wants them."""
        return {"ct": np.array([self.ct]), "pt": np.array([self.pt])}


@dataclass(frozen=True, slots=True)
class Cell:
    """One quantity as it was read."""

    quantity: str
    unit: str
    value: float | None
    """Primary value; None: the meter states none, or it is in doubt."""
    doubt: str
    """Why there is no value though something was read; `sentinel`: the meter says "no value"."""
    raw: str
    """The words in hexadecimal, or the bytes of a DL/T 645 answer."""
    where: str
    """Function and address, or item and identifier."""
    scale: float
    step: float
    """Least difference the register can show, in the unit."""


@dataclass(frozen=True, slots=True)
class Look:
    """The meaning of one reading under one map."""

    at: datetime
    took_ms: float
    cells: Mapping[str, Cell]
    clock_offset_s: float | None = None
    missing: tuple[str, ...] = ()
    """Quantities of the map that were not answered."""

    def value(self, quantity: str) -> float | None:
        """Return a stated value."""
        cell = self.cells.get(quantity)
        return None if cell is None else cell.value

    def values(self, *quantities: str) -> list[float] | None:
        """Return the values if all are stated."""
        found = [self.value(name) for name in quantities]
        stated = [one for one in found if one is not None]
        return stated if len(stated) == len(found) else None

    def step(self, quantity: str) -> float:
        """Return the least difference of a quantity; 0 if it was not read."""
        return self.cells[quantity].step if quantity in self.cells else 0.0


def look_of(profile: Profile, reading: Reading, ratio: Ratio | None = None) -> Look:
    """Decode a Modbus reading; registers of requests without answer are missing."""
    heard = [one for one in reading.answers if one.words is not None]
    kept = [r for r in profile.registers if any(_holds(profile, r, one.block) for one in heard)]
    missing = tuple(r.quantity for r in profile.registers if r not in kept)
    if not kept:
        return Look(reading.at, reading.took_ms, {}, reading.clock_offset_s, missing)
    own = profile.model_copy(update={"registers": tuple(kept)})
    layout = arranged(own, [one.block for one in heard])
    joined = bytes.fromhex("".join(one.words or "" for one in heard))
    words = np.frombuffer(joined, dtype=">u2").astype(np.uint16)[None, :]
    ratios = (ratio or Ratio()).arrays()
    values, doubts = decode(layout, words, ratios)
    why = {one.quantity: f"{one.reason}: {one.value:g}" for one in doubts}
    cells = {}
    for register, offsets in zip(kept, layout.offsets, strict=True):
        name, at = register.quantity, offsets[0]
        part = words[:, at : at + WORDS[register.type]]
        number = values[name][0]
        value = None if np.isnan(number) else float(number)
        doubt = why.get(name, "" if value is not None else "sentinel")
        scale = register.scale * (
            float(np.ravel(factor(name, ratios))[0]) if register.secondary else 1
        )
        cells[name] = Cell(
            name, QUANTITIES[name].unit, value, doubt, part.astype(">u2").tobytes().hex().upper(),
            f"{own.function_of(register)}:{register.address}", scale,
            _step(register, scale, value),
        )  # fmt: skip
    return Look(reading.at, reading.took_ms, cells, reading.clock_offset_s, missing)


def _holds(profile: Profile, register: Register, block: Block) -> bool:
    first, behind = register.span
    inside = block.start <= first and behind <= block.start + block.count
    return inside and block.function == profile.function_of(register)


def _step(register: Register, scale: float, value: float | None) -> float:
    """Return the least difference the register can show near `value`."""
    if register.type[0] != "f" or value is None:
        return abs(scale)
    kind = np.float32 if register.type == "f32" else np.float64
    return float(np.spacing(kind(abs(value / scale))) * abs(scale))


def number_of(profile: Profile, register: Register, words: str) -> int:
    """Return a register's words as one unsigned number, in the map's order: what sentinels are."""
    part = np.frombuffer(bytes.fromhex(words), dtype=">u2").astype(np.uint16)[None, :]
    orders = (register.word_order or profile.word_order, register.byte_order or profile.byte_order)
    return int(unpack(register.type, part, *orders).unsigned[0])


def middle(began: datetime, ended: datetime) -> datetime:
    """Return the instant half way, UTC."""
    return (began + (ended - began) / 2).astimezone(UTC)
