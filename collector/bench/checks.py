"""Checks: what the values of a meter say about the map they were read by; pure.

A wrong map may well yield numbers. It seldom yields a mains voltage, a mains frequency, phases that
add up to the total, a power that agrees with volts and amperes, and a register that grows as the
power says. Each check passes or fails with its figures, or stays unknown where the values cannot
tell: a meter without load proves little, and zero proves nothing.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise

from collector.bench.look import Look

NOMINAL_V = (
    57.7, 63.5, 100.0, 110.0, 120.0, 127.0, 220.0, 230.0, 240.0, 277.0, 347.0, 380.0, 400.0, 415.0,
    480.0, 690.0, 3464.0, 5774.0, 6000.0, 10_000.0, 11_547.0, 20_000.0, 20_207.0, 35_000.0,
)  # fmt: skip
"""Nominal voltages met at a meter's terminals or, behind voltage transformers, as primary values:
IEC 60038 (low voltage; 6, 10, 20, 35 kV), GB/T 156 (57.7 and 100 V
secondary), and their phase values."""
VOLTAGE_TOLERANCE = 0.10
"""EN 50160 4.2.2: within 10 % of nominal; GB/T 12325 is narrower."""
FREQUENCIES_HZ = (50.0, 60.0)
FREQUENCY_TOLERANCE_HZ = 1.0
"""Interconnected mains keep 1 % (EN 50160 4.2.1); isolated ones are wider."""
_SUM_TOLERANCE = 0.03
"""Phases and total are seldom of the same instant."""
_RATIO_TOLERANCE = 0.05
_SLOPE_TOLERANCE = 0.15
_STEPS = 5
"""A counter's growth below so many steps of its register says nothing."""
_LINE = math.sqrt(3)


class Outcome(StrEnum):
    """How a check came out."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One check and its figures."""

    name: str
    outcome: Outcome
    said: str


def checks_of(looks: Sequence[Look]) -> list[Check]:
    """Check the values of one meter, read once or several times in a row.

    Every look is checked; a failure in any is a failure, and the last look that tells something is
    the one quoted.
    """
    found = [_worst(looks, one) for one in _EACH]
    return [*found, slope(looks)]


def _worst(looks: Sequence[Look], check: Callable[[Look], Check]) -> Check:
    found = [check(one) for one in looks]
    for wanted in (Outcome.FAILED, Outcome.PASSED):
        if fitting := [one for one in found if one.outcome is wanted]:
            return fitting[-1]
    return found[-1]


def _told(name: str, passed: bool | None, said: str) -> Check:
    how = {True: Outcome.PASSED, False: Outcome.FAILED, None: Outcome.UNKNOWN}[passed]
    return Check(name, how, said)


def plausible(look: Look) -> Check:
    """Whether every value read can be one."""
    bad = [
        f"{c.quantity} {c.doubt}" for c in look.cells.values() if c.doubt not in {"", "sentinel"}
    ]
    stated = sum(one.value is not None for one in look.cells.values())
    if bad:
        return _told("plausible", False, "; ".join(bad[:3]) + (" ..." if len(bad) > 3 else ""))
    some = any(one.value for one in look.cells.values())
    return _told("plausible", True if some else None, f"{stated} values within their ranges")


def voltage(look: Look) -> Check:
    """Whether phase voltages stand near one nominal value; 0 is a phase that is not connected."""
    read = {p: look.value(f"voltage_{p}_v") for p in "abc"}
    volts = {p: v for p, v in read.items() if v}
    if not volts:
        said = "all 0 V" if any(v == 0 for v in read.values()) else "no voltage read"
        return _told("voltage", None, said)
    said = " / ".join(f"{v:.1f}" for v in volts.values()) + " V"
    near = {_nominal(one) for one in volts.values()}
    close = all(
        any(abs(v / nominal - 1) <= VOLTAGE_TOLERANCE for nominal in near) for v in volts.values()
    )
    alike = max(volts.values()) <= 1.1 * min(volts.values())
    nominal = f"nominal {min(near):g} V"
    if close and alike:
        return _told("voltage", True, f"{said}, {nominal} within {VOLTAGE_TOLERANCE:.0%}")
    return _told("voltage", False, f"{said}: no nominal voltage, or phases far apart")


def _nominal(volts: float) -> float:
    return min(NOMINAL_V, key=lambda one: abs(volts / one - 1))


def frequency(look: Look) -> Check:
    """Whether the frequency is one of the mains."""
    hertz = look.value("frequency_hz")
    if hertz is None:
        return _told("frequency", None, "no frequency read")
    near = min(FREQUENCIES_HZ, key=lambda one: abs(one - hertz))
    fits = abs(near - hertz) <= FREQUENCY_TOLERANCE_HZ
    return _told("frequency", fits, f"{hertz:.2f} Hz, mains {near:g} +-{FREQUENCY_TOLERANCE_HZ:g}")


def phase_sum(look: Look) -> Check:
    """Whether the phases' powers add up to the total."""
    phases = look.values("power_a_kw", "power_b_kw", "power_c_kw")
    total = look.value("power_kw")
    if phases is None or total is None:
        return _told("phase_sum", None, "total and three phase powers are not all read")
    size = max(sum(map(abs, phases)), abs(total))
    steps = look.step("power_kw") + 3 * look.step("power_a_kw")
    if size <= 3 * steps:
        return _told("phase_sum", None, "no load: phases and total are all about 0")
    said = f"{' + '.join(f'{one:.4g}' for one in phases)} = {sum(phases):.4g} kW, total {total:.4g}"
    return _told("phase_sum", abs(sum(phases) - total) <= _SUM_TOLERANCE * size + steps, said)


