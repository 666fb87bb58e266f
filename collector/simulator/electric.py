"""From power and energy to everything else a meter shows: phases, voltages, currents, reactive."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collector.simulator.shapes import Floats, Ints

VOLTAGE_V = 230.0
"""Nominal phase voltage; GB/T 12325 allows +7 % and -10 % of 220 V, most supplies sit at 230 V."""


@dataclass(frozen=True, slots=True)
class Electric:
    """Seeded constants of n meters."""

    power_factor: Floats
    share: Floats
    """Of the three phases in the power, shape (n, 3), sum 1."""
    start_kwh: Floats
    """What the energy register showed at the beginning of time."""

    @classmethod
    def of(cls, meter_ids: Sequence[str], seed: int) -> "Electric":
        """Draw the constants; a meter's depend on its id and the seed alone."""
        count = len(meter_ids)
        draws = [np.random.default_rng((seed, *one.encode())) for one in meter_ids]
        raw = np.array([rng.uniform(0.9, 1.1, 3) for rng in draws]).reshape(count, 3)
        return cls(
            np.array([rng.uniform(0.86, 0.98) for rng in draws]),
            raw / raw.sum(axis=1, keepdims=True),
            np.array([round(rng.uniform(1e4, 5e5), 1) for rng in draws]),
        )

    def quantities(
        self, power: Floats, energy: Floats, meter: Ints, at_us: Ints
    ) -> dict[str, Floats]:
        """Return all quantities, each of shape (instants, meters).

        Args:
            power: kW.
            energy: register values, kWh.
            meter: index of each column.
            at_us: microseconds since 1970 UTC of each row; moves voltage and frequency.
        """
        factor = self.power_factor[meter]
        tangent = np.tan(np.arccos(factor))
        slow = np.sin(at_us[:, None] / 1e6 * (2 * np.pi / 1800) + meter)
        found = {
            "energy_import_kwh": energy,
            "energy_export_kwh": np.zeros_like(energy),
            "reactive_import_kvarh": energy * tangent,
            "power_kw": power,
            "reactive_power_kvar": power * tangent,
            "power_factor": np.broadcast_to(factor, power.shape),
            "frequency_hz": 50 + 0.02 * np.broadcast_to(slow[:, :1], power.shape),
        }
        for phase, name in enumerate("abc"):
            watts = power * self.share[meter, phase]
            volts = VOLTAGE_V + 2.0 * slow + phase * 0.4
            found[f"power_{name}_kw"] = watts
            found[f"voltage_{name}_v"] = volts
            found[f"current_{name}_a"] = watts * 1000 / (volts * factor)
        return found
