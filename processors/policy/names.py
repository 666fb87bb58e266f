"""Checks that what settings and sites name exists in the policy folder."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from collector.counting import Counted
from collector.site import BASES, Production, Site
from collector.yamlfile import Fault, Lines
from processors.anomaly_settings import AnomalySettings
from processors.policy.load import Packs
from processors.settings import ProcessorsSettings

Place = tuple[Path, int]
"""Where something is told: file and line."""


def unknown_names(
    settings: ProcessorsSettings,
    sites: Sequence[Site],
    places: Sequence[Place],
    packs: Packs,
    main: tuple[Path, Lines],
) -> list[Fault]:
    """Return a fault for each guide, use, product, surcharge or tariff that nothing loaded knows.

    Args:
        settings: the guides by kind and the surcharge.
        sites: all sites.
        places: where each of them is told.
        packs: the policy folder.
        main: demandwatch.yaml and its lines.
    """
    faults = list(_of_settings(settings, packs, main))
    faults += _station(settings, sites, main)
    faults += _of_events(settings, sites, main)
    for site, place in zip(sites, places, strict=True):
        faults += _of_site(site, place, settings, packs)
    return faults


def _of_settings(
    settings: ProcessorsSettings, packs: Packs, main: tuple[Path, Lines]
) -> Iterator[Fault]:
    file, lines = main
    for kind, guide in settings.verdicts.guides.items():
        if not packs.guide_known(guide):
            key = ("processors", "verdicts", "guides", kind.value)
            problem = f"no guide {guide!r}"
            yield Fault(file, lines.get(key, 0), ".".join(key), problem, _guides(packs))
    judged, usual = settings.anomalies.pack, AnomalySettings().pack
    if judged != usual and judged not in (known := sorted({one.id for one in packs.anomalies})):
        at = ("processors", "anomalies", "pack")
        problem = f"no anomaly pack {judged!r}"
        yield Fault(file, lines.get(at, 0), ".".join(at), problem, ", ".join(known))
    tiers = settings.quotas.surcharge
    known = sorted({one.id for one in packs.surcharges})
    if tiers is not None and tiers not in known:
        at = ("processors", "quotas", "surcharge")
        problem = f"no surcharge {tiers!r}"
        yield Fault(file, lines.get(at, 0), ".".join(at), problem, ", ".join(known))
    adjusted = settings.tariff.power_factor
    known = sorted({one.id for one in packs.power_factors})
    if adjusted is not None and adjusted not in known:
        at = ("processors", "tariff", "power_factor")
        problem = f"no power-factor pack {adjusted!r}"
        yield Fault(file, lines.get(at, 0), ".".join(at), problem, ", ".join(known))
    yield from _of_factors(settings, packs, main)
    tracked = settings.targets.pack
    known = sorted({one.id for one in packs.targets})
    if tracked is not None and tracked not in known:
        at = ("processors", "targets", "pack")
        problem = f"no target pack {tracked!r}"
        yield Fault(file, lines.get(at, 0), ".".join(at), problem, ", ".join(known))


def _of_factors(
    settings: ProcessorsSettings, packs: Packs, main: tuple[Path, Lines]
) -> Iterator[Fault]:
    if not settings.carbon.factors:
        return
    pack = packs.factor_pack(settings.carbon.pack)
    if pack is None:
        at = ("processors", "carbon", "pack")
        known = ", ".join(sorted({one.id for one in packs.factors}))
        problem = f"no factor pack {settings.carbon.pack!r}"
        yield Fault(main[0], main[1].get(at, 0), ".".join(at), problem, known)
        return
    scopes = sorted({one.scope for one in pack.factors if one.carrier == "electricity"})
    for n, choice in enumerate(settings.carbon.factors):
        if choice.scope not in scopes:
            key = ("processors", "carbon", "factors", n, "scope")
            problem = f"{pack.id} has no electricity factor of {choice.scope!r}"
            name = ".".join(map(str, key))
            yield Fault(main[0], main[1].get(key, 0), name, problem, ", ".join(scopes))


def _station(
    settings: ProcessorsSettings, sites: Sequence[Site], main: tuple[Path, Lines]
) -> Iterator[Fault]:
    named = settings.tariff.weather_station
    known = sorted(m.id for site in sites for m in site.meters if m.role == "weather")
    if named is not None and named not in known:
        key = ("processors", "tariff", "weather_station")
        allowed = ", ".join(known) or "the id of a meter with `role: weather`"
        problem = f"no weather station {named!r}"
        yield Fault(main[0], main[1].get(key, 0), ".".join(key), problem, allowed)


def _of_events(
    settings: ProcessorsSettings, sites: Sequence[Site], main: tuple[Path, Lines]
) -> Iterator[Fault]:
    known = {one.id for one in sites}
    for n, event in enumerate(settings.events):
        for m, ordered in enumerate(event.sites):
            if ordered.site not in known:
                key = ("processors", "events", n, "sites", m, "site")
                problem = f"{event.id}: no site {ordered.site!r}"
                name = ".".join(map(str, key))
                yield Fault(main[0], main[1].get(key, 0), name, problem, "the id of a site")


def _of_site(
    site: Site, place: Place, settings: ProcessorsSettings, packs: Packs
) -> Iterator[Fault]:
    if site.guide and not packs.guide_known(site.guide):
        yield Fault(*place, "guide", f"{site.id}: no guide {site.guide!r}", _guides(packs))
    guide = site.guide or settings.verdicts.guides.get(site.kind, "")
    rows = {row.id for one in packs.tables if one.id == guide for row in one.rows}
    if site.use and rows and site.use not in rows:
        problem = f"{site.id}: guide {guide} has no row {site.use!r}"
        yield Fault(*place, "use", problem, ", ".join(sorted(rows)))
    for name in sorted(packs.positive_inputs() & site.declared.keys()):
        if any(one.value == 0 for one in site.declared[name]):
            problem = f"{site.id}: {name} of 0: its correction takes figures above 0"
            yield Fault(*place, f"declared.{name}", problem, "a figure above 0")
    yield from _of_supply(site, place, settings, packs)
    meters = {one.id for one in site.meters}
    counted = [one for meter in site.meters if meter.counts for one in meter.counts.of]
    told: list[Production | Counted] = [*site.production, *counted]
    for made in told:
        if made.product not in BASES and not packs.product_known(made.product):
            problem = f"{site.id}: no product quota has a row {made.product!r}"
            allowed = "a row id of a product quota pack"
            yield Fault(*place, f"{_where(made)}.product", problem, allowed)
        for meter in sorted(set(made.meters) - meters):
            problem = f"{site.id}: no meter {meter!r}"
            yield Fault(*place, f"{_where(made)}.meters", problem, ", ".join(sorted(meters)))


def _where(made: Production | Counted) -> str:
    return "production" if isinstance(made, Production) else "meters.counts.of"


def _of_supply(
    site: Site, place: Place, settings: ProcessorsSettings, packs: Packs
) -> Iterator[Fault]:
    for supply in site.supply:
        editions = [one for one in packs.tariffs if one.id == supply.tariff]
        rows = sorted({row.key for one in editions for row in one.ratios})
        wanted = (supply.area, supply.user_class, supply.voltage, supply.metering)
        if not editions:
            known = ", ".join(sorted({one.id for one in packs.tariffs}))
            problem = f"{site.id}: no tariff {supply.tariff!r}"
            yield Fault(*place, "supply.tariff", problem, known)
        elif wanted not in rows:
            allowed = "; ".join(" / ".join(filter(None, row)) for row in rows)
            problem = f"{site.id}: {supply.tariff} has no ratios for {' / '.join(wanted)}"
            yield Fault(*place, "supply.area", problem, f"area / user_class / ...: {allowed}")
        if supply.prices is not None and supply.prices not in settings.tariff.prices:
            problem = f"{site.id}: no price list {supply.prices!r}"
            known = ", ".join(sorted(settings.tariff.prices))
            yield Fault(*place, "supply.prices", problem, known or "one under processors.tariff")


def _guides(packs: Packs) -> str:
    return ", ".join(sorted({one.id for one in packs.tables if one.kind == "guide"}))
