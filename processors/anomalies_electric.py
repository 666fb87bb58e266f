"""Loss of voltage and current, reverse power, unbalance: signals over readings; pure.

After the meter events of DL/T 698.45 (3000, 3003, 3004, 3007, 301D, 301E, 302D), domain.md section
6. A meter sees each instant and waits 60 s; we see readings, so a condition must show in readings
that lie at least that far apart.
"""

from collections.abc import Callable, Iterator, Mapping

import polars as pl

from processors.anomaly import Bound, Signal
from processors.policy.anomaly_pack import Kind

ALL = "abc"
_EPS = 1e-9
"""171.6 V are 0.78 of 220 V, and not less, in binary fractions too."""
_THREE = pl.col("phases") == 3
_STAR = _THREE & ~pl.col("three_wire")


def electric(bounds: Mapping[Kind, Bound]) -> Iterator[Signal]:
    """Yield the signals of the kinds that have a bound."""
    make = {
        Kind.LOSS_OF_VOLTAGE: _loss_of_voltage,
        Kind.PHASE_FAILURE: _phase_failure,
        Kind.LOSS_OF_CURRENT: _loss_of_current,
        Kind.REVERSE_POWER: _reverse_power,
        Kind.VOLTAGE_UNBALANCE: _voltage_unbalance,
        Kind.CURRENT_UNBALANCE: _current_unbalance,
        Kind.SEVERE_CURRENT_UNBALANCE: _current_unbalance,
    }
    for kind, signals in make.items():
        if kind in bounds:
            yield from signals(bounds[kind])


def _u(phase: str) -> pl.Expr:
    return pl.col(f"voltage_{phase}_v") / pl.col("nominal_v")


def _i(phase: str) -> pl.Expr:
    return pl.col(f"current_{phase}_a").abs() / pl.col("basic_a")


def _under(share: pl.Expr, limit: float) -> pl.Expr:
    return share < limit - _EPS


def _over(share: pl.Expr, limit: float) -> pl.Expr:
    return share > limit + _EPS


def _judged(phase: str) -> pl.Expr:
    """Return whether a phase exists and is metered by itself."""
    return {"a": pl.lit(value=True), "b": _STAR, "c": _THREE}[phase]


def _others(phase: str) -> str:
    return ALL.replace(phase, "")


def _greatest(phases: str, share: Callable[[str], pl.Expr]) -> pl.Expr:
    """Return the greatest share of the phases that are told."""
    return pl.max_horizontal(*(share(one) for one in phases))


def _volts_amps(phase: str) -> tuple[str, ...]:
    return ("nominal_v", "basic_a", f"voltage_{phase}_v", f"current_{phase}_a")


def _loss_of_voltage(bound: Bound) -> Iterator[Signal]:
    """失压: a phase draws current at a voltage too low; with all phases gone the record ends."""
    gone = _under(_greatest(ALL, _u), bound["u_below"]) & ~_over(
        _greatest(ALL, _i), bound["i_above"]
    )
    for phase in ALL:
        yield Signal(
            kind=bound.kind,
            phase=phase,
            needs=_volts_amps(phase),
            on=_under(_u(phase), bound["u_below"]) & _over(_i(phase), bound["i_above"]),
            off=_over(_u(phase), bound["u_clear"]) | gone,
            value=_u(phase),
            observed=pl.col(f"voltage_{phase}_v"),
            reference=pl.col("nominal_v"),
            threshold=bound["u_below"],
            unit="Un",
            measure="V",
            applies=_judged(phase),
            greatest=False,
            delay_s=bound["delay_s"],
            basis="basis",
        )


def _phase_failure(bound: Bound) -> Iterator[Signal]:
    """断相: a phase has neither voltage nor current while another has voltage."""
    for phase in ALL:
        alive = ~_under(_greatest(_others(phase), _u), bound["u_below"])
        low = _under(_u(phase), bound["u_below"]) & _under(_i(phase), bound["i_below"])
        yield Signal(
            kind=bound.kind,
            phase=phase,
            needs=_volts_amps(phase),
            on=(low & alive).fill_null(value=False),
            value=_u(phase),
            observed=pl.col(f"voltage_{phase}_v"),
            reference=pl.col("nominal_v"),
            threshold=bound["u_below"],
            unit="Un",
            measure="V",
            applies=_judged(phase) & _THREE,
            greatest=False,
            delay_s=bound["delay_s"],
            basis="basis",
        )


def _loss_of_current(bound: Bound) -> Iterator[Signal]:
    """失流: a phase under voltage carries no current while another is loaded."""
    for phase in ALL:
        loaded = _over(_greatest(_others(phase), _i), bound["i_clear"])
        dead = _over(_u(phase), bound["u_above"]) & _under(_i(phase), bound["i_below"])
        yield Signal(
            kind=bound.kind,
            phase=phase,
            needs=_volts_amps(phase),
            on=(dead & loaded).fill_null(value=False),
            # no other phase loaded: nothing can be said, and the episode ends
            off=_over(_i(phase), bound["i_clear"]) | ~loaded.fill_null(value=False),
            value=_i(phase),
            observed=pl.col(f"current_{phase}_a"),
            reference=pl.col("basic_a"),
            threshold=bound["i_below"],
            unit="Ib",
            measure="A",
            applies=_judged(phase) & _THREE,
            greatest=False,
            delay_s=bound["delay_s"],
            basis="basis",
        )


def _reverse_power(bound: Bound) -> Iterator[Signal]:
    """功率反向, of the meter and of each phase; not where power flows back by design.

    Of three-wire metering only the total: one of its two elements is negative at a low power
    factor.
    """
    for phase in ("", *ALL):
        column = f"power_{phase}_kw" if phase else "power_kw"
        share = pl.col(column) / pl.col("phase_kw")
        yield Signal(
            kind=bound.kind,
            phase=phase,
            needs=("phase_kw", column),
            on=_under(share, -bound["p_reverse"]),
            value=share,
            observed=pl.col(column),
            reference=pl.col("phase_kw"),
            threshold=-bound["p_reverse"],
            unit="Pb",
            measure="kW",
            applies=pl.col("one_way") & (_STAR if phase else pl.lit(value=True)),
            greatest=False,
            delay_s=bound["delay_s"],
            basis="basis",
        )


def _voltage_unbalance(bound: Bound) -> Iterator[Signal]:
    names = tuple(f"voltage_{phase}_v" for phase in ALL)
    yield _unbalance(bound, names, "nominal_v", bound["u_least"], "V")


def _current_unbalance(bound: Bound) -> Iterator[Signal]:
    names = tuple(f"current_{phase}_a" for phase in ALL)
    yield _unbalance(bound, names, "basic_a", bound["i_least"], "A")


def _unbalance(
    bound: Bound, names: tuple[str, ...], rated: str, least: float, measure: str
) -> Signal:
    """不平衡率 = (max - min) / max of the phases, while the greatest is at least `least`."""
    top = pl.max_horizontal(*(pl.col(name).abs() for name in names))
    spread = top - pl.min_horizontal(*(pl.col(name).abs() for name in names))
    rate = pl.when(top > 0).then(spread / top).otherwise(0.0)
    return Signal(
        kind=bound.kind,
        phase="",
        needs=(rated, *names),
        on=_over(rate, bound["rate"]) & ~_under(top / pl.col(rated), least),
        value=rate,
        observed=spread,
        reference=top,
        threshold=bound["rate"],
        unit="1",
        measure=measure,
        applies=_STAR,
        delay_s=bound["delay_s"],
        basis="basis" if measure == "A" else None,
    )
