"""The book: what the arithmetic must know of each meter, as one frame, vectorised over meters."""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from collector.site import Meter, Site

BOOK: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "site_id": pl.String(),
    "district": pl.String(),
    "timezone": pl.String(),
    "is_main": pl.Boolean(),
    "rated_power_kw": pl.Float64(),
    "register_modulus_kwh": pl.Float64(),
    "max_interpolation_gap_s": pl.Int64(),
}


@dataclass(frozen=True, slots=True)
class Book:
    """Immutable facts of all meters; replaced whole when the settings are reloaded."""

    meters: pl.DataFrame
    """One row a meter, schema BOOK, sorted by meter_id."""

    @classmethod
    def of(cls, sites: Iterable[Site]) -> "Book":
        """Build the book of `sites`."""
        rows = [_row(site, meter) for site in sites for meter in site.meters]
        return cls(pl.DataFrame(rows, schema=BOOK, orient="row").sort("meter_id"))


def _row(site: Site, meter: Meter) -> tuple[object, ...]:
    return (
        meter.id,
        site.id,
        site.district,
        site.timezone,
        meter.role == "main",
        meter.rated_power_kw,
        meter.register_modulus_kwh,
        meter.max_interpolation_gap_s,
    )
