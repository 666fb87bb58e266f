"""The site model: who is metered, by which meters, under which dated facts.

Dated facts (CT ratio, floor area, contract demand, quota) are lists with `from`; the value in force
at an instant is the last one whose `from` is not later. Facts are added, never edited.
"""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from collector.anomaly_limits import AnomalyLimits
from collector.changes import Changes
from collector.counting import BASES, Counting
from collector.dated import Begins, Cap, DatedValues, Input, ordered
from collector.dlt645.items import DEFAULT, ITEMS
from collector.placing import Placed
from collector.strict import Identifier, Strict, Text
from collector.validation import Validation

__all__ = [
    "BASES",
    "Identifier",
    "Strict",
    "Text",
]  # models are built on them, and import them here


class Kind(StrEnum):
    """What a site does; decides which guide may judge it."""

    FACTORY = "factory"
    RETAIL = "retail"
    LODGING = "lodging"
    CATERING = "catering"
    OFFICE = "office"


class MqttSource(Strict):
    """The meter publishes to the broker on its own topic."""

    via: Literal["mqtt"] = "mqtt"
    mapping: str = "canonical"
    """A file in the payload-mappings folder, without its ending; `canonical` is the product's own
    JSON on the meter's own topic."""
    device: Annotated[str, Field(max_length=256, pattern=r"^[^+#\x00-\x1f]*$")] = ""
    """The name the device gives itself in its topic or payload; Sparkplug: `group/node/device`, or
    `group/node` where the node itself is the meter. Not for `canonical`."""
    topic: Annotated[str, Field(max_length=1024)] = ""
    """Instead of the mapping's topic, where the device was set to another one."""
    zone: str = ""
    """IANA zone of the device's wall clock, where the mapping's times have no offset. Not taken
    from the site: many devices leave the factory with another zone."""
    side: Literal["primary", "secondary"] | None = None
    """Where the mapping's maker leaves it open: whether the values are primary ones or those behind
    the transformers, which are then multiplied by the ratios in force."""


class ModbusSource(Strict):
    """The meter is polled on a bus named in the collector's settings."""

    via: Literal["modbus"] = "modbus"
    bus: Identifier
    unit: Annotated[int, Field(ge=0, le=255)] = 1
    profile: Identifier
    """A file in the meter-profiles folder, without its ending."""
    poll_every_s: Annotated[float, Field(gt=0, le=3600)] = 15.0
    timeout_s: Annotated[float, Field(gt=0, le=60)] | None = None
    """Longest wait for one answer of this meter; absent: the bus's."""
    retries: Annotated[int, Field(ge=0, le=10)] | None = None
    """Repetitions of an unanswered request to this meter; absent: the bus's."""
    keep_raw: bool = False
    """Keep the register words beside each reading: evidence then shows what the meter itself said,
    and its verifier decodes it anew. A poll of 40 registers takes some 200 bytes more."""


class Dlt645Source(Strict):
    """The meter is read by DL/T 645-2007 on a line named in the collector's settings."""

    via: Literal["dlt645"] = "dlt645"
    line: Identifier
    address: Annotated[str, Field(pattern=r"^[0-9]{12}$")]
    """Twelve digits, as on the meter's plate; in quotes, or YAML drops the leading zeros."""
    items: tuple[str, ...] = DEFAULT
    """What is asked for; each item is one request. Leave out what the meter does not have."""
    poll_every_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """A poll of the default items takes about 3 s at 2400 baud."""
    clock_every_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    """How often the meter's clock is read (two short requests); 0: with every poll, so that each
    reading carries its clock offset. Readings in between carry none: it is never repeated."""
    wake_bytes: Annotated[int, Field(ge=0, le=16)] = 4
    """Bytes FEH ahead of each request."""

    @field_validator("address", mode="before")
    @classmethod
    def _quoted(cls, address: object) -> object:
        if not isinstance(address, str):
            raise ValueError('write it in quotes, "000012345678": YAML drops zeros')  # noqa: TRY004 - a fault of the settings
        return address

    @field_validator("address")
    @classmethod
    def _one_meter(cls, address: str) -> str:
        if address == "9" * 12:
            raise ValueError("999999999999 addresses all meters of the line; none answers it")
        return address

    @field_validator("items")
    @classmethod
    def _known(cls, items: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in items if name not in ITEMS]
        if unknown or not items:
            raise ValueError(f"{', '.join(unknown) or 'none'}: one or more of {', '.join(ITEMS)}")
        return items


