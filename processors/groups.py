"""GROUP: sums of many meters, block by block, each with its coverage; here from all rows at once.

Energies are added as whole numbers of 2^-30 kWh (about a millionth of a watt hour). Such sums are
exact: they do not depend on the order, and a row can be taken out again (`group_state.py`) without
trace.
"""

import polars as pl

from collector.reading import UTC_US
from processors.interval import BLOCK, Quality
from processors.places import ROLES, Places

GROUP: dict[str, pl.DataType] = {
    "group_kind": pl.String(),
    "group_id": pl.String(),
    "start": UTC_US,
    "end": UTC_US,
    "energy_kwh": pl.Float64(),
    "demand_kw": pl.Float64(),
    "export_kwh": pl.Float64(),
    "generation_kwh": pl.Float64(),
    "charge_kwh": pl.Float64(),
    "discharge_kwh": pl.Float64(),
    "net_import_kwh": pl.Float64(),
    "consumption_kwh": pl.Float64(),
    "reason": pl.String(),
    "coverage_count": pl.Float64(),
    "coverage_kw": pl.Float64(),
    "estimated_share": pl.Float64(),
    "meters": pl.Int64(),
    "meters_expected": pl.Int64(),
    "revision": pl.Int64(),
    "computed_at": UTC_US,
}
"""One row a group and block, `[start, end)`; `group_id` is empty for sites that tell none.
`energy_kwh` (kWh) import of the main meters that are known, null if none is: over fewer than
`meters_expected` a lower bound; `demand_kw` (kW) = energy / 0.25 h, the mean of all at the same
time. `export_kwh`, `generation_kwh`, `charge_kwh`, `discharge_kwh` of the known meters of these
roles. `net_import_kwh` = energy - export; `consumption_kwh` = net import + generation +
discharge - charge; null for the `reason` `nothing_known`, `flow_missing` (a meter of a site with
several flows is not known: the figure could err either way) or `export_unmetered`.
`coverage_count` 0..1 mean coverage of the main meters expected, an absent one counting 0;
`coverage_kw` the same weighted by rated power, the share of registered kW heard, null if a main
meter tells none. `estimated_share` 0..1 of the energy. `meters` main meters known; `revision` the
corrections its rows have had; `computed_at` that of the newest row: the latest row of a group and
block is the one with the greatest."""

UNIT = float(2**30)
"""Parts of a kWh in which sums are kept."""
MOST_KWH = 1e6
"""A block of one meter beyond this (4 GW) is no energy: it counts as not known."""

COUNTS = tuple(f"n_{role}" for role in ROLES)
ENERGIES = tuple(f"e_{role}" for role in ROLES)
TOTALS = (*COUNTS, *ENERGIES, "n_estimated", "e_estimated", "covered", "covered_kw", "heard_signed")
"""Whole numbers a (group, block): meters known and energy by role; of the main meters those
estimated, coverage and coverage x rated power; meters known at sites with several flows."""


def whole(value: pl.Expr) -> pl.Expr:
    """Return kWh, or any figure, in whole parts of 1 / UNIT."""
    return (value * UNIT + 0.5).floor().cast(pl.Int64)


def known_energy() -> pl.Expr:
    """Tell which INTERVAL rows state an energy that can be added."""
    energy = pl.col("energy_kwh")
    return (energy.is_finite() & (energy.abs() <= MOST_KWH)).fill_null(value=False)


def newest(intervals: pl.DataFrame) -> pl.DataFrame:
    """Return the latest row of each (meter, block)."""
    return intervals.sort("computed_at", "revision").unique(["meter_id", "start"], keep="last")


