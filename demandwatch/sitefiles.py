"""The site files of a folder, read and checked one by one."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from collector.formula import parse
from collector.site import Meter, Site
from collector.validation import Validation, over
from collector.yamlfile import Fault, Lines, faults_of, load_yaml
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
            faults += _figures(site, file, loaded.lines, index)
            places.append((file, loaded.lines.get(("sites", index), 0)))
            found.append(site)
    return tuple(found), places


def _figures(site: Site, file: Path, lines: Lines, index: int) -> Iterator[Fault]:
    """Check which meters virtual meters are made of, and which meters others lie behind."""
    known = sorted(one.id for one in site.meters if one.role not in {"weather", "count"})
    allowed = f"meters of {site.id}: {', '.join(known)}"
    for place, virtual in enumerate(site.virtual):
        line = lines.get(("sites", index, "virtual", place, "formula"), 0)
        key = f"sites.{index}.virtual.{place}.formula"
        for term in parse(virtual.formula):
            if term.meter_id not in known:
                yield Fault(file, line, key, f"no meter {term.meter_id!r}", allowed)
    for place, meter in enumerate(site.meters):
        if meter.behind is not None and not _upstream(site, meter):
            line = lines.get(("sites", index, "meters", place, "behind"), 0)
            key = f"sites.{index}.meters.{place}.behind"
            yield Fault(file, line, key, f"no main or sub-meter {meter.behind!r}", allowed)


def _upstream(site: Site, meter: Meter) -> bool:
    """Tell whether the chain of meters above `meter` ends, and only subs have one."""
    above = {one.id: one for one in site.meters if one.role in {"main", "sub"}}
    seen = {meter.id}
    while meter.behind is not None:
        if meter.role != "sub" or meter.behind not in above or meter.behind in seen:
            return False
        seen.add(meter.behind)
        meter = above[meter.behind]
    return True


def with_validation(sites: tuple[Site, ...], defaults: Validation) -> tuple[Site, ...]:
    """Return the sites with the settings' limits written in where a site says nothing.

    So evidence carries the very limits that were used, as with `collector.moduli`.
    """
    if defaults == Validation():
        return sites
    return tuple(
        site.model_copy(update={"validation": over(defaults, site.validation)}) for site in sites
    )
