"""The single table of measured quantities: name, unit, kind, OBIS code and plausible range.

Import (drawn from the grid) is positive. Values are primary: CT and PT ratios are already applied.
OBIS codes follow IEC 62056-6-1 (value groups A-B:C.D.E).

`t1` to `t4` are the meter's own rate registers (费率 1-4; in Chinese meters by custom sharp, peak,
flat, valley). `demand_register_kw` is the meter's own maximum demand since its last demand reset,
`demand_register_at_s` when that was, in seconds since 1970 UTC. `clock_offset_s` is the meter's
clock minus ours at the reading: positive when the meter is fast. `temperature_c` is outdoor air at
a weather station (`role: weather`).
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a quantity behaves between two readings."""

    COUNTER = "counter"
    """Only grows, but for rollover, reset and meter change."""
    GAUGE = "gauge"
    """A momentary value."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One row of the table."""

    name: str
    """Column name in READING; ends with the unit."""
    unit: str
    kind: Kind
    obis: str
    """IEC 62056 code; empty where none is standardised."""
    low: float
    """Least plausible primary value, in the unit of the column."""
    high: float
    """Greatest plausible primary value; a 500 kV substation fits."""


def _rows() -> tuple[Quantity, ...]:
    counter, gauge = Kind.COUNTER, Kind.GAUGE
    big = 1e12
    power = 5e6
    return (
        Quantity("energy_import_kwh", "kWh", counter, "1-0:1.8.0", 0.0, big),
        Quantity("energy_export_kwh", "kWh", counter, "1-0:2.8.0", 0.0, big),
        Quantity("reactive_import_kvarh", "kvarh", counter, "1-0:3.8.0", 0.0, big),
        Quantity("reactive_export_kvarh", "kvarh", counter, "1-0:4.8.0", 0.0, big),
        *(
            Quantity(f"energy_{way}_t{rate}_kwh", "kWh", counter, f"1-0:{c}.8.{rate}", 0.0, big)
            for way, c in (("import", 1), ("export", 2))
            for rate in range(1, 5)
        ),
        Quantity("output_count", "1", counter, "", 0.0, big),
        Quantity("power_kw", "kW", gauge, "1-0:16.7.0", -power, power),
        Quantity("power_a_kw", "kW", gauge, "1-0:36.7.0", -power, power),
        Quantity("power_b_kw", "kW", gauge, "1-0:56.7.0", -power, power),
        Quantity("power_c_kw", "kW", gauge, "1-0:76.7.0", -power, power),
        Quantity("reactive_power_kvar", "kvar", gauge, "1-0:131.7.0", -power, power),
        Quantity("apparent_power_kva", "kVA", gauge, "1-0:9.7.0", 0.0, power),
        Quantity("voltage_a_v", "V", gauge, "1-0:32.7.0", 0.0, 600_000.0),
        Quantity("voltage_b_v", "V", gauge, "1-0:52.7.0", 0.0, 600_000.0),
        Quantity("voltage_c_v", "V", gauge, "1-0:72.7.0", 0.0, 600_000.0),
        Quantity("current_a_a", "A", gauge, "1-0:31.7.0", -100_000.0, 100_000.0),
        Quantity("current_b_a", "A", gauge, "1-0:51.7.0", -100_000.0, 100_000.0),
        Quantity("current_c_a", "A", gauge, "1-0:71.7.0", -100_000.0, 100_000.0),
        Quantity("power_factor", "1", gauge, "1-0:13.7.0", -1.0, 1.0),
        Quantity("frequency_hz", "Hz", gauge, "1-0:14.7.0", 40.0, 70.0),
        Quantity("demand_kw", "kW", gauge, "1-0:1.4.0", -power, power),
        Quantity("demand_register_kw", "kW", gauge, "1-0:1.6.0", -power, power),
        Quantity("demand_register_at_s", "s", gauge, "", 946_684_800.0, 32_503_680_000.0),
        Quantity("thd_voltage_pct", "%", gauge, "1-0:12.7.124", 0.0, 1000.0),
        Quantity("thd_current_pct", "%", gauge, "1-0:11.7.124", 0.0, 1000.0),
        Quantity("clock_offset_s", "s", gauge, "", -1e10, 1e10),
        Quantity("temperature_c", "°C", gauge, "", -60.0, 60.0),
    )


QUANTITIES: dict[str, Quantity] = {row.name: row for row in _rows()}
"""Every quantity a reading may carry, by column name, in column order."""

COUNTERS: tuple[str, ...] = tuple(n for n, q in QUANTITIES.items() if q.kind is Kind.COUNTER)
GAUGES: tuple[str, ...] = tuple(n for n, q in QUANTITIES.items() if q.kind is Kind.GAUGE)
