"""One demandwatch.yaml plus the folders it names, checked as a whole."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from alerting.rules import Compiled, load_rules
from alerting.settings import AlertingSettings
from collector.moduli import with_moduli
from collector.payloads.mapping import PayloadMapping, load_payload_mappings
from collector.profiles import Profile, load_profiles
from collector.settings import CollectorSettings
from collector.site import Site, Strict, Text
from collector.yamlfile import Fault, Loaded, faults_of, load_yaml
from dashboards.settings import DashboardsSettings
from demandwatch.crosscheck import crosscheck
from demandwatch.draft import Draft
from demandwatch.faults import ConfigurationError
from demandwatch.payloadcheck import payload_faults
from demandwatch.ratiocheck import ratio_warnings
from demandwatch.sitefiles import load_sites, with_validation
from processors.book import Book
from processors.calendar import Calendar
from processors.calendarfile import load_calendar
from processors.policy.load import Packs, load_packs
from processors.policy.names import unknown_names
from processors.settings import ProcessorsSettings
from processors.tariff.desk import Tariffs


class Settings(Strict):
    """demandwatch.yaml; folders are relative to the file."""

    name: Text
    """Whose system this is; shown on every page."""
    data: str = "var"
    """Folder of everything the program writes: journal, history, ledger, keys."""
    sites: str = "sites"
    """Folder of site files (*.yaml), each with a list under `sites`."""
    meter_profiles: str = "meter-profiles"
    """Folder of Modbus register maps (*.yaml)."""
    payload_mappings: str = "payload-mappings"
    """Folder of MQTT payload mappings (*.yaml); needed if a meter names one."""
    collector: CollectorSettings = CollectorSettings()
    processors: ProcessorsSettings = ProcessorsSettings()
    alerting: AlertingSettings = AlertingSettings()
    dashboards: DashboardsSettings = DashboardsSettings()


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything a run needs to know, loaded and free of faults."""

    path: Path
    settings: Settings
    sites: tuple[Site, ...]
    profiles: Mapping[str, Profile]
    payloads: Mapping[str, PayloadMapping]
    packs: Packs
    calendar: Calendar
    rules: tuple[Compiled, ...]
    digest: str
    """SHA-256 over all files read, for the evidence."""
    warnings: tuple[Fault, ...] = ()
    """What is no fault, but probably not meant."""

    @property
    def data(self) -> Path:
        """The folder of everything the program writes."""
        return self.path.parent / self.settings.data

    @property
    def book(self) -> Book:
        """The facts of all meters."""
        return Book.of(self.sites)


def tariffs_of(config: Configuration) -> Tariffs:
    """Return what bills and tariff periods rest on."""
    told = config.settings.processors
    return Tariffs(config.packs, told.tariff, told.quotas.surcharge, config.calendar)


def load(path: Path) -> Configuration:
    """Load and check a configuration.

    Raises:
        ConfigurationError: with every fault of every file at once.
    """
    loaded = load_yaml(path)
    faults = list(loaded.faults)
    if loaded.data is None:
        raise ConfigurationError(faults or [Fault(path, 0, "", "is empty", "a settings file")])
    settings = _settings(path, loaded, faults)
    draft, home, main = Draft.of(loaded.data), path.parent, (path, loaded.lines)
    sites, places = load_sites(home / draft.sites, faults)
    profiles = load_profiles(home / draft.meter_profiles)
    payloads = load_payload_mappings(home / draft.payload_mappings)
    packs, pack_faults = load_packs(home / draft.policy_folder)
    calendar, day_faults = load_calendar(draft.calendar_folder, home)
    rules = load_rules(home / draft.rules, draft.channels)
    faults += [*profiles.faults, *payloads.faults, *pack_faults, *day_faults]
    faults += rules.faults
    faults += crosscheck(draft.collector, sites, places, set(profiles.by_id), main)
    faults += payload_faults(draft.collector, sites, places, payloads.by_id)
    faults += unknown_names(draft.processors, sites, places, packs, main)
    if settings is None or faults:
        raise ConfigurationError(faults)
    files = _files(path, settings)
    return Configuration(
        path,
        settings,
        with_validation(with_moduli(sites, profiles.by_id), settings.processors.validation),
        profiles.by_id,
        payloads.by_id,
        packs,
        calendar,
        rules.rules,
        _digest(home, files),
        tuple(ratio_warnings(sites, places, profiles.by_id)),
    )


def _settings(path: Path, loaded: Loaded, faults: list[Fault]) -> Settings | None:
    try:
        return Settings.model_validate(loaded.data)
    except ValidationError as error:
        faults += faults_of(error, path, loaded.lines, model=Settings)
        return None


def _files(path: Path, settings: Settings) -> list[Path]:
    folders = (
        settings.sites,
        settings.meter_profiles,
        settings.payload_mappings,
        settings.processors.policy_folder,
        *filter(None, [settings.processors.calendar_folder]),
        settings.alerting.rules,
    )
    return [path, *(one for name in folders for one in sorted((path.parent / name).glob("*.yaml")))]


def _digest(home: Path, files: Iterable[Path]) -> str:
    whole = hashlib.sha256()
    for file in files:
        name = file.relative_to(home) if file.is_relative_to(home) else Path(file.name)
        whole.update(str(name).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()
