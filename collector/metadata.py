"""Sites out of a table of buildings, such as the Building Data Genome Project 2's metadata."""

from collections.abc import Collection
from datetime import date
from pathlib import Path

import polars as pl

from collector.dated import Dated
from collector.site import FileSource, Kind, Meter, Site, Text

_KINDS: dict[str, tuple[Kind, str]] = {
    "Retail": (Kind.RETAIL, "retail_department_store"),
    "Lodging/residential": (Kind.LODGING, "hotel"),
    "Food sales and service": (Kind.CATERING, "catering"),
}
"""`primaryspaceusage` to the kind of site and the row of the tertiary guide that comes closest.
Dormitories are judged as hotels: the guides have no row of their own for them."""
_COLUMNS = ("building_id", "site_id", "primaryspaceusage", "sqm", "timezone")
_HOURLY_GAP_S = 3600
"""Hourly readings are the measurement here, not a gap in one."""


def sites_from_metadata(
    path: Path, buildings: Collection[str], since: date = date(2016, 1, 1)
) -> tuple[Site, ...]:
    """Return one site with one file-fed meter for each of `buildings` the table knows.

    Args:
        path: CSV with the columns building_id, site_id, primaryspaceusage, sqm (m²), timezone.
        buildings: ids wanted; they become the ids of site and meter.
        since: day from which the floor area holds.

    Raises:
        ValueError: a column is missing, or a building has a use no guide speaks of.
    """
    table = pl.read_csv(path, infer_schema=False)
    missing = [name for name in _COLUMNS if name not in table.columns]
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}")
    wanted = table.filter(pl.col("building_id").is_in(list(buildings))).select(_COLUMNS)
    return tuple(_site(since, *row) for row in wanted.sort("building_id").iter_rows())


def _site(since: date, building: str, group: str, usage: str, sqm: str | None, zone: str) -> Site:
    if usage not in _KINDS:
        raise ValueError(f"{building}: no guide for {usage!r}; known: {', '.join(_KINDS)}")
    kind, use = _KINDS[usage]
    fact = {"from": since, "value": sqm, "declared_by": "metadata"}
    return Site(
        id=building,
        name=Text(zh=building, en=building),
        kind=kind,
        use=use,
        district=group,
        timezone=zone,
        floor_area_m2=(Dated.model_validate(fact),) if sqm else (),
        meters=(Meter(id=building, source=FileSource(), max_interpolation_gap_s=_HOURLY_GAP_S),),
    )
