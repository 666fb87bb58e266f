"""The site files of a folder, read and checked one by one."""

from pathlib import Path

from pydantic import ValidationError

from collector.site import Site
from collector.yamlfile import Fault, faults_of, load_yaml
from demandwatch.crosscheck import Place


def load_sites(folder: Path, faults: list[Fault]) -> tuple[tuple[Site, ...], list[Place]]:
    """Return the sites without a fault and where each is told; adds to `faults`."""
    found: list[Site] = []
    places: list[Place] = []
    files = sorted(folder.glob("*.yaml"))
    if not files:
        faults.append(Fault(folder, 0, "sites", "has no site file", "*.yaml with a list `sites`"))
    for file in files:
        loaded = load_yaml(file)
        faults += loaded.faults
        if loaded.data is None:
            continue
        entries = loaded.data.get("sites") if isinstance(loaded.data, dict) else None
        if not isinstance(entries, list):
            faults.append(Fault(file, 1, "sites", "is absent", "a list of sites"))
            continue
        for index, entry in enumerate(entries):
            try:
                site = Site.model_validate(entry)
            except ValidationError as error:
                faults += faults_of(error, file, loaded.lines, ("sites", index), Site)
                continue
            places.append((file, loaded.lines.get(("sites", index), 0)))
            found.append(site)
    return tuple(found), places
