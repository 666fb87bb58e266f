"""Settings of the processors: the key `processors:` of demandwatch.yaml."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from collector.dated import Begins, ordered
from collector.site import Identifier, Kind, Strict
from collector.validation import Validation
from processors.anomaly_settings import AnomalySettings
from processors.claims import Span
from processors.events import BaselineSettings, Event
from processors.policy.header import Provenance
from processors.savings_settings import CarbonSettings, TargetSettings

Share = Annotated[float, Field(ge=0, le=1)]
Price = Annotated[float, Field(ge=0)] | None
"""Yuan a unit; null: not known."""


class VerdictSettings(Strict):
    """When a figure is good enough to be judged."""

    guides: Mapping[Kind, Identifier] = {}
    """Guide of each kind of site that names none itself; no default: a bureau chooses its guide."""
    periods: tuple[Span, ...] = ()
    """Periods judged and kept each hour beside the rolling one, which alone the rules see: month,
    quarter, year-to-date, year."""
    min_coverage: Share = 0.95
    """Least share of the period that measurement must support; below, a verdict is undecided."""
    min_period_days: Annotated[int, Field(ge=1, le=366)] = 365
    """Shortest period (days) whose plain mean a yearly guide may judge, where the site has no
    seasonal shape (its last full year). 365: seasons are not extrapolated by a mean; a trial
    may set 28, and its overruns are clues."""
    min_season_days: Annotated[int, Field(ge=1, le=366)] = 28
    """Shortest period (days) that is scaled to a year by the site's own seasonal shape."""
    min_plausible_share: Share = 0.05
    """A figure below this share of the advanced level is undecided: it is rather part of the site
    that is metered than a site twenty times better than the best. 0 switches the test off."""
    max_estimated_share: Share = 0.05
    """Greatest share of estimated energy (0..1) under which an overrun may be evidence."""


class QuotaSettings(Strict):
    """Monthly and yearly quota accounts."""

    lookback_days: Annotated[int, Field(ge=7, le=366)] = 28
    """Days of history the projection rests on; four weeks hold each weekday four times."""
    surcharge: Identifier | None = None
    """Id of the surcharge pack for the simulation (测算); null: none is shown."""


class Prices(Begins):
    """Prices until the next entry's: facts of a contract or of the monthly notice, not law."""

    flat_yuan_per_kwh: Price = None
    """Price of a flat kWh without government funds; the other periods are multiples of it."""
    funds_yuan_per_kwh: Price = None
    """政府性基金及附加, the same in every period; null: not known, 0: none."""
    demand_yuan_per_kw: Price = None
    """Basic charge for a kW of maximum demand and month."""
    capacity_yuan_per_kva: Price = None
    """Basic charge for a kVA of transformer capacity and month."""
    provenance: Provenance
    source: Annotated[str, Field(min_length=1)]
    """The notice or contract they are from."""


class TariffSettings(Strict):
    """Bills."""

    prices: Mapping[Identifier, Annotated[tuple[Prices, ...], AfterValidator(ordered)]] = {}
    """Price lists by name; a site's `supply` names one."""
    power_factor: Identifier | None = None
    """Id of the power-factor pack; null: no bill is adjusted."""
    weather_station: Identifier | None = None
    """Meter (`role: weather`) whose temperature decides on hot days; null: only days told under
    `calendar_folder` are hot."""


class EngineSettings(Strict):
    """How the engine paces itself; the defaults fit 10,000 meters on two cores."""

    batch_rows: Annotated[int, Field(ge=1, le=5_000_000)] = 200_000
    """Readings taken in one step at most: bounds memory and the delay of the first result."""
    idle_s: Annotated[float, Field(gt=0, le=60)] = 0.25
    """Longest wait (real s) for the journal before the engine looks around."""
    flush_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Real seconds between commits to history: a Delta append costs 25-95 ms."""
    trim_s: Annotated[float, Field(gt=0)] = 60.0
    """Real seconds between looks at what the journal may forget."""
    verdict_days: Annotated[int, Field(ge=1, le=366)] = 365
    """Length (days) of the rolling statistics period, ending yesterday, that verdicts are for."""
    refresh_s: Annotated[float, Field(gt=0)] = 60.0
    """Site seconds between statements of quota accounts and looks at the fleet."""


class FleetSettings(Strict):
    """When a meter is not well; silence is `dashboards.console.silent_after_s`."""

    clock_off_s: Annotated[float, Field(gt=0)] = 60.0
    """Clock offset (s) from which on a meter's clock is off: a minute moves 1/15 of a block."""
    late_periods: Annotated[float, Field(gt=1)] = 3.0
    """A meter is overdue after so many of its usual periods without a word ..."""
    late_least_s: Annotated[float, Field(gt=0)] = 60.0
    """... and so many site seconds."""
    success_least: Share = 0.9
    """Least share of polls answered over the last hour."""
    stale_readings: Annotated[int, Field(ge=3)] = 20
    """Identical readings in a row ..."""
    stale_after_s: Annotated[float, Field(gt=0)] = 1800.0
    """... over so many site seconds (two blocks) make a meter stale, if three momentary values or
    more are among them, or ..."""
    stale_kwh: Annotated[float, Field(gt=0)] = 5.0
    """... if the power they tell comes to so much energy (kWh) while the register stands still. A
    coarse register (1 kWh steps times a CT ratio) needs more."""
    save_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    """Real seconds between two snapshots for `demandwatch query fleet`."""


class IndexSettings(Strict):
    """When load indices and power quality are stated."""

    min_coverage: Share = 0.95
    """Least share of a period's blocks that measurement must support; below, indices are null."""
    min_quality_coverage: Share = 0.9
    """Least share of a period's blocks that must hold a reading of a power-quality quantity."""


class BalanceSettings(Strict):
    """When the loss between a meter and those behind it is a clue."""

    tolerance: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Greatest loss as share of the energy above. 5 % is practice, no standard's figure."""
    least_kwh: Annotated[float, Field(ge=0)] = 1.0
    """Losses (kWh) up to this are never a clue: the steps of registers."""


def _each_once(events: tuple[Event, ...]) -> tuple[Event, ...]:
    ids = [one.id for one in events]
    if len(set(ids)) < len(ids):
        raise ValueError("event ids must be unique")
    return events


class ProcessorsSettings(Strict):
    """What the understanding stage may be told."""

    policy_folder: str = "policy"
    """Folder of policy packs, relative to the file that names it."""
    calendar_folder: str | None = None
    """Folder of day types and hot days the bureau tells (*.yaml); null: none."""
    engine: EngineSettings = EngineSettings()
    verdicts: VerdictSettings = VerdictSettings()
    quotas: QuotaSettings = QuotaSettings()
    validation: Validation = Validation()
    """Limits of the validation rules for all meters; a site's and a meter's own stand above."""
    fleet: FleetSettings = FleetSettings()
    tariff: TariffSettings = TariffSettings()
    indices: IndexSettings = IndexSettings()
    balance: BalanceSettings = BalanceSettings()
    baseline: BaselineSettings = BaselineSettings()
    targets: TargetSettings = TargetSettings()
    carbon: CarbonSettings = CarbonSettings()
    events: Annotated[tuple[Event, ...], AfterValidator(_each_once)] = ()
    """Events of orderly use and demand response: facts, added and never edited."""
    anomalies: AnomalySettings = AnomalySettings()
