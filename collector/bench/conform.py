"""The conformity of a meter with its map: line by line, each with its figures; pure.

A line passes or fails on what was measured, or is not proven: a register that shows 0 looks the
same in any order of words, and a meter without load has no slope. What the record does not show is
never taken for granted.
"""

from collections.abc import Sequence

import numpy as np

from collector.bench.checks import Check, Outcome, checks_of
from collector.bench.look import Cell, Look, number_of
from collector.bench.ranking import identity
from collector.bench.record import Record
from collector.bench.variants import looks_like, proofs
from collector.profiles import Profile, Register
from collector.words import WORDS, modulus_of

_OVER = 1.1
"""Power above so many times the rated one is not sane: overloads are shorter and smaller."""
_LITTLE = 0.002
"""Power below this share of the rated one proves no ratio."""
_YEARS = 8766.0
"""Hours of a year."""


def judge(record: Record) -> list[Check]:
    """Return the lines of the report; the same record always gives the same lines."""
    looks = record.looks()
    lines = [readable(record), identity([one.identified() for one in record.identities])]
    values = checks_of(looks)
    if record.profile is not None:
        lines += [order(record, octets=False), order(record, octets=True)]
        lines += [sentinels(record, record.profile, looks), longest(record)]
    lines += [ratio(record, looks), rollover(record, looks), alive(looks), timing(record)]
    if record.profile is None:
        lines.append(clock(record))
    return [*lines, *values]


def outcome_of(lines: Sequence[Check]) -> Outcome:
    """Return what the report says as a whole: failed if a line failed, passed if all passed."""
    for one in (Outcome.FAILED, Outcome.UNKNOWN):
        if any(line.outcome is one for line in lines):
            return one
    return Outcome.PASSED


def _line(name: str, passed: bool | None, said: str) -> Check:
    how = {True: Outcome.PASSED, False: Outcome.FAILED, None: Outcome.UNKNOWN}[passed]
    return Check(name, how, said)


def readable(record: Record) -> Check:
    """Whether every request of every reading was answered; the holes by name."""
    asked = sum(len(one.answers) + len(one.items) for one in record.readings)
    errors = [text for one in record.readings for text in one.unanswered]
    if not errors:
        return _line("readable", True, f"{len(record.readings)} readings, {asked} requests, no gap")
    holes = sorted({name for look in record.looks() for name in look.missing})
    what = f"; never or not always read: {', '.join(holes)}" if holes else ""
    said = f"{len(errors)} of {asked} requests failed, e.g. {errors[0]}{what}"
    return _line("readable", False, said)


def order(record: Record, *, octets: bool) -> Check:
    """Whether each register's order is proven: the other makes no sense.

    It fails if the other passes what the map's fails. Registers that show 0 or no value are named
    apart.
    """
    assert record.profile is not None  # noqa: S101 - DL/T 645 has one order only
    name = "byte_order" if octets else "word_order"
    heard = [one for one in record.readings if any(a.words for a in one.answers)]
    if not heard:
        return _line(name, None, "nothing was read")
    found = proofs(record.profile, heard, record.ratio, octets=octets)
    if not found:
        return _line(name, None, "no register of several words was read")
    hint = looks_like(record.profile, heard, record.ratio)
    failed = any(one.outcome is Outcome.FAILED for one in checks_of(record.looks()))
    if failed and name.replace("_", " ") in hint:
        return _line(name, False, f"fails as the map has it; {hint}")
    mute = [one.quantity for one in found if one.mute]
    told = [one for one in found if not one.mute]
    rest = [one for one in told if not one.proven]
    said = f"{len(told) - len(rest)} of {len(told)} registers proven"
    shown = [one for one in told if one.proven][:1] if not rest else rest[:2]
    said += f", {'e.g.' if not rest else 'not'} " * bool(shown)
    said += "; ".join(f"{one.quantity} {one.said}" for one in shown) + " ..." * (len(rest) > 2)
    if mute:
        said += f"; 0 or no value: {', '.join(mute)}"
    return _line(name, True if told and not rest else None, said)


def sentinels(record: Record, profile: Profile, looks: Sequence[Look]) -> Check:
    """Whether patterns that mean "no value" are known to the map as such."""
    by_name = {one.quantity: one for one in profile.registers}
    known, strange = set[str](), set[str]()
    for cell in (cell for look in looks for cell in look.cells.values()):
        register = by_name[cell.quantity]
        if cell.doubt == "sentinel":
            known.add(f"{cell.quantity} {cell.raw}")
        elif pattern := _pattern(profile, register, cell):
            strange.add(f"{cell.quantity} {pattern}, taken for {_shown(cell)}")
    if strange:
        return _line("sentinels", False, "; ".join(sorted(strange)[:3]))
    if known:
        return _line("sentinels", True, f"known to the map: {', '.join(sorted(known)[:3])}")
    return _line("sentinels", None, f"none shown in {len(record.readings)} readings")


