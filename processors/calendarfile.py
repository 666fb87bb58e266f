"""Loads the calendar folder: day types and hot days the bureau tells, with every fault."""

from pathlib import Path

from pydantic import ValidationError

from collector.site import Strict
from collector.yamlfile import Fault, faults_of, load_yaml
from processors.calendar import Calendar, HotDay, ToldDay, ToldYear


class CalendarFile(Strict):
    """One file."""

    years: tuple[ToldYear, ...] = ()
    days: tuple[ToldDay, ...] = ()
    hot_days: tuple[HotDay, ...] = ()


def load_calendar(name: str | None, home: Path) -> tuple[Calendar, list[Fault]]:
    """Read every `*.yaml` of a folder; of two entries for a day the later file's counts.

    Args:
        name: of the folder; None: nothing is told.
        home: folder it is relative to.
    """
    if name is None:
        return Calendar(), []
    folder = home / name
    if not folder.is_dir():
        return Calendar(), [Fault(folder, 0, "", "is not a folder", "a folder of calendar files")]
    told: list[CalendarFile] = []
    faults: list[Fault] = []
    for path in sorted(folder.glob("*.yaml")):
        loaded = load_yaml(path)
        faults += loaded.faults
        if loaded.data is None:
            continue
        try:
            told.append(CalendarFile.model_validate(loaded.data))
        except ValidationError as error:
            faults += faults_of(error, path, loaded.lines, model=CalendarFile)
    return Calendar(
        tuple(one for file in told for one in file.days),
        tuple(one for file in told for one in file.years),
        tuple(one for file in told for one in file.hot_days),
    ), faults
