"""The other ways to lay numbers over words: a map is right if they all make no sense; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from collector.bench.checks import Outcome, checks_of
from collector.bench.look import Look, Ratio, Reading, look_of
from collector.profiles import Profile, Register
from collector.quantity import COUNTERS, QUANTITIES
from collector.words import WORDS, Order

_TINY = 1e-9
"""Of kWh, kW, V, A: floats read in the wrong order are often of such size, measured ones never."""
_LEAP = 100.0
"""A register that grows so many times faster than the active power is not read in its order; the
coarsest step in the shortest watch stays below."""
_OTHER: dict[Order, Order] = {"big": "little", "little": "big"}


def flipped(
    profile: Profile, *, words: bool, octets: bool, only: Sequence[str] | None = None
) -> Profile:
    """Return the map with the other order of words, of bytes inside words, or both.

    Args:
        profile: the map.
        words: whether to turn the order of words round.
        octets: whether to turn the order of the bytes of each word round.
        only: quantities; None: all.
    """

    def turned(one: Register) -> Register:
        if only is not None and one.quantity not in only:
            return one
        word, byte = one.word_order or profile.word_order, one.byte_order or profile.byte_order
        return one.model_copy(
            update={
                "word_order": _OTHER[word] if words else word,
                "byte_order": _OTHER[byte] if octets else byte,
            }
        )

    return profile.model_copy(update={"registers": tuple(map(turned, profile.registers))})


def variants(profile: Profile) -> Mapping[str, Profile]:
    """Return the maps with other orders, by what is to be said of them."""
    found = {}
    for words, octets in ((True, False), (False, True), (True, True)):
        made = flipped(profile, words=words, octets=octets)
        # nearly all registers share one order; the first that tells it is quoted
        long = [one for one in made.registers if WORDS[one.type] > 1] or list(made.registers)
        parts = []
        if words:
            parts.append(f"word order looks {long[0].word_order}-endian")
        if octets:
            parts.append(f"byte order looks {long[0].byte_order}-endian")
        found[", ".join(parts)] = made
    return found


def looks_like(profile: Profile, readings: Sequence[Reading], ratio: Ratio) -> str:
    """Return which other order the words suggest, if the map's own fails; empty: none.

    A variant counts only if nothing fails under it and at least two checks pass.
    """
    best, text = 1, ""
    for name, made in variants(profile).items():
        checks = checks_of([look_of(made, one, ratio) for one in readings])
        passed = sum(one.outcome is Outcome.PASSED for one in checks if one.name != "plausible")
        if passed > best and not any(one.outcome is Outcome.FAILED for one in checks):
            best, text = passed, name
    return text


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether one register's order is proven."""

    quantity: str
    proven: bool
    said: str
    mute: bool = False
    """It shows 0, which no order changes, or no value."""


def proofs(
    profile: Profile, readings: Sequence[Reading], ratio: Ratio, *, octets: bool
) -> list[Proof]:
    """Return, for each register the order matters to, whether the other order makes no sense.

    Turned round alone, a register is refuted if a check that passed fails, or its value cannot be.

    Args:
        profile: the map.
        readings: what was read.
        ratio: of the transformers.
        octets: the order of bytes inside words; else that of words.
    """
    own = [look_of(profile, one, ratio) for one in readings]
    passed = {one.name for one in checks_of(own) if one.outcome is Outcome.PASSED}
    found = []
    for register in profile.registers:
        if (not octets and WORDS[register.type] < 2) or register.quantity not in own[-1].cells:
            continue
        name = register.quantity
        made = flipped(profile, words=not octets, octets=octets, only=[name])
        other = [look_of(made, one, ratio) for one in readings]
        mute = all(not look.value(name) for look in own)
        # a value that cannot be speaks: it is what a wrong order yields
        mute = mute and own[-1].cells[name].doubt in {"", "sentinel"}
        found.append(Proof(name, *_judged(name, own, other, passed), mute))
    return found


def _falls(name: str, looks: Sequence[Look]) -> bool:
    """Return whether a counter falls between two looks."""
    values = [value for look in looks if (value := look.value(name)) is not None]
    return any(later < earlier for earlier, later in pairwise(values))


def _judged(
    name: str, own: Sequence[Look], other: Sequence[Look], passed: set[str]
) -> tuple[bool, str]:
    mine, theirs = own[-1].cells[name], other[-1].cells[name]
    if mine.value is None:
        return False, "no value to judge by"
    if theirs.value is None:
        return True, f"{mine.value:.6g} {mine.unit}; the other way {theirs.doubt}"
    both = f"{mine.value:.6g} {mine.unit}; the other way {theirs.value:.6g}"
    if mine.value == theirs.value:
        return False, f"{both}: the same either way"
    why = _absurd(name, theirs.value, own, other, passed)
    return bool(why), f"{both}, {why}" if why else f"{both}: nothing tells which"


def _absurd(
    name: str, value: float, own: Sequence[Look], other: Sequence[Look], passed: set[str]
) -> str:
    """Return why the other order makes no sense; empty: it might."""
    if 0 < abs(value) < _TINY:
        return "less than any meter shows"
    if name in COUNTERS and _falls(name, other) and not _falls(name, own):
        return "and then the register falls"
    if name in COUNTERS and _leaps(name, other) and not _leaps(name, own):
        return "and then the register leaps"
    failed = {one.name for one in checks_of(other) if one.outcome is Outcome.FAILED} & passed
    return f"and then {', '.join(sorted(failed))} fails" if failed else ""


def _leaps(name: str, looks: Sequence[Look]) -> bool:
    """Return whether a counter of energy grows many times faster than the power allows."""
    powers = [abs(power) for look in looks if (power := look.value("power_kw")) is not None]
    values = [value for look in looks if (value := look.value(name)) is not None]
    hours = (looks[-1].at - looks[0].at) / timedelta(hours=1)
    if QUANTITIES[name].unit not in {"kWh", "kvarh"} or not hours or not values or not powers:
        return False
    return (max(values) - min(values)) / hours > _LEAP * max(powers) > 0
