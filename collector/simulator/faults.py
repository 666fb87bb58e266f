"""What may go wrong with a virtual meter, and the settings of a simulated fleet."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError

from collector.simulator.dlt645_manners import Manner
from collector.simulator.shapes import SHAPES
from collector.simulator.wire_faults import WireFault
from collector.site import Identifier, Strict
from collector.yamlfile import Fault, faults_of, load_yaml


class Trouble(StrEnum):
    """Kinds of trouble; each is one that real fleets have."""

    SILENT = "silent"
    """Publishes nothing; over Modbus it does not answer, the reader runs into its timeout."""
    LATE = "late"
    """The gateway keeps its readings and sends them all when the trouble ends (MQTT)."""
    COUNTER_RESET = "counter_reset"
    """The registers start again from 0 when the trouble begins, and go on."""
    SENTINEL = "sentinel"
    """Registers show their "no value" pattern (Modbus); the payload lacks its values (MQTT)."""
    EXCEPTION = "exception"
    """Modbus exception 4, server device failure."""
    DUPLICATE = "duplicate"
    """Every message is sent twice (MQTT)."""
    PARTIAL = "partial"
    """Only the first half of every message comes (MQTT)."""
    OUT_OF_ORDER = "out_of_order"
    """Readings of two ticks are sent together, the younger first (MQTT)."""
    REPEAT = "repeat"
    """Shows what it showed when the trouble began, and nothing else."""
    DRIFT = "drift"
    """Power and energy read 5 % more than flows."""
    ROLLOVER = "rollover"
    """The energy register reaches its modulus when the trouble begins, and starts again from 0; a
    meter without one is taken to have six digits of kWh."""


class MeterTrouble(Strict):
    """One trouble of one meter."""

    meter: Identifier
    kind: Trouble
    after_s: Annotated[float, Field(ge=0)] = 0.0
    """Site seconds after the fleet's start."""
    for_s: Annotated[float, Field(gt=0)] | None = None
    """Site seconds it lasts; None: to the end."""


def _shape(name: str) -> str:
    if name not in SHAPES:
        raise ValueError(f"one of {', '.join(SHAPES)}")
    return name


class MeterLoad(Strict):
    """The load of one meter, where the default of its site's kind will not do."""

    meter: Identifier
    shape: Annotated[str, AfterValidator(_shape)]
    peak_kw: Annotated[float, Field(gt=0)] | None = None
    """Power at the top of the shape (kW); None: 55 % of the meter's rated power."""


class FleetSettings(Strict):
    """A fleet file: seed, loads, troubles, wire faults."""

    seed: int = 1
    """Same seed, same fleet: registers and loads repeat exactly."""
    loads: tuple[MeterLoad, ...] = ()
    troubles: tuple[MeterTrouble, ...] = ()
    wire: tuple[WireFault, ...] = ()
    """What goes wrong between Modbus and DL/T 645 meters and their reader."""
    dlt645: tuple[Manner, ...] = ()
    """How DL/T 645 meters answer, where it is not plainly."""


@dataclass(frozen=True, slots=True)
class Span:
    """A trouble in absolute time, half-open."""

    kind: Trouble
    start: datetime
    end: datetime | None

    @classmethod
    def of(cls, trouble: MeterTrouble, started: datetime) -> "Span":
        """Place `trouble` on the time line of a fleet started at `started`."""
        start = started + timedelta(seconds=trouble.after_s)
        end = None if trouble.for_s is None else start + timedelta(seconds=trouble.for_s)
        return cls(trouble.kind, start, end)

    def holds(self, at: datetime) -> bool:
        """Return whether the trouble is on at `at`."""
        return self.start <= at and (self.end is None or at < self.end)


def load_fleet(path: Path) -> tuple[FleetSettings, list[Fault]]:
    """Read a fleet file; with faults the defaults are returned."""
    loaded = load_yaml(path)
    if loaded.faults:
        return FleetSettings(), list(loaded.faults)
    try:
        return FleetSettings.model_validate(loaded.data or {}), []
    except ValidationError as error:
        return FleetSettings(), faults_of(error, path, loaded.lines, model=FleetSettings)
