"""Sub-meter balance: what the meters above counted against what those behind them did."""

from collections.abc import Iterable

import polars as pl

from collector.reading import UTC_US
from collector.site import Site
from processors.groups import known_energy, newest
from processors.interval import BLOCK

MAINS = "(mains)"
"""Stands for all main meters of a site together; no meter can be called so."""

BALANCE: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "above": pl.String(),
    "start": UTC_US,
    "end": UTC_US,
    "above_kwh": pl.Float64(),
    "behind_kwh": pl.Float64(),
    "loss_kwh": pl.Float64(),
    "loss_share": pl.Float64(),
    "coverage": pl.Float64(),
    "outcome": pl.String(),
}
"""One row a balance and span. `above` a meter, or `(mains)`: all main meters together. `above_kwh`
and `behind_kwh` (kWh) over the blocks in which every meter of the balance is known; `coverage` 0..1
the share of these; null and `unknown` where there is none. `loss_kwh` = above - behind: losses, and
what is not sub-metered; `loss_share` = loss / above, null where that is 0. `outcome`: `ok`;
`loss_high`, more lost than tolerated; `negative`, more behind than above by more than is tolerated;
both are a clue (线索), never evidence."""

LINE: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "above": pl.String(),
    "meter_id": pl.String(),
    "sign": pl.Int64(),
    "meters": pl.Int64(),
}
"""One row a meter of a balance: `sign` +1 above, -1 behind; `meters` how many the balance has."""


def lines(sites: Iterable[Site]) -> pl.DataFrame:
    """Return the balances of sites, schema LINE: one for each meter that others lie behind.

    Generation or discharge behind the main meters feeds sub-meters too, and export and charge take:
    they join the balance of the main meters, with their sign.
    """
    rows = [
        (site.id, above, meter, sign, len(found))
        for site in sites
        for above, found in _of_site(site).items()
        for meter, sign in found.items()
    ]
    return pl.DataFrame(rows, schema=LINE, orient="row")


def _of_site(site: Site) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    behind = [one for one in site.meters if one.role == "sub"]
    mains = [one.id for one in site.meters if one.role == "main"]
    into = {"main": 1, "generation": 1, "discharge": 1, "export": -1, "charge": -1}
    together = len(mains) == 1 or any(one.behind is None for one in behind)
    for one in behind:
        direct = one.behind is None or one.behind in mains
        if direct and together:
            signed = {m.id: into[m.role] for m in site.meters if m.role in into}
            found.setdefault(MAINS, signed)[one.id] = -1
        if one.behind is not None and mains != [one.behind]:
            found.setdefault(one.behind, {one.behind: 1})[one.id] = -1
    return found


def balance(
    intervals: pl.DataFrame,
    meters: pl.DataFrame,
    tolerance: float = 0.05,
    least_kwh: float = 1.0,
    zone: str | None = None,
) -> pl.DataFrame:
    """Compare the meters above with those behind, a block or a local day at a time.

    Args:
        intervals: INTERVAL rows; of several revisions the latest counts.
        meters: schema LINE.
        tolerance: greatest loss as share of `above_kwh`. The default, 5 %, is the practice of
            billing platforms, no standard's figure; a site with unmetered consumers needs more.
        least_kwh: losses (kWh, either way) up to this are `ok`: the steps of registers.
        zone: IANA zone whose days to add up; None: each block by itself.

    Returns:
        BALANCE rows sorted by (site_id, above, start).
    """
    known, keys = known_energy(), ["site_id", "above", "start"]
    mine = newest(intervals).join(meters, on="meter_id")
    whole = known.sum() == pl.col("meters").first()

    def energy(sign: int) -> pl.Expr:
        part = pl.col("energy_kwh").filter(known & (pl.col("sign") == sign))
        return pl.when(whole).then(part.sum())

    blocks = mine.group_by(keys).agg(
        energy(1).alias("above_kwh"), energy(-1).alias("behind_kwh"), whole.alias("whole")
    )
    spans = _blocks(blocks) if zone is None else _days(blocks, zone)
    return _judged(spans, tolerance, least_kwh)


def _blocks(blocks: pl.DataFrame) -> pl.DataFrame:
    return blocks.with_columns(
        (pl.col("start") + BLOCK).alias("end"), pl.col("whole").cast(pl.Float64).alias("coverage")
    )


def _days(blocks: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Add blocks up to local days, 92 or 100 blocks long where clocks change."""
    local = pl.col("start").dt.convert_time_zone(zone).dt.truncate("1d")
    day = blocks.group_by("site_id", "above", local.alias("day")).agg(
        pl.col("whole").sum().alias("known"),
        *(
            pl.when(pl.col(name).count() > 0).then(pl.col(name).sum())
            for name in ("above_kwh", "behind_kwh")
        ),
    )
    ends = pl.col("day").dt.offset_by("1d").dt.convert_time_zone("UTC").alias("end")
    spans = day.with_columns(pl.col("day").dt.convert_time_zone("UTC").alias("start"), ends)
    return spans.with_columns(
        (pl.col("known") * BLOCK / (pl.col("end") - pl.col("start"))).alias("coverage")
    )


def _judged(spans: pl.DataFrame, tolerance: float, least_kwh: float) -> pl.DataFrame:
    loss, above = pl.col("loss_kwh"), pl.col("above_kwh")
    bound = pl.max_horizontal(pl.lit(least_kwh), tolerance * above.abs())
    outcome = (
        pl.when(loss.is_null())
        .then(pl.lit("unknown"))
        .when(loss > bound)
        .then(pl.lit("loss_high"))
        .when(loss < -bound)
        .then(pl.lit("negative"))
        .otherwise(pl.lit("ok"))
    )
    return (
        spans.with_columns((above - pl.col("behind_kwh")).alias("loss_kwh"))
        .with_columns(
            pl.when(above != 0).then(loss / above).alias("loss_share"), outcome.alias("outcome")
        )
        .select(pl.col(name).cast(kind) for name, kind in BALANCE.items())
        .sort("site_id", "above", "start")
    )
