"""The settings as `demandwatch collect` needs them: nothing of the other stages is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from collector.edgesettings import EdgeSettings
from collector.payloads.mapping import PayloadMapping, load_payload_mappings
from collector.profiles import Profile, Profiles, load_profiles
from collector.settings import CollectorSettings
from collector.site import Site, Strict, Text
from collector.yamlfile import Fault, faults_of, load_yaml
from demandwatch.crosscheck import crosscheck
from demandwatch.faults import ConfigurationError
from demandwatch.payloadcheck import payload_faults
from demandwatch.ratiocheck import ratio_warnings
from demandwatch.sitefiles import load_sites


class EdgeFile(Strict):
    """demandwatch.yaml of a collector at the edge; folders are relative to the file."""

    name: Text | None = None
    data: str = "var"
    """Folder of the journal and the cursor."""
    sites: str = "sites"
    meter_profiles: str = "meter-profiles"
    payload_mappings: str = "payload-mappings"
    collector: CollectorSettings = CollectorSettings()
    processors: object = None
    """For `demandwatch run`; not looked at here, as the two below."""
    alerting: object = None
    dashboards: object = None


@dataclass(frozen=True, slots=True)
class EdgeConfiguration:
    """Everything a collector at the edge needs to know, free of faults."""

    path: Path
    data: Path
    collector: CollectorSettings
    edge: EdgeSettings
    sites: tuple[Site, ...]
    profiles: Mapping[str, Profile]
    payloads: Mapping[str, PayloadMapping]
    warnings: tuple[Fault, ...] = ()
    """What is no fault, but probably not meant."""

    @property
    def meters(self) -> int:
        """How many meters there are."""
        return sum(len(site.meters) for site in self.sites)


def for_edge_alone(path: Path) -> bool:
    """Return whether the file has `collector.edge` and nothing for the stages of `run`."""
    data = load_yaml(path).data
    if not isinstance(data, dict) or set(data) & {"processors", "alerting", "dashboards"}:
        return False
    collector = data.get("collector")
    return isinstance(collector, dict) and "edge" in collector


def load_edge(path: Path) -> EdgeConfiguration:
    """Load and check a configuration for `demandwatch collect`.

    Raises:
        ConfigurationError: with every fault of every file at once.
    """
    loaded = load_yaml(path)
    faults = list(loaded.faults)
    if loaded.data is None:
        raise ConfigurationError(faults or [Fault(path, 0, "", "is empty", "a settings file")])
    try:
        file = EdgeFile.model_validate(loaded.data)
    except ValidationError as error:
        raise ConfigurationError(
            [*faults, *faults_of(error, path, loaded.lines, model=EdgeFile)]
        ) from error
    home = path.parent
    if file.collector.edge is None:
        line = loaded.lines.get(("collector",), 0)
        hint = "id, upstream: {host, port, ...}"
        faults.append(Fault(path, line, "collector.edge", "is required by `collect`", hint))
    sites, places = load_sites(home / file.sites, faults)
    profiles = _profiles(home, file)
    payloads = load_payload_mappings(home / file.payload_mappings)
    faults += [*profiles.faults, *payloads.faults]
    main = (path, loaded.lines)
    faults += crosscheck(file.collector, sites, places, set(profiles.by_id), main)
    faults += payload_faults(file.collector, sites, places, payloads.by_id)
    if faults or file.collector.edge is None:
        raise ConfigurationError(faults)
    data = home / file.data
    return EdgeConfiguration(
        path, data, file.collector, file.collector.edge, sites, profiles.by_id, payloads.by_id,
        tuple(ratio_warnings(sites, places, profiles.by_id)),
    )  # fmt: skip


def _profiles(home: Path, file: EdgeFile) -> Profiles:
    """Read the register maps; an edge without Modbus meters need not have the folder."""
    folder = home / file.meter_profiles
    asked = "meter_profiles" in file.model_fields_set
    return load_profiles(folder) if asked or folder.is_dir() else Profiles({}, ())