def _pattern(profile: Profile, register: Register, cell: Cell) -> str:
    """Return a "no value" pattern that the map does not know as one: all bits, or all but one."""
    if register.type[:3] in {"bcd", "mod"} or register.plus:
        return ""
    bits = 16 * WORDS[register.type]
    raw = number_of(profile, register, cell.raw)
    signed = register.type[0] == "s"
    suspects = {2 ** (bits - 1) - 1, 2 ** (bits - 1)} | (set() if signed else {2**bits - 1})
    if register.type[0] == "f":
        return cell.raw if cell.doubt.startswith("not_finite") else ""
    return f"{raw:#0{bits // 4 + 2}x}" if raw in suspects else ""


def _shown(cell: Cell) -> str:
    return cell.doubt or f"{cell.value:g} {cell.unit}"


def longest(record: Record) -> Check:
    """Whether as many registers come in one answer as the map's requests ask for."""
    if not record.longest:
        return _line("max_registers", None, "not tried")
    assert record.profile is not None  # noqa: S101 - it was tried on a map's requests
    said = "; ".join(
        f"function {one.function} from {one.start}: {one.count} ({one.why})"
        for one in record.longest
    )
    wanted = [a for one in record.readings for a in one.answers]
    enough = all(
        any(a.start == one.start and a.count <= one.count for a in wanted) for one in record.longest
    )
    return _line("max_registers", enough, f"{said}; the map says {record.profile.max_registers}")


def ratio(record: Record, looks: Sequence[Look]) -> Check:
    """Whether the power is one the connection can carry: the transformers' ratio is sane."""
    powers = [abs(p) for look in looks if (p := look.value("power_kw")) is not None]
    if not powers or record.rated_power_kw is None:
        return _line("ratio", None, "rated power not stated, or no power read")
    share = max(powers) / record.rated_power_kw
    said = (
        f"{max(powers):.4g} kW is {share:.1%} of the rated {record.rated_power_kw:g} kW"
        f" (CT {record.ct:g}, PT {record.pt:g})"
    )
    if share > _OVER:
        return _line("ratio", False, said)
    return _line("ratio", True if share >= _LITTLE else None, said)


def rollover(record: Record, looks: Sequence[Look]) -> Check:
    """Whether it is known where the energy register starts again at 0, and when it will."""
    name = "energy_import_kwh"
    energy = next((e for look in reversed(looks) if (e := look.value(name)) is not None), None)
    if record.profile is None:
        end, how = 1e6 * record.ct * record.pt, "six digits (DL/T 645-2007, table A.1)"
    else:
        found = record.profile.rollover_of(name)
        if found is None:
            return _line("rollover", None, "the map states no modulus, and its type none")
        factor = record.ct * record.pt if found[1] else 1.0
        end, how = found[0] * factor, _width(record.profile, name)
    if energy is None:
        return _line("rollover", None, f"at {end:g} kWh, {how}; no energy read")
    said = f"{energy:.6g} kWh of {end:.10g}, {how}"
    if record.rated_power_kw:
        years = (end - energy) / record.rated_power_kw / _YEARS
        said += f"; at rated power in {years:.1f} years"
    return _line("rollover", energy < end, said)


def _width(profile: Profile, name: str) -> str:
    (one,) = (r for r in profile.registers if r.quantity == name)
    if one.modulus is not None or modulus_of(one.type) is None:
        return "as the maker states"
    return f"by {one.type} x {one.scale:g}"


def alive(looks: Sequence[Look]) -> Check:
    """Whether anything moves: a gateway may answer for a meter that is long gone."""
    if len(looks) < 2:
        return _line("alive", None, "read once only")
    values = {n: {look.value(n) for look in looks} for n in looks[0].cells}
    moved = sorted(name for name, found in values.items() if len(found) > 1)
    if not moved:
        return _line("alive", None, f"not one value changed in {len(looks)} readings")
    return _line("alive", True, f"{len(moved)} of {len(values)} quantities changed")


def timing(record: Record) -> Check:
    """How fast answers come: median, 95th percentile, spread; fails if one did not come in time."""
    requests: list[tuple[float, bool]] = []
    for one in record.readings:
        requests += [(a.took_ms, a.words is None and not a.refused) for a in one.answers]
        requests += [(i.took_ms, i.payloads is None and not i.refused) for i in one.items]
    took = np.array([ms for ms, lost in requests if not lost])
    lost = sum(late for _, late in requests)
    if not took.size:
        return _line("timing", False, f"none of {len(requests)} requests was answered")
    p50, p95, top = np.percentile(took, 50), np.percentile(took, 95), took.max()
    said = (
        f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, spread {p95 - p50:.0f} ms, longest {top:.0f} ms of"
        f" {record.timeout_s * 1000:.0f} allowed; {lost} of {len(requests)} not answered"
    )
    if lost:
        return _line("timing", False, said)
    return _line("timing", True if len(took) >= 5 else None, said)


def clock(record: Record) -> Check:
    """Whether the meter's clock is right."""
    offsets = [one.clock_offset_s for one in record.readings if one.clock_offset_s is not None]
    if not offsets:
        return _line("clock", None, "not read")
    worst = max(offsets, key=abs)
    said = f"{worst:+.1f} s against ours; limit {record.max_clock_offset_s:g} s"
    return _line("clock", abs(worst) <= record.max_clock_offset_s, said)
