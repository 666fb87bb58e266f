"""Which profile fits a meter: candidates ranked by evidence, never by hope; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from collector.bench.checks import Check, Outcome, checks_of
from collector.bench.look import Look, Ratio, Reading, look_of
from collector.bench.variants import looks_like
from collector.identity import Identified
from collector.profiles import Profile

_WEIGHTS: Mapping[str, int] = {
    "identity": 4, "voltage": 2, "frequency": 2, "phase_sum": 2, "apparent": 1, "reactive": 1,
    "power_factor": 2, "volt_amps": 2, "energy_slope": 3, "readable": 0, "plausible": 0,
}  # fmt: skip
"""How seldom a wrong map passes: power within apparent power half the time, a slope hardly ever.
Being readable and within the widest limits speaks for nothing, but not being so against."""
_MATCH = 6
_POSSIBLE = 3


class Standing(StrEnum):
    """What the evidence allows to say of a candidate."""

    MATCH = "match"
    """Nothing fails, and much passes that a wrong map would fail."""
    POSSIBLE = "possible"
    """Nothing fails, but little passes."""
    UNKNOWN = "unknown"
    """Nothing speaks for it, nothing against."""
    REFUTED = "refuted"
    """Something fails."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One profile tried on one meter."""

    profile: str
    title: str
    standing: Standing
    score: int
    checks: tuple[Check, ...]
    stated: int
    """Quantities it reads."""
    look: Look
    hint: str = ""
    """What would make it fit: another word order."""

    @property
    def failed(self) -> int:
        """How many checks failed."""
        return sum(one.outcome is Outcome.FAILED for one in self.checks)


def candidate_of(
    profile: Profile,
    readings: Sequence[Reading],
    identities: Sequence[Identified] = (),
    ratio: Ratio | None = None,
) -> Candidate:
    """Judge one profile by what its requests brought.

    Args:
        profile: the map.
        readings: at least one; two or more some seconds apart show the energy's slope.
        identities: what the meter said of itself where the profile asks for it.
        ratio: of the transformers, for registers that show secondary values.
    """
    ratio = ratio or Ratio()
    looks = [look_of(profile, one, ratio) for one in readings]
    checks = [readable(readings), identity(identities), *checks_of(looks)]
    passed = sum(_WEIGHTS[c.name] for c in checks if c.outcome is Outcome.PASSED)
    failures = [one for one in checks if one.outcome is Outcome.FAILED]
    score = passed - sum(max(_WEIGHTS[one.name], 2) for one in failures)
    standing = _standing(passed, bool(failures))
    only_unread = [one.name for one in failures] == ["readable"]
    hint = looks_like(profile, readings, ratio) if failures and not only_unread else ""
    stated = sum(one.value is not None for one in looks[-1].cells.values())
    return Candidate(
        profile.id, profile.title, standing, score, tuple(checks), stated, looks[-1], hint
    )


def _standing(passed: int, failed: bool) -> Standing:
    if failed:
        return Standing.REFUTED
    if passed >= _MATCH:
        return Standing.MATCH
    return Standing.POSSIBLE if passed >= _POSSIBLE else Standing.UNKNOWN


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return them best first: what nothing refutes, then by score, then by what they read."""
    return sorted(
        candidates,
        key=lambda one: (one.failed > 0, -one.score, one.failed, -one.stated, one.profile),
    )


def tied(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the best matches that the evidence cannot tell apart; `candidates` as ranked."""
    best = [one for one in candidates if one.standing is Standing.MATCH]
    return [one for one in best if one.score == best[0].score]


def readable(readings: Sequence[Reading]) -> Check:
    """Whether all requests of the map were answered."""
    errors = [text for one in readings for text in one.unanswered]
    asked = sum(len(one.answers) + len(one.items) for one in readings)
    if errors:
        said = f"{len(errors)} of {asked} requests without answer: {errors[0]}"
        return Check("readable", Outcome.FAILED, said)
    return Check("readable", Outcome.PASSED, f"all {asked} requests answered")


def identity(found: Sequence[Identified]) -> Check:
    """Whether the meter says it is what the profile expects."""
    told = [one for one in found if one.expected is not None]
    said = ", ".join(f"{one.what} {one.value!r}" for one in found)
    if not told:
        return Check("identity", Outcome.UNKNOWN, said or "the profile knows no register for it")
    good = all(one.expected for one in told)
    return Check("identity", Outcome.PASSED if good else Outcome.FAILED, said)
