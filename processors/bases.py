"""Which rows judge a claim: of a guide by floor area or another basis, of product quotas; pure."""

from collections.abc import Iterable, Mapping
from datetime import date

from collector.site import BASES, Kind, Site
from processors.claims import Claim, Period, area_claim, crossing_claims, output_claims
from processors.policy.load import Packs
from processors.policy.pack import Role, Row, TablePack
from processors.settings import VerdictSettings


def guide_id(site: Site, settings: VerdictSettings) -> str:
    """Return the id of the guide that judges a site; empty if none is named."""
    return site.guide or settings.guides.get(site.kind, "")


def claims_of(
    sites: Iterable[Site], packs: Packs, period: Period, settings: VerdictSettings
) -> list[Claim]:
    """Return what is to be judged of each site: what is declared, and what a guide asks for.

    A denominator that the site's guide asks for and nobody declared is a claim without segments.
    """
    areas, outputs = [], []
    for site in sites:
        asked = _asked(site, packs, settings)
        made = output_claims(site, period) + crossing_claims(site, period)
        if "floor_area" in asked:
            areas.append(area_claim(site, period) or _lacking(site, period, "", "m2"))
        lacking = asked - {"floor_area"} - {one.product for one in made}
        made += [_lacking(site, period, name, BASES[name]) for name in sorted(lacking)]
        outputs += made
    return areas + outputs


def _asked(site: Site, packs: Packs, settings: VerdictSettings) -> set[str]:
    """Return the denominators the site's guide has rows for."""
    if not site.guide and site.kind is Kind.FACTORY and not guide_id(site, settings):
        return set()
    editions = [one for one in packs.tables if one.id == guide_id(site, settings)]
    mine = {row.denominator for one in editions for row in one.rows if _meant(row, site)}
    return mine or {row.denominator for one in editions for row in one.rows[:1]} or {"floor_area"}


def _meant(row: Row, site: Site) -> bool:
    return bool({row.id, row.product} & {name for name in (site.use, site.industry) if name})


def _lacking(site: Site, period: Period, product: str, unit: str) -> Claim:
    return Claim(site, period, product, 0.0, unit, "", (), ())


def rows_for(
    claim: Claim, packs: Packs, settings: VerdictSettings
) -> list[tuple[TablePack | None, Row | None]]:
    """Return the editions in force and their rows that judge a claim; None for what is lacking."""
    start, end = claim.period.start, claim.period.end
    if claim.product and claim.product not in BASES:
        found = [
            (pack, row)
            for pack in packs.quotas(claim.product, start, end)
            for row in pack.rows_of(claim.product)
        ]
        return [*found] or [(None, None)]
    pack = packs.guide(guide_id(claim.site, settings), start, end)
    if pack is None:
        return [(None, None)]
    basis = claim.product or "floor_area"
    rows = [one for one in pack.rows if one.denominator == basis and _meant(one, claim.site)]
    return [(pack, row) for row in rows] or [(pack, None)]


def weights(claim: Claim, packs: Packs, period: Period) -> Mapping[str, float]:
    """Return the printed limit of a product by unit of energy, for the allocation of energy."""
    found: dict[str, float] = {}
    for pack in packs.quotas(claim.product, period.start, period.end):
        level = pack.level(Role.LIMIT)
        for row in pack.rows_of(claim.product):
            energy, _, unit = row.unit.partition("/")
            figure = row.levels.get(level.id) if level else None
            told = figure.value if figure else None
            counted = row.metric.endswith(("electricity", "energy")) and unit == claim.unit
            if counted and told is not None and told > 0:
                found.setdefault(energy, told)
    return found


def year_before(period: Period) -> date:
    """Return the first day whose energy a judgement may ask for: of the last full year before."""
    return date(period.start.year - 1, 1, 1) if period.days < 365 else period.start