def group_sums(intervals: pl.DataFrame, places: Places, by: str = "district") -> pl.DataFrame:
    """Sum meters to groups, block by block.

    Args:
        intervals: INTERVAL rows; of several revisions the latest counts.
        places: which meters count, and where.
        by: a kind of `places.kinds()`: site, park, district, industry, city or label:KEY.

    Returns:
        GROUP rows sorted by (group_id, start): of every block that has a row of any meter, one of
        each group. A group that was silent then has nulls and coverage 0.

    Raises:
        ValueError: there is no such kind.
    """
    rows = newest(intervals).join(places.members(by), on="meter_id")
    totals = rows.group_by("group_id", "start").agg(_totals())
    facts = places.facts(by)
    blocks = intervals.join(places.meters, on="meter_id", how="semi").select("start").unique()
    every = facts.join(blocks, how="cross").join(totals, on=["group_id", "start"], how="left")
    counted = every.with_columns(pl.col(*TOTALS, "revision").fill_null(0))
    return stated(counted).sort("group_id", "start")


def _totals() -> list[pl.Expr]:
    known, role = known_energy(), pl.col("role")
    energy = pl.when(known).then(whole(pl.col("energy_kwh"))).otherwise(0)
    main = role == ROLES.index("main")
    estimated = known & main & (pl.col("quality") == Quality.ESTIMATED.value).fill_null(value=False)
    coverage = pl.when(main).then(pl.col("coverage").fill_null(0.0)).otherwise(0.0)
    parts = [
        one
        for place, name in enumerate(ROLES)
        for one in (
            (known & (role == place)).sum().cast(pl.Int64).alias(f"n_{name}"),
            energy.filter(role == place).sum().alias(f"e_{name}"),
        )
    ]
    return [
        *parts,
        estimated.sum().cast(pl.Int64).alias("n_estimated"),
        energy.filter(estimated).sum().alias("e_estimated"),
        whole(coverage).sum().alias("covered"),
        whole(coverage * pl.col("rated_power_kw").fill_null(0.0)).sum().alias("covered_kw"),
        (known & pl.col("signed")).sum().cast(pl.Int64).alias("heard_signed"),
        pl.col("revision").cast(pl.Int64).sum(),
        pl.col("computed_at").max(),
    ]


def stated(counted: pl.DataFrame) -> pl.DataFrame:
    """Return GROUP rows of totals.

    Args:
        counted: GROUP_FACTS, `start`, TOTALS, `revision` and `computed_at` of each group and block.
    """
    return counted.select(_STATED)


def _figures() -> list[pl.Expr]:
    known = {role: pl.col(f"n_{role}") > 0 for role in ROLES}
    kwh = {role: pl.col(f"e_{role}") / UNIT for role in ROLES}
    reason = (
        pl.when(~known["main"])
        .then(pl.lit("nothing_known"))
        .when(pl.col("heard_signed") < pl.col("signed_expected"))
        .then(pl.lit("flow_missing"))
        .when(pl.col("unmetered") > 0)
        .then(pl.lit("export_unmetered"))
    )
    net = kwh["main"] - kwh["export"]
    expected = pl.col("meters_expected")
    figures = {
        "end": pl.col("start") + BLOCK,
        "energy_kwh": pl.when(known["main"]).then(kwh["main"]),
        "demand_kw": pl.when(known["main"]).then(kwh["main"] * 4.0),
        **{f"{role}_kwh": pl.when(known[role]).then(kwh[role]) for role in ROLES[1:]},
        "net_import_kwh": pl.when(reason.is_null()).then(net),
        "consumption_kwh": pl.when(reason.is_null()).then(
            net + kwh["generation"] + kwh["discharge"] - kwh["charge"]
        ),
        "reason": reason,
        "coverage_count": pl.when(expected > 0).then(pl.col("covered") / UNIT / expected),
        "coverage_kw": pl.when(pl.col("registered_kw") > 0).then(
            pl.col("covered_kw") / UNIT / pl.col("registered_kw")
        ),
        "estimated_share": pl.when(pl.col("e_main") != 0)
        .then(pl.col("e_estimated") / pl.col("e_main"))
        .when(known["main"])
        .then(pl.col("n_estimated") / pl.col("n_main")),
        "meters": pl.col("n_main"),
    }
    return [figures[name].alias(name) if name in figures else pl.col(name) for name in GROUP]


_STATED = _figures()
"""Built once: building them takes longer than applying them to one row."""
