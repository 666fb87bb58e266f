"""Warns of CT and PT ratios that a polled meter's register map does not use, or goes without."""

from collections.abc import Iterator, Mapping, Sequence

from collector.profiles import Profile
from collector.quantity import QUANTITIES
from collector.site import Meter, ModbusSource, Site
from collector.yamlfile import Fault
from demandwatch.crosscheck import Place


def ratio_warnings(
    sites: Sequence[Site], places: Sequence[Place], profiles: Mapping[str, Profile]
) -> Iterator[Fault]:
    """Yield what is no fault, but makes figures wrong by the ratio if it is not meant so.

    A map whose registers are `secondary` is multiplied by the ratios in force, any other never.

    Args:
        sites: all sites.
        places: where each of them is told.
        profiles: the register maps by id; meters of another are not looked at.
    """
    for site, place in zip(sites, places, strict=True):
        for meter in site.meters:
            source = meter.source
            profile = profiles.get(source.profile) if isinstance(source, ModbusSource) else None
            if profile is not None:
                yield from _of_meter(meter, profile, place)


def _of_meter(meter: Meter, profile: Profile, place: Place) -> Iterator[Fault]:
    behind = [one.quantity for one in profile.registers if one.secondary]
    stated = [name for name in ("ct_ratio", "pt_ratio") if _states(meter, name)]
    if not behind:
        for name in stated:
            if _changes_values(meter, name):
                yield Fault(
                    *place, f"meters.{meter.id}.{name}",
                    f"is not used: by {profile.id} the meter itself gives primary values",
                    f"no {name}; set the ratio in the meter",
                )  # fmt: skip
    elif "ct_ratio" not in stated and any(QUANTITIES[name].unit != "V" for name in behind):
        yield Fault(
            *place, f"meters.{meter.id}.ct_ratio",
            f"is absent, so it counts as 1: by {profile.id} the values are those behind the"
            " transformers",
            "the ratio of its current transformers, [{from: DAY, value: 1}] if it has none",
        )  # fmt: skip


def _states(meter: Meter, name: str) -> bool:
    """Tell whether the meter or one of its changes states a ratio."""
    return bool(getattr(meter, name)) or any(getattr(one, name) for one in meter.changes)


def _changes_values(meter: Meter, name: str) -> bool:
    """Tell whether a ratio is stated that is not 1."""
    dated = [one.value for one in getattr(meter, name)]
    changed = [getattr(one, name) for one in meter.changes]
    return any(value not in {None, 1.0} for value in [*dated, *changed])