class EdgeSource(Strict):
    """The meter is read by a collector at the edge, which forwards its readings in batches."""

    via: Literal["edge"] = "edge"
    edge: Identifier
    """`collector.edge.id` of that collector; no other may speak for the meter."""


class FileSource(Strict):
    """The meter arrives only by `demandwatch import`."""

    via: Literal["file"] = "file"


Source = Annotated[
    MqttSource | ModbusSource | Dlt645Source | EdgeSource | FileSource,
    Field(discriminator="via"),
]


class Verification(Strict):
    """The metrological verification (检定) that lets the meter's figures be evidence."""

    certificate: str
    valid_until: date
    accuracy_class: str = ""


class Meter(Strict):
    """One meter of a site."""

    id: Identifier
    name: Text | None = None
    role: Literal[
        "main", "sub", "export", "generation", "charge", "discharge", "weather", "count"
    ] = "main"
    """Main meters add up to the site; sub-meters lie behind one and are never added to it. The
    import register of the next four counts energy to the grid, from generation, into and out of
    storage: a meter of both directions is two meters here. A weather station measures none, nor
    does a counter of output (`count`): its register is `output_count`."""
    counts: Counting | None = None
    """What a counter of output counts; for `role: count`, and for no other."""
    behind: Identifier | None = None
    """The meter a sub-meter lies behind; None: the site's main meters together."""
    source: Source = MqttSource()
    rated_power_kw: Annotated[float, Field(gt=0)] | None = None
    """Greatest power the connection can carry; bounds what a counter may gain between readings."""
    nominal_voltage_v: Annotated[float, Field(gt=0)] | None = None
    """Nominal voltage (V, primary) of what the meter's voltages are measured between: 220 for phase
    to neutral in a 380 V network, 10000 between the lines of 10 kV. None: deviation is not told."""
    supply_phases: Literal[1, 3] = 3
    """Phases of the supply; which limits of voltage hold depends on it."""
    three_wire: bool = False
    """Three-phase three-wire metering: phase b is not judged, nor the power of single phases."""
    basic_current_a: Annotated[float, Field(gt=0)] | None = None
    """Basic current Ib (基本电流; behind transformers the rated one), A, primary: what loss of
    current and reverse power are judged against. None: derived from `rated_power_kw`, and marked
    so."""
    ct_ratio: DatedValues = ()
    pt_ratio: DatedValues = ()
    changes: Changes = ()
    """Changes of the meter, and of ratios within a day, each at its instant."""
    register_modulus_kwh: Annotated[float, Field(gt=0)] | None = None
    """Primary kWh at which the energy register rolls over to zero; None: a polled meter's profile
    tells it, if its CT and PT ratio never change (`collector/moduli.py`), else it is not known."""
    max_interpolation_gap_s: Annotated[int, Field(gt=0, le=7200)] = 1800
    """Longest gap between two readings that still counts as measured coverage (default 30 min)."""
    verification: Verification | None = None
    validation: Validation = Validation()
    """Limits of this meter that differ from its site's."""
    anomalies: AnomalyLimits = AnomalyLimits()
    """Limits of metering anomalies that differ at this meter from its site's."""

    @model_validator(mode="after")
    def _counted(self) -> "Meter":
        if (self.role == "count") != (self.counts is not None):
            raise ValueError("`role: count` and `counts` are given together or not at all")
        return self


