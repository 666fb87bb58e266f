"""What a reader multiplies a meter's figures by: which quantities, and the dated ratios; pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from collector.polls import Ratios
from collector.profiles import Profile
from collector.quantity import QUANTITIES
from collector.reading import UTC_US
from collector.registers import factor
from collector.site import Dlt645Source, Meter, ModbusSource, MqttSource, Site
from collector.words import Floats

READ = ("modbus", "dlt645", "mqtt")
"""Ways of reading that may multiply, as the first word of a reading's `source`. Files never do:
their mappings have a factor of their own."""

NOTE: dict[str, pl.DataType] = {
    "note_id": pl.Int64(),
    "meter_id": pl.String(),
    "noted_at": UTC_US,
    "via": pl.String(),
    "quantities": pl.String(),
    "steps": pl.String(),
}
"""One row a change of what a meter's readings are multiplied by: those received from `noted_at` on,
until the meter's next. `via`, `quantities`, `steps`: see Multiplied.written."""


@dataclass(frozen=True, slots=True)
class Multiplied:
    """How a meter's figures came, or come, about."""

    via: str
    """As `source.via` of the settings."""
    quantities: frozenset[str]
    """Those the meter tells as behind its transformers; empty: none is multiplied."""
    ratios: Ratios

    @classmethod
    def of(cls, site: Site, meter: Meter, profiles: Mapping[str, Profile]) -> "Multiplied":
        """Return what the settings say of a meter; `profiles` by id."""
        source = meter.source
        behind: frozenset[str] = frozenset()
        if isinstance(source, ModbusSource) and source.profile in profiles:
            registers = profiles[source.profile].registers
            behind = frozenset(one.quantity for one in registers if one.secondary)
        elif isinstance(source, Dlt645Source) or (
            isinstance(source, MqttSource) and source.side == "secondary"
        ):
            behind = frozenset(QUANTITIES)
        return cls(source.via, behind, Ratios.of(site, meter))

    def written(self) -> tuple[str, str, str]:
        """Return it as books keep it: `via, quantities, steps`."""
        steps = [self.ratios.since_us, self.ratios.ct, self.ratios.pt]
        return self.via, " ".join(sorted(self.quantities)), json.dumps(steps)

    @classmethod
    def read(cls, via: str, quantities: str, steps: str) -> "Multiplied":
        """Return what `written` wrote."""
        since, ct, pt = (tuple(column) for column in json.loads(steps))
        return cls(via, frozenset(quantities.split()), Ratios(since, ct, pt))

    @property
    def dated(self) -> bool:
        """Whether any ratio is told."""
        return bool(self.ratios.since_us)

    def factors(self, at_us: NDArray[np.int64]) -> dict[str, Floats]:
        """Return what each quantity is multiplied by at each instant; NaN: no ratio in force.

        Args:
            at_us: microseconds since 1970 UTC.
        """
        ct, pt = self.ratios.between(at_us)
        ratio, ones = {"ct": ct, "pt": pt}, np.ones(len(at_us))
        return {
            name: ones * factor(name, ratio) if name in self.quantities else ones
            for name in QUANTITIES
        }


def multipliers(
    sites: Sequence[Site], profiles: Mapping[str, Profile]
) -> Iterator[tuple[str, Multiplied]]:
    """Yield every meter's id and how its figures come about."""
    for site in sites:
        for meter in site.meters:
            yield meter.id, Multiplied.of(site, meter, profiles)
