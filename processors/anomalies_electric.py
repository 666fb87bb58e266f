"""Signals over readings of voltage, current and power; pure.

After the meter events of DL/T 698.45 (3000-3005, 3007, 3008, 301D, 301E, 302D, 303B), domain.md
section 6. A meter sees each instant and waits 60 s; we see readings, so a condition must show in
readings that lie at least that far apart.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import polars as pl

from collector.anomaly_limits import Kind
from processors.anomaly import Bound, Signal

ALL = "abc"
_EPS = 1e-9
"""171.6 V are 0.78 of 220 V, and not less, in binary fractions too."""
_THREE = pl.col("phases") == 3
_STAR = _THREE & ~pl.col("three_wire")


def electric(bounds: Mapping[Kind, Bound]) -> Iterator[Signal]:
    """Yield the signals of the kinds that have a bound."""
    make = {
        Kind.LOSS_OF_VOLTAGE: _loss_of_voltage,
        Kind.UNDERVOLTAGE: _undervoltage,
        Kind.OVERVOLTAGE: _overvoltage,
        Kind.PHASE_FAILURE: _phase_failure,
        Kind.LOSS_OF_CURRENT: _loss_of_current,
        Kind.OVERCURRENT: _overcurrent,
        Kind.REVERSE_POWER: _reverse_power,
        Kind.OVERLOAD: _overload,
        Kind.VOLTAGE_UNBALANCE: _voltage_unbalance,
        Kind.CURRENT_UNBALANCE: _current_unbalance,
        Kind.SEVERE_CURRENT_UNBALANCE: _current_unbalance,
        Kind.LOW_POWER_FACTOR: _low_power_factor,
    }
    for kind, signals in make.items():
        if kind in bounds:
            yield from signals(bounds[kind])


class _Measured(NamedTuple):
    """A quantity as a share of what it is rated by."""

    column: str
    """`{}` stands for the phase."""
    base: str
    unit: str
    measure: str

    def name(self, phase: str) -> str:
        return self.column.format(phase).replace("__", "_")

    def share(self, phase: str) -> pl.Expr:
        value = pl.col(self.name(phase))
        return (value.abs() if self.measure == "A" else value) / pl.col(self.base)

    def signal(self, bound: Bound, phase: str, on: pl.Expr, threshold: pl.Expr) -> Signal:
        """Return the signal of a phase that begins with `on`; the greatest share is the worst."""
        return Signal(
            kind=bound.kind,
            phase=phase,
            needs=(self.base, self.name(phase)),
            on=on,
            value=self.share(phase),
            observed=pl.col(self.name(phase)),
            reference=pl.col(self.base),
            threshold=threshold,
            unit=self.unit,
            measure=self.measure,
            applies=_judged(phase),
            delay_s=bound["delay_s"],
            basis=None if self.measure == "V" else "basis",
        )


_VOLTAGE = _Measured("voltage_{}_v", "nominal_v", "Un", "V")
_CURRENT = _Measured("current_{}_a", "basic_a", "Ib", "A")
_OF_MOST = _Measured("current_{}_a", "max_a", "Imax", "A")
_POWER = _Measured("power_{}_kw", "phase_kw", "Pb", "kW")
_OF_RATED = _Measured("power_{}_kw", "max_kw", "Pmax", "kW")
_u, _i = _VOLTAGE.share, _CURRENT.share


def _under(share: pl.Expr, limit: pl.Expr) -> pl.Expr:
    return share < limit - _EPS


def _over(share: pl.Expr, limit: pl.Expr) -> pl.Expr:
    return share > limit + _EPS


def _judged(phase: str) -> pl.Expr:
    """Return whether a phase exists and is metered by itself."""
    return {"": pl.lit(value=True), "a": pl.lit(value=True), "b": _STAR, "c": _THREE}[phase]


def _others(phase: str) -> str:
    return ALL.replace(phase, "")


def _greatest(phases: str, share: Callable[[str], pl.Expr]) -> pl.Expr:
    """Return the greatest share of the phases that are told."""
    return pl.max_horizontal(*(share(one) for one in phases))


def _volts_amps(phase: str) -> tuple[str, ...]:
    return ("nominal_v", "basic_a", _VOLTAGE.name(phase), _CURRENT.name(phase))


def _loss_of_voltage(bound: Bound) -> Iterator[Signal]:
    """失压: a phase draws current at a voltage too low; with all phases gone the record ends."""
    gone = _under(_greatest(ALL, _u), bound["u_below"]) & ~_over(
        _greatest(ALL, _i), bound["i_above"]
    )
    for phase in ALL:
        on = _under(_u(phase), bound["u_below"]) & _over(_i(phase), bound["i_above"])
        yield replace(
            _VOLTAGE.signal(bound, phase, on, bound["u_below"]),
            needs=_volts_amps(phase),
            off=_over(_u(phase), bound["u_clear"]) | gone,
            greatest=False,
            basis="basis",
        )


def _undervoltage(bound: Bound) -> Iterator[Signal]:
    """欠压: a phase's voltage is too low; with all phases gone the supply is lost."""
    alive = ~_under(_greatest(ALL, _u), bound["u_least"])
    for phase in ALL:
        on = _under(_u(phase), bound["u_below"]) & alive
        yield replace(_VOLTAGE.signal(bound, phase, on, bound["u_below"]), greatest=False)


