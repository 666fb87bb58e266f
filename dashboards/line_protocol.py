"""InfluxDB's line protocol: rows to lines, pure and vectorised.

Measurement `interval`: one point a meter and block, at its start. Measurement `site`: one point a
dated fact of a site, at the start of the local day it holds from.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, time
from zoneinfo import ZoneInfo

import polars as pl

from collector.site import Site
from processors.book import Book
from processors.interval import INTERVAL

INTERVALS = "interval"
SITES = "site"
_FLOATS = tuple(name for name, kind in INTERVAL.items() if kind == pl.Float64)
_INSTANTS = ("max_demand_at", "computed_at")
_FACTS = ("contract_demand_kw", "floor_area_m2", "quota_month_kwh")


def heads(book: Book) -> pl.DataFrame:
    """Return `meter_id` and `head`: measurement and tags of its lines, escaped, keys in order."""
    role = pl.when("is_main").then(pl.lit("main")).otherwise(pl.lit("sub"))
    named = {
        "district": escaped("district"),
        "meter_id": pl.col("meter_id"),
        "role": role,
        "site_id": pl.col("site_id"),
    }
    parts = [pl.concat_str(pl.lit(f"{name}="), value) for name, value in named.items()]
    head = pl.concat_str(pl.lit(INTERVALS), *parts, separator=",")
    return book.meters.select("meter_id", head=head)


def interval_lines(rows: pl.DataFrame, tagged: pl.DataFrame) -> Iterator[str]:
    """Return the lines of INTERVAL rows, time in microseconds; null and NaN are left out.

    Args:
        rows: any INTERVAL rows.
        tagged: what `heads` made; a meter absent there is tagged with its id alone.
    """
    head = pl.coalesce("head", pl.concat_str(pl.lit(f"{INTERVALS},meter_id="), "meter_id"))
    figures = [
        pl.lit(f"{name}=") + pl.when(pl.col(name).is_finite()).then(name).cast(pl.String)
        for name in _FLOATS
    ]
    instants = [
        pl.lit(f"{name}=") + pl.col(name).dt.epoch("us").cast(pl.String) + "i" for name in _INSTANTS
    ]
    words = [
        pl.format('quality="{}"', pl.col("quality").cast(pl.String)),
        pl.format('flags="{}"', pl.col("flags").list.join(",").fill_null("")),
        pl.format("revision={}i", pl.col("revision")),
    ]
    fields = pl.concat_str(*figures, *instants, *words, separator=",", ignore_nulls=True)
    line = pl.concat_str(head, fields, pl.col("start").dt.epoch("us"), separator=" ")
    yield from rows.join(tagged, on="meter_id", how="left").select(line=line)["line"]


def site_lines(sites: Iterable[Site]) -> Iterator[str]:
    """Return the lines of the sites' dated facts: contract demand, floor area, monthly quota."""
    for site in sites:
        district = pl.select(escaped(pl.lit(site.district))).item()
        zone = ZoneInfo(site.timezone)
        for name in _FACTS:
            for fact in getattr(site, name):
                at = datetime.combine(fact.since, time(), zone)
                micros = int(at.timestamp()) * 1_000_000
                head = f"{SITES},district={district},site_id={site.id}"
                yield f"{head} {name}={float(fact.value)} {micros}"


def escaped(column: str | pl.Expr) -> pl.Expr:
    """Escape what separates tags; a line break or a closing backslash cannot be escaped."""
    text = pl.col(column) if isinstance(column, str) else column
    plain = text.str.replace_all(r"[\r\n]", " ").str.strip_chars_end("\\ ")
    filled = pl.when(plain.str.len_bytes() > 0).then(plain).otherwise(pl.lit("-"))
    return filled.str.replace_all(r"([,= ])", r"\${1}")
