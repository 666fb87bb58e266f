"""Which limit of which standard holds for a power-quality quantity. Pure data with provenance.

None of the standards was opened: `published` means that a third party's transcription names the
document and the value, `unverified` that it is general knowledge (reference-data,
`power_quality_limits`). What is not in that list has no limit here: from 35 kV on, harmonics above
0.38 kV, grids of 60 Hz.
"""

from dataclasses import dataclass

import polars as pl

from processors.samples import unbalance_pct

SUPPLY: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "nominal_v": pl.Float64(),
    "phases": pl.Int8(),
}
"""`nominal_v` of what the meter's voltages are measured between (V, primary; null: not told);
`phases` of the supply, 1 or 3."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One row of a standard; expressions are over SUPPLY and the value itself."""

    holds: pl.Expr
    low: float
    high: float
    standard: str
    provenance: str
    short: float | None = None
    """Limit for short times, which the greatest value is to be held against."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One quantity judged over readings."""

    name: str
    unit: str
    value: pl.Expr
    """Of a reading; null where it cannot be told."""
    limits: tuple[Limit, ...]
    phases: str = ""
    """Phases whose voltage it needs: one that reads zero throughout is not connected, or lost."""
    needs_nominal: bool = False


_NOMINAL, _PHASES = pl.col("nominal_v"), pl.col("phases")

VOLTAGE = (
    Limit((_PHASES == 3) & (_NOMINAL <= 20_000), -7.0, 7.0, "GB/T 12325", "published"),
    Limit((_PHASES == 1) & (_NOMINAL == 220), -10.0, 7.0, "GB/T 12325-2008", "unverified"),
)
"""Voltage deviation (电压偏差), percent of the nominal voltage: three-phase up to 20 kV, and 220 V
single-phase."""

UNBALANCE = (Limit(_PHASES == 3, 0.0, 2.0, "GB/T 15543-2008", "published", short=4.0),)
"""Negative-sequence voltage unbalance (三相电压不平衡度), percent: 2 in normal operation, 4 for
short times."""

THD = (Limit(_NOMINAL.is_in([220.0, 380.0]), 0.0, 5.0, "GB/T 14549-1993", "published"),)
"""Total harmonic distortion of voltage (电压总谐波畸变率), percent, at 0.38 kV: 220 V to
neutral."""

_AT_50_HZ = pl.col("frequency_hz").mean().over("meter_id") < 55

FREQUENCY = (Limit(_AT_50_HZ, 49.8, 50.2, "GB/T 15945", "published"),)
"""50 Hz grids: +-0.2 Hz. Small systems are allowed +-0.5 Hz; transcriptions differ on which of the
two is the rule, so the stricter is taken and named."""


def _voltage(phase: str) -> Measure:
    volts = pl.col(f"voltage_{phase}_v")
    deviation = (volts - _NOMINAL) / _NOMINAL * 100.0
    return Measure(f"voltage_deviation_{phase}", "%", deviation, VOLTAGE, phase, needs_nominal=True)


MEASURES = (
    *(_voltage(phase) for phase in "abc"),
    Measure("voltage_unbalance", "%", unbalance_pct(), UNBALANCE, "abc"),
    Measure("thd_voltage", "%", pl.col("thd_voltage_pct"), THD),
    Measure("frequency", "Hz", pl.col("frequency_hz"), FREQUENCY),
)
"""What readings are judged for, in the order of the answer."""
