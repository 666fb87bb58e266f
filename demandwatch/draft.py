"""What faulty settings still say, so that the faults behind them are told in the same breath."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from alerting.settings import AlertingSettings
from collector.settings import CollectorSettings
from processors.settings import ProcessorsSettings

Section = TypeVar("Section", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Draft:
    """The folders and names of demandwatch.yaml as written, sound or not."""

    sites: str
    meter_profiles: str
    payload_mappings: str
    policy_folder: str
    calendar_folder: str | None
    rules: str
    channels: frozenset[str]
    """Names under alerting.channels, whatever is wrong with the channels themselves."""
    collector: CollectorSettings | None
    """None: the section has faults, so nothing is known about buses and broker."""
    processors: ProcessorsSettings
    """The default where the section has faults."""

    @classmethod
    def of(cls, data: object) -> "Draft":
        """Return the draft of a settings file's data."""
        channels = _at(data, "alerting", "channels")
        return cls(
            sites=_text(_at(data, "sites"), "sites"),
            meter_profiles=_text(_at(data, "meter_profiles"), "meter-profiles"),
            payload_mappings=_text(_at(data, "payload_mappings"), "payload-mappings"),
            policy_folder=_text(
                _at(data, "processors", "policy_folder"), ProcessorsSettings().policy_folder
            ),
            calendar_folder=_text(_at(data, "processors", "calendar_folder"), "") or None,
            rules=_text(_at(data, "alerting", "rules"), AlertingSettings().rules),
            channels=frozenset(map(str, channels if isinstance(channels, Mapping) else ())),
            collector=_section(CollectorSettings, _at(data, "collector")),
            processors=_section(ProcessorsSettings, _at(data, "processors"))
            or ProcessorsSettings(),
        )


def _at(data: object, *keys: str) -> object:
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def _text(value: object, otherwise: str) -> str:
    return value if isinstance(value, str) else otherwise


def _section(model: type[Section], data: object) -> Section | None:
    try:
        return model.model_validate({} if data is None else data)
    except ValidationError:
        return None
