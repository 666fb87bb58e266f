"""Denominators of whole years for the tracker of targets; pure."""

from collections.abc import Iterable

import polars as pl

from collector.site import BASES as WORTHS
from collector.site import Site
from processors.claims import Claim, Period, area_claim, mains, output_claims
from processors.counted import counts_of, with_counts
from processors.target import BASES


def bases_of(
    sites: Iterable[Site], years: Iterable[int], counted: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return BASES: the output of the one product that takes all of a site's energy, else its area.

    Declared or counted for the whole year: a part of a year's output is no year's, and a day that
    the counters do not state is neither taken for 0 nor made up.

    Args:
        sites: whose declarations and counters.
        years: calendar years.
        counted: DAY rows of the sites' counters of output over them; None: there are none.
    """
    spans = [(year, Period.year(year)) for year in years]
    if counted is not None:
        sites = tuple(sites)
        sites = with_counts(
            sites, [one for _, year in spans for one in counts_of(sites, counted, year)]
        )
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
    return not claim.shared and days == period.days and claim.denominator > 0
