"""The search for meters on a Modbus link: which units answer, at which rate, by which profile."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from collector.bench.look import Answered, Reading
from collector.bench.modbusbench import ModbusBench, Slave, open_modbus
from collector.bench.ranking import Candidate, Standing, candidate_of, ranked
from collector.identity import Identified
from collector.profiles import Profile
from collector.registers import Block, plan
from collector.settings import BusSettings

SERIAL_SHAPES: tuple[tuple[int, str], ...] = (
    (9600, "N"), (9600, "E"), (19200, "E"), (19200, "N"), (4800, "N"), (2400, "E"), (2400, "N"),
    (38400, "N"), (38400, "E"), (4800, "E"), (115200, "N"), (57600, "N"), (9600, "O"), (19200, "O"),
)  # fmt: skip
"""Rate and parity, the frequent ones first: 9600 without parity is most makers' delivery, 19200
with even parity the standard's (Modbus over Serial Line V1.02, 2.5.1)."""
_CHUNKS = (8, 32)
"""Units up to these are looked for at every rate before the others: few stray from low numbers."""
_WATCHED = 5
"""Candidates that are read again for the slope of the energy."""

Told = Callable[[str], None]
"""Told what is being done, for people."""


@dataclass(frozen=True, slots=True)
class Found:
    """A unit that answers."""

    unit: int
    bus: BusSettings
    """The link as it answered, rate and parity included."""
    took_ms: float


@dataclass(frozen=True, slots=True)
class Probed:
    """What is known of one unit."""

    found: Found
    candidates: tuple[Candidate, ...]
    """Best first."""
    requests: int


def shapes_of(bus: BusSettings, *, fixed: bool) -> list[BusSettings]:
    """Return the link under every rate and parity to try; `fixed`: as it is, alone."""
    if bus.kind != "rtu" or fixed:
        return [bus]
    return [bus.model_copy(update={"baudrate": b, "parity": p}) for b, p in SERIAL_SHAPES]


def longest_s(shapes: Sequence[BusSettings], units: Sequence[int], timeout_s: float) -> float:
    """Return how long the search for units takes at most: nobody answers."""
    opened = sum(len(_chunks(units)) * one.timeout_s for one in shapes if one.unnumbered)
    asked = sum(timeout_s + one.wire_s(1) + one.pause_s for one in shapes)
    return opened + len(units) * asked


async def units_of(
    shapes: Sequence[BusSettings],
    units: Sequence[int],
    timeout_s: float,
    now: Callable[[], datetime],
    told: Told,
) -> list[Found]:
    """Return the units that answer.

    Low units are looked for at every rate first; where one answers, the others are looked for at
    its rate alone. If nobody answers to function 3, function 4 is tried.

    Raises:
        UnreachableError: a link cannot be opened.
    """
    for function in (3, 4):
        for index, chunk in enumerate(_chunks(units)):
            for bus in shapes:
                found = await _scan(bus, chunk, timeout_s, function, now, told)
                if found:
                    rest = [unit for later in _chunks(units)[index + 1 :] for unit in later]
                    return found + await _scan(bus, rest, timeout_s, function, now, told)
    return []


def _chunks(units: Sequence[int]) -> list[list[int]]:
    bounds = (-1, *_CHUNKS, 255)
    chunks = [[one for one in units if low < one <= high] for low, high in pairwise(bounds)]
    return [one for one in chunks if one]


async def _scan(
    bus: BusSettings,
    units: Sequence[int],
    timeout_s: float,
    function: int,
    now: Callable[[], datetime],
    told: Told,
) -> list[Found]:
    if not units:
        return []
    found = []
    async with open_modbus(bus, now) as bench:
        for unit in units:
            told(f"unit {unit} at {bus.where}{serial_of(bus)}")
            answer = await bench.present(Slave(unit, timeout_s), function)
            if answer is not None:
                found.append(Found(unit, bus, answer.took_ms))
    return found


def serial_of(bus: BusSettings) -> str:
    """Return rate and parity for people; nothing for links without them."""
    return f", {bus.baudrate} 8{bus.parity}{bus.stop_bits}" if bus.kind == "rtu" else ""


async def probe(
    found: Found,
    profiles: Mapping[str, Profile],
    timeout_s: float,
    watch_s: float,
    now: Callable[[], datetime],
    told: Told,
) -> Probed:
    """Try every profile on a unit and rank them.

    Args:
        found: the unit.
        profiles: what to try.
        timeout_s: longest wait for an answer.
        watch_s: seconds between two readings of the best, for the slope of their energy; 0: one
            reading is all.
        now: site time.
        told: told what is being done.

    Raises:
        UnreachableError: the link was lost for good.
    """
    slave = Slave(found.unit, timeout_s, 1)
    async with open_modbus(found.bus, now) as bench:
        asked = dict[Block, Answered]()
        tried = dict[str, tuple[Reading, list[Identified]]]()
        for profile in profiles.values():
            told(f"unit {found.unit}: {profile.id}")
            tried[profile.id] = await _tried(bench, profile, found.bus, slave, asked)
        best = ranked(
            [candidate_of(profiles[name], [one[0]], one[1]) for name, one in tried.items()]
        )
        if watch_s:
            told(f"unit {found.unit}: watching the registers for {watch_s:g} s")
            identities = {name: one[1] for name, one in tried.items()}
            best = await _watched(bench, best, identities, profiles, found.bus, slave, watch_s)
    return Probed(found, tuple(best), len(asked))


async def _tried(
    bench: ModbusBench,
    profile: Profile,
    bus: BusSettings,
    slave: Slave,
    asked: dict[Block, Answered],
) -> tuple[Reading, list[Identified]]:
    """Read one map, with what other maps' requests have brought already."""
    reading = await bench.read(plan(profile, bus.max_registers, bus.max_gap), slave, asked)
    asked |= {one.block: one for one in reading.answers}
    return reading, await bench.identify(profile, slave)


async def _watched(
    bench: ModbusBench,
    best: Sequence[Candidate],
    identities: Mapping[str, Sequence[Identified]],
    profiles: Mapping[str, Profile],
    bus: BusSettings,
    slave: Slave,
    watch_s: float,
) -> list[Candidate]:
    """Judge the best ones anew, by two fresh readings."""
    names = [c.profile for c in best if c.standing is not Standing.REFUTED or c.hint][:_WATCHED]
    layouts = {name: plan(profiles[name], bus.max_registers, bus.max_gap) for name in names}
    first = {name: await bench.read(layouts[name], slave) for name in names}
    await asyncio.sleep(watch_s)
    again = {
        name: candidate_of(
            profiles[name], [first[name], await bench.read(layouts[name], slave)], identities[name]
        )
        for name in names
    }
    return ranked([again.get(one.profile, one) for one in best])