def _overvoltage(bound: Bound) -> Iterator[Signal]:
    """过压: a phase's voltage is too high."""
    for phase in ALL:
        on = _over(_u(phase), bound["u_above"])
        yield _VOLTAGE.signal(bound, phase, on, bound["u_above"])


def _phase_failure(bound: Bound) -> Iterator[Signal]:
    """断相: a phase has neither voltage nor current while another has voltage."""
    for phase in ALL:
        alive = ~_under(_greatest(_others(phase), _u), bound["u_below"])
        low = _under(_u(phase), bound["u_below"]) & _under(_i(phase), bound["i_below"])
        on = (low & alive).fill_null(value=False)
        yield replace(
            _VOLTAGE.signal(bound, phase, on, bound["u_below"]),
            needs=_volts_amps(phase),
            applies=_judged(phase) & _THREE,
            greatest=False,
            basis="basis",
        )


def _loss_of_current(bound: Bound) -> Iterator[Signal]:
    """失流: a phase under voltage carries no current while another is loaded."""
    for phase in ALL:
        loaded = _over(_greatest(_others(phase), _i), bound["i_clear"])
        dead = _over(_u(phase), bound["u_above"]) & _under(_i(phase), bound["i_below"])
        on = (dead & loaded).fill_null(value=False)
        yield replace(
            _CURRENT.signal(bound, phase, on, bound["i_below"]),
            needs=_volts_amps(phase),
            # no other phase loaded: nothing can be said, and the episode ends
            off=_over(_i(phase), bound["i_clear"]) | ~loaded.fill_null(value=False),
            applies=_judged(phase) & _THREE,
            greatest=False,
        )


def _overcurrent(bound: Bound) -> Iterator[Signal]:
    """过流: a phase carries more than the greatest current of the connection allows."""
    for phase in ALL:
        on = _over(_OF_MOST.share(phase), bound["i_above"])
        signal = _OF_MOST.signal(bound, phase, on, bound["i_above"])
        yield replace(signal, basis="max_basis")


def _reverse_power(bound: Bound) -> Iterator[Signal]:
    """功率反向, of the meter and of each phase; not where power flows back by design.

    Of three-wire metering only the total: one of its two elements is negative at a low power
    factor.
    """
    for phase in ("", *ALL):
        on = _under(_POWER.share(phase), -bound["p_reverse"])
        yield replace(
            _POWER.signal(bound, phase, on, -bound["p_reverse"]),
            applies=pl.col("one_way") & (_STAR if phase else pl.lit(value=True)),
            greatest=False,
        )


def _overload(bound: Bound) -> Iterator[Signal]:
    """过载: more power than the connection can carry, in all or in a phase."""
    whole = _OF_RATED._replace(base="rated_kw")
    for phase in ("", *ALL):
        of = _OF_RATED if phase else whole
        on = _over(of.share(phase), bound["p_above"])
        signal = of.signal(bound, phase, on, bound["p_above"])
        applies = _STAR if phase else pl.lit(value=True)
        yield replace(signal, applies=applies, basis="max_basis")


def _voltage_unbalance(bound: Bound) -> Iterator[Signal]:
    yield _unbalance(bound, _VOLTAGE, bound["u_least"])


def _current_unbalance(bound: Bound) -> Iterator[Signal]:
    yield _unbalance(bound, _CURRENT, bound["i_least"])


def _unbalance(bound: Bound, of: _Measured, least: pl.Expr) -> Signal:
    """不平衡率 = (max - min) / max of the phases, while the greatest is at least `least`."""
    values = [pl.col(of.name(phase)).abs() for phase in ALL]
    top = pl.max_horizontal(*values)
    spread = top - pl.min_horizontal(*values)
    rate = pl.when(top > 0).then(spread / top).otherwise(0.0)
    on = _over(rate, bound["rate"]) & ~_under(top / pl.col(of.base), least)
    return replace(
        of.signal(bound, "", on, bound["rate"]),
        needs=(of.base, *(of.name(phase) for phase in ALL)),
        value=rate,
        observed=spread,
        reference=top,
        unit="1",
        applies=_STAR,
    )


def _low_power_factor(bound: Bound) -> Iterator[Signal]:
    """功率因数超下限: under load; a phase wired to another one's current shows so too."""
    factor, load = pl.col("factor"), pl.col("apparent_kva")
    loaded = ~_under(load / pl.col("basic_kw"), bound["s_least"])
    yield Signal(
        kind=bound.kind,
        phase="",
        needs=("basic_kw", "factor", "apparent_kva"),
        on=_under(factor, bound["factor"]) & loaded,
        value=factor,
        observed=factor * load,
        reference=load,
        threshold=bound["factor"],
        unit="1",
        measure="kW",
        greatest=False,
        delay_s=bound["delay_s"],
        basis="basis",
    )
