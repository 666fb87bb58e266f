"""Where a polled meter's energy register starts again at 0: as its site or its profile says; pure.

Arithmetic, evidence and simulator know a meter by its site alone, not by its profile. So what the
profile knows is written into the site when the configuration is loaded; an evidence package then
carries the very number that was used.
"""

from collections.abc import Iterable, Mapping

from collector.dated import DatedValues
from collector.profiles import Profile
from collector.quantity import QUANTITIES
from collector.site import Meter, ModbusSource, Site

_ENERGY = QUANTITIES["energy_import_kwh"]


def with_moduli(sites: Iterable[Site], profiles: Mapping[str, Profile]) -> tuple[Site, ...]:
    """Return the sites with `register_modulus_kwh` filled in where the profile tells it.

    What the site states itself stays. Primary kWh = the profile's rollover x CT x PT ratio, if both
    have one value for ever: across a change of ratio no single primary number is right.
    """
    return tuple(
        site.model_copy(update={"meters": tuple(_filled(m, profiles) for m in site.meters)})
        for site in sites
    )


def _filled(meter: Meter, profiles: Mapping[str, Profile]) -> Meter:
    source = meter.source
    if (
        meter.register_modulus_kwh is not None
        or not isinstance(source, ModbusSource)
        or meter.role == "count"  # its register is not the energy's
    ):
        return meter
    profile = profiles.get(source.profile)
    known = profile.rollover_of(_ENERGY.name) if profile else None
    if known is None:
        return meter
    modulus, secondary = known
    changed = any(one.ct_ratio or one.pt_ratio for one in meter.changes)
    constant = None if changed else _constant(meter.ct_ratio, meter.pt_ratio)
    ratio = constant if secondary else 1.0
    if ratio is None or modulus * ratio > _ENERGY.high:
        return meter  # a register wider than any counter: it is never seen to start again
    return meter.model_copy(update={"register_modulus_kwh": modulus * ratio})


def _constant(*ratios: DatedValues) -> float | None:
    """Return the product of the ratios, None if one of them changes."""
    product = 1.0
    for values in ratios:
        if len(values) > 1:
            return None
        product *= values[0].value if values else 1.0
    return product
