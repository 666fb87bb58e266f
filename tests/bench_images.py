"""Meters made of register images: what a map would read from them, without a wire."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from collector.bench.look import Answered, Reading
from collector.profiles import Profile, load_profiles
from collector.registers import encode, plan

PROFILES = load_profiles(Path(__file__).parents[1] / "config" / "meter-profiles").by_id
NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)
SHOWN = {
    "energy_import_kwh": 4321.5, "energy_export_kwh": 12.25, "reactive_import_kvarh": 1234.5,
    "reactive_export_kvarh": 2.5, "voltage_a_v": 230.5, "voltage_b_v": 229.5, "voltage_c_v": 231.0,
    "current_a_a": 5.0, "current_b_a": 4.0, "current_c_a": 6.0,
    "power_kw": 3.109, "power_a_kw": 1.037, "power_b_kw": 0.826, "power_c_kw": 1.246,
    "reactive_power_kvar": 1.506, "apparent_power_kva": 3.4565, "power_factor": 0.9,
    "frequency_hz": 50.02, "demand_kw": 3.0,
}  # fmt: skip
SINGLE = SHOWN | {
    "power_kw": 1.037, "apparent_power_kva": 1.1525, "reactive_power_kvar": 0.5023,
}  # fmt: skip
"""The same, where the map knows one phase only."""


def shown_by(profile: Profile) -> Mapping[str, float | None]:
    """Return values that agree with one another for the phases the map has."""
    names = {one.quantity for one in profile.registers}
    return SHOWN if names & {"voltage_b_v", "current_b_a"} else SINGLE


def image_of(
    profile: Profile, values: Mapping[str, float | None] | None = None
) -> Mapping[tuple[int, int], int]:
    """Return the registers of a meter of this map, the holes between them filled with 0."""
    image = encode(profile, values if values is not None else shown_by(profile))
    for function in (3, 4):
        own = [address for (of, address) in image if of == function]
        for address in range(min(own, default=0), max(own, default=-1) + 1):
            image.setdefault((function, address), 0)
    return image


def read_by(
    profile: Profile, image: Mapping[tuple[int, int], int], after_s: float = 0.0
) -> Reading:
    """Return what reading an image by a map brings; registers it lacks are refused."""
    answers = []
    for block in plan(profile).blocks:
        keys = [(block.function, block.start + i) for i in range(block.count)]
        there = all(key in image for key in keys)
        words = "".join(f"{image[key]:04X}" for key in keys) if there else None
        answers.append(
            Answered(
                function=block.function, start=block.start, count=block.count, words=words,
                error="" if there else "exception 2", refused=not there, took_ms=10.0,
            )
        )  # fmt: skip
    return Reading(at=NOW + timedelta(seconds=after_s), answers=tuple(answers))