def apparent(look: Look) -> Check:
    """Whether active power stays within apparent power."""
    both = look.values("power_kw", "apparent_power_kva")
    if both is None or not any(both):
        return _told("apparent", None, "active and apparent power are not both read, or both 0")
    active, power = both
    fits = abs(active) <= power * (1 + _SUM_TOLERANCE) + look.step("apparent_power_kva")
    return _told("apparent", fits, f"|P| {abs(active):.4g} kW, S {power:.4g} kVA")


def reactive(look: Look) -> Check:
    """Whether active and reactive power together stay within apparent power.

    They stay below it where currents are distorted or phases unequal, never above.
    """
    both = look.values("power_kw", "reactive_power_kvar")
    power = look.value("apparent_power_kva") or _volt_amps(look)
    if both is None or not power or not both[1]:
        return _told("reactive", None, "no reactive load, or too few values to work it out")
    size = math.hypot(*both)
    said = f"P and Q make {size:.4g} kVA, S {power:.4g} kVA"
    return _told("reactive", size <= power * (1 + _RATIO_TOLERANCE), said)


def power_factor(look: Look) -> Check:
    """Whether the power factor is that of P and S (or of P and volts times amperes)."""
    both = look.values("power_kw", "power_factor")
    power, how = look.value("apparent_power_kva"), "P/S"
    if power is None:
        power, how = _volt_amps(look), "P/(U x I)"
    if both is None or not power or not both[0]:
        return _told("power_factor", None, "no load, or too few values to work it out")
    worked = abs(both[0]) / power
    fits = any(abs(abs(both[1]) - one) <= _RATIO_TOLERANCE for one in (worked, worked * _LINE))
    return _told("power_factor", fits, f"{both[1]:.3f}, {how} {worked:.3f}")


def volt_amps(look: Look) -> Check:
    """Whether volts times amperes agree with the powers.

    Meters of three-wire systems show line voltages: then the product is the root of 3 too large.
    """
    product, active = _volt_amps(look), look.value("power_kw")
    if not product or active is None:
        return _told(
            "volt_amps", None, "no current, or voltage, current and power are not all read"
        )
    power = look.value("apparent_power_kva")
    said = f"sum of U x I {product:.4g} kVA, P {active:.4g} kW"
    if power:
        fits = any(abs(product / one / power - 1) <= _RATIO_TOLERANCE for one in (1, _LINE))
        return _told("volt_amps", fits, f"{said}, S {power:.4g} kVA")
    share = abs(active) / product
    if share > 1 + _RATIO_TOLERANCE:
        return _told("volt_amps", False, said)
    return _told("volt_amps", True if share >= 0.2 else None, f"{said}: {share:.2f}")


def _volt_amps(look: Look) -> float | None:
    """Return the sum of volts times amperes of the phases read, kVA; None: none is read."""
    pairs = [(look.value(f"voltage_{p}_v"), look.value(f"current_{p}_a")) for p in "abc"]
    products = [abs(u * i) / 1000 for u, i in pairs if u is not None and i is not None]
    return sum(products) if products else None


def slope(looks: Sequence[Look]) -> Check:
    """Whether the energy registers grew as the power between the looks says.

    The integral of the power is taken by trapezoids; growth that is too small for the register to
    show tells nothing, and how long to wait is said.
    """
    rows = [(one.at, one.values("energy_import_kwh", "power_kw"), one) for one in looks]
    told = [(at, values[0], values[1], one) for at, values, one in rows if values is not None]
    if len(told) < 2:
        return _told("energy_slope", None, "energy and power were not both read twice")
    net = [energy - (one.value("energy_export_kwh") or 0.0) for _, energy, _, one in told]
    seconds = [(at - told[0][0]) / timedelta(seconds=1) for at, *_ in told]
    expected = sum(
        (told[i][2] + told[i + 1][2]) / 2 * (seconds[i + 1] - seconds[i]) / 3600
        for i in range(len(told) - 1)
    )
    step = grain([one[1] for one in told], told[-1][3].step("energy_import_kwh"))
    grew = net[-1] - net[0]
    said = f"grew {grew:.4g} kWh in {seconds[-1]:.0f} s, power says {expected:.4g}"
    if expected >= 0 and any(later < earlier - step for earlier, later in pairwise(net)):
        return _told("energy_slope", False, f"{said}: the register fell")
    if abs(grew - expected) > _SLOPE_TOLERANCE * abs(expected) + 2 * step:
        return _told("energy_slope", False, said)
    if abs(expected) < _STEPS * step:
        return _told("energy_slope", None, f"{said}; {_wait(step, expected, seconds[-1])}")
    return _told("energy_slope", True, said)


def _wait(step: float, expected: float, seconds: float) -> str:
    """Say how long to watch for the register to tell something."""
    if not expected or not seconds:
        return "no load to grow by"
    return f"it counts by {step:.3g} kWh: watch {_STEPS * step / abs(expected) * seconds:.0f} s"


def grain(values: Sequence[float], step: float) -> float:
    """Return the steps in which a register counts: the coarsest power of ten all values lie on.

    Args:
        values: what it showed.
        step: the finest difference its type and scale can show.
    """
    coarsest = step
    for power in range(-6, 3):
        size = 10.0**power
        off = (abs(one / size - round(one / size)) * size for one in values)
        if size > coarsest and all(one <= max(step, 1e-9) for one in off):
            coarsest = size
    return coarsest


_EACH: tuple[Callable[[Look], Check], ...] = (
    plausible, voltage, frequency, phase_sum, apparent, reactive, power_factor, volt_amps,
)  # fmt: skip