class Production(Strict):
    """Output of one product, or a denominator of BASES, of the period that begins on `from`."""

    since: date = Field(alias="from")
    until: date
    """First day that no longer belongs to the period."""
    product: Identifier
    """`id` of a row of a product quota pack, or a name of BASES."""
    output: Annotated[float, Field(gt=0)]
    unit: str
    declared_by: str
    meters: tuple[Identifier, ...] = ()
    """Meters that measure this product's energy; empty: all main meters of the site."""
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share (0..1) of the energy that several products have in common; None: divided by
    output times quota."""
    other_energy_kgce: float | None = None
    """Energy of all other carriers for this output (kgce, recovered energy negative); None: not
    declared, and then an all-energy quota cannot be met, only exceeded."""

    @model_validator(mode="after")
    def _period(self) -> "Production":
        if self.until <= self.since:
            raise ValueError("`until` must be later than `from`")
        return self


class Supply(Begins):
    """The supply contract (供用电合同) as the utility files it."""

    tariff: Identifier
    """Id of a tariff pack."""
    area: str
    """`area`, `user_class`, `voltage`, `metering` name one row of the pack's ratios, exactly as it
    does. Users are classified by the utility's file, never inferred from their curve."""
    user_class: str = ""
    voltage: str = ""
    metering: str = ""
    prices: Identifier | None = None
    """A list under `processors.tariff.prices`; None: the bill shows quantities, no amounts."""
    basic: Literal["none", "transformer_capacity", "contract_max_demand", "actual_max_demand"] = (
        "none"
    )
    """How the basic charge (基本电费) of a two-part tariff is counted; `none`: one-part tariff."""
    transformer_kva: Annotated[float, Field(gt=0)] | None = None
    power_factor_standard: Literal["0.90", "0.85", "0.80"] | None = None
    """Standard the utility holds the site to; None: its power factor is not adjusted."""
    declared_by: str = ""

    @model_validator(mode="after")
    def _capacity(self) -> "Supply":
        if self.basic == "transformer_capacity" and self.transformer_kva is None:
            raise ValueError("`basic: transformer_capacity` needs `transformer_kva`")
        return self


class Site(Placed):
    """用电单位: a factory, a shop, a hotel, a restaurant."""

    id: Identifier
    name: Text
    kind: Kind
    use: str = ""
    """Row key in the tertiary guide, e.g. `hotel`, `catering`, `retail_supermarket`."""
    industry: str = ""
    """GB/T 4754 division, e.g. `C39`."""
    credit_code: str = ""
    """Unified social credit code (统一社会信用代码)."""
    address: str = ""
    district: str
    timezone: str = "Asia/Shanghai"
    floor_area_m2: DatedValues = ()
    contract_demand_kw: DatedValues = ()
    quota_month_kwh: DatedValues = ()
    quota_year_kwh: DatedValues = ()
    cap_kw: Annotated[tuple[Cap, ...], AfterValidator(ordered)] = ()
    supply: Annotated[tuple[Supply, ...], AfterValidator(ordered)] = ()
    """Supply contracts, oldest first; without one there is no bill."""
    production: tuple[Production, ...] = ()
    declared: Mapping[Identifier, Annotated[tuple[Input, ...], AfterValidator(ordered)]] = {}
    """Facts that corrections of guides and quotas ask for, e.g. `operating_hours_h`."""
    guide: str = ""
    """Id of the guide that judges this site; empty: the settings' default for its kind."""
    existing: bool = True
    """Existing plants are held to level 3 of a product quota, new or expanded ones to level 2."""
    wholly_sub_metered: bool = False
    """Sub-meters cover all that the main meters count: energy that reaches none of them is then an
    anomaly, not only sub-meters that count more than the meter above."""
    validation: Validation = Validation()
    """Limits of this site that differ from `processors.validation`."""
    anomalies: AnomalyLimits = AnomalyLimits()
    """Limits of metering anomalies that differ here from `processors.anomalies`."""
    meters: tuple[Meter, ...] = Field(min_length=1)
