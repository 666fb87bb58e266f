"""Denominators of whole years for the tracker of targets; pure."""

from collections.abc import Iterable

import polars as pl

from collector.site import BASES as WORTHS
from collector.site import Site
from processors.claims import Claim, Period, area_claim, mains, output_claims
from processors.target import BASES


def bases_of(sites: Iterable[Site], years: Iterable[int]) -> pl.DataFrame:
    """Return BASES: the output of the one product that takes all of a site's energy, else its area.

    Declared for the whole year and for nothing else: a part of a year's output is no year's.
    """
    spans = [(year, Period.year(year)) for year in years]
    rows = [
        (site.id, year, one.denominator, one.unit if one.product else "m2.a")
        for site in sites
        for year, period in spans
        for one in _claims(site, period)
    ]
    return pl.DataFrame(rows, schema=BASES, orient="row")


def _claims(site: Site, period: Period) -> list[Claim]:
    made = [one for one in output_claims(site, period) if one.product not in WORTHS]
    if made:
        whole = len(made) == 1 and _whole(made[0], period)
        return made if whole and set(made[0].meters) == set(mains(site)) else []
    area = area_claim(site, period)
    return [area] if area is not None and _whole(area, period) else []


def _whole(claim: Claim, period: Period) -> bool:
    days = sum((end - start).days for start, end, _ in claim.segments)
    return not claim.shared and days == period.days
