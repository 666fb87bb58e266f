"""The other ways to lay numbers over words: a map is right if they all make no sense; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.bench.checks import Outcome, checks_of
from collector.bench.look import Look, Ratio, Reading, look_of
from collector.profiles import Profile, Register
from collector.words import WORDS, Order

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
        found.append(Proof(name, *_judged(name, own, other, passed)))
    return found


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
    failed = {one.name for one in checks_of(other) if one.outcome is Outcome.FAILED} & passed
    if failed:
        return True, f"{both}, and then {', '.join(sorted(failed))} fails"
    return False, f"{both}: nothing tells which"
