"""Several products at one site: whose energy is whose; pure.

    rest of a day = Σ energy of the meters in common - Σ energy of the meters other products name
    product's part = declared share, or what the shares leave × output × quota / Σ output × quota

by day, among the products declared for that day. A product that names its meters has their energy;
the others have the site's main meters in common, less the sub-meters named. Quota weights are the
printed limits of the products' own rows in one unit of energy, so that a product that may use more
is given more. Parts add up to the energy in common, to the rounding of the last bit. What cannot be
parted (shares that leave nothing or do not add up to 1, no common unit, meters that hold one
another) is marked `shared` and never judged. The rule is this product's own: no standard read so
far gives one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

import polars as pl

from collector.site import BASES, Site
from processors.claims import Claim, mains


class Allocation(StrEnum):
    """How energy was parted; VERDICT names all that apply, with blanks between."""

    OWN_METERS = "own_meters"
    """The product's own meters."""
    REMAINDER = "remainder"
    """The main meters less the meters other products name."""
    DECLARED_SHARE = "declared_share"
    """A share somebody declared."""
    OUTPUT_BY_QUOTA = "output_by_quota"
    """In proportion to output times quota."""


ESTIMATED = frozenset({Allocation.DECLARED_SHARE, Allocation.OUTPUT_BY_QUOTA})
"""Not measured: an overrun that rests on one of them is a clue."""

Weights = Callable[[Claim], Mapping[str, float]]
"""Quota of a claim's product by unit of energy (kWh, kgce) for one unit of output."""

_WHOLE = 1e-6
"""How far from 1 declared shares may add up."""


@dataclass(frozen=True, slots=True)
class _Pool:
    """Products that have the same meters in common."""

    members: tuple[int, ...]
    """Indices of their claims."""
    plus: tuple[str, ...]
    minus: tuple[str, ...]


def allocate(
    days: pl.DataFrame, claims: Sequence[Claim], weights: Weights
) -> tuple[pl.DataFrame, list[Claim]]:
    """Part the energy that products have in common.

    Args:
        days: DAY rows.
        claims: of any sites; floor area and the denominators of BASES are left as they are.
        weights: the quotas that divide what no share divides.

    Returns:
        The DAY rows with those of each part added (`meter_id` is the claim's `series`), and the
        claims, in order.
    """
    made: list[Claim] = list(claims)
    parts: list[pl.DataFrame] = []
    by_site: dict[str, list[int]] = {}
    for n, one in enumerate(claims):
        if one.product and one.product not in BASES:
            by_site.setdefault(one.site.id, []).append(n)
    for members in by_site.values():
        for pool in _pools(made, members):
            _part(pool, made, parts, days, weights)
    known = [one.select(c for c in one.columns if c in days.columns) for one in parts]
    return pl.concat([days, *known], how="diagonal_relaxed") if known else days, made


def _pools(claims: list[Claim], members: list[int]) -> list[_Pool]:
    """Return the pools of a site; marks claims whose meters hold one another as shared."""
    site = claims[members[0]].site
    whole = frozenset(mains(site))
    groups: dict[frozenset[str], list[int]] = {}
    for n in members:
        groups.setdefault(frozenset(claims[n].meters), []).append(n)
    plain = not any(claims[n].shared or any(claims[n].shares) for n in members)
    if len(groups) == 1 and plain:
        return []
    named = [one for one in groups if one != whole]
    clear = all(_apart(site, one, other) for one in named for other in named if one is not other)
    inside = {m.id for m in site.meters if m.role in ("main", "sub")}
    if not clear or (whole in groups and not all(one <= inside for one in named)):
        for n in members:
            claims[n] = replace(claims[n], shared=True)
        return []
    taken = frozenset().union(*named)
    pools = []
    for meters, who in groups.items():
        plus = meters - taken if meters == whole else meters
        minus = taken - whole if meters == whole else frozenset()
        pools.append(_Pool(tuple(who), tuple(sorted(plus)), tuple(sorted(minus))))
    return pools


def _apart(site: Site, one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether no meter of one set is, or lies behind, a meter of the other."""
    mine, theirs = set(one), set(other)
    return not any(theirs & _above(site, meter) for meter in mine) and not any(
        mine & _above(site, meter) for meter in theirs
    )


def _above(site: Site, meter: str) -> set[str]:
    """Return a meter and all it lies behind."""
    known = {m.id: m for m in site.meters}
    found, waiting = set[str](), [meter]
    while waiting:
        name = waiting.pop()
        if name in found or name not in known:
            continue
        found.add(name)
        one = known[name]
        if one.role == "sub":
            waiting += [one.behind] if one.behind else list(mains(site))
    return found


def _part(
    pool: _Pool,
    claims: list[Claim],
    parts: list[pl.DataFrame],
    days: pl.DataFrame,
    weights: Weights,
) -> None:
    """Add the DAY rows of a pool's claims, or mark them shared."""
    method = Allocation.REMAINDER if pool.minus else Allocation.OWN_METERS
    whole = set(pool.plus) >= set(mains(claims[pool.members[0]].site))
    base = [method.value] if pool.minus or not whole else []
    alone = len(pool.members) == 1 and None in claims[pool.members[0]].shares
    if alone and not pool.minus:
        (n,) = pool.members
        claims[n] = replace(claims[n], shared=_twice(claims[n]), allocation=" ".join(base))
        return
    asked = _asked(pool, claims, weights)
    divided = asked.filter(pl.col("part").is_not_null())
    energy = _energy(days, pool)
    split = asked.group_by("claim").agg(whole=pl.col("part").is_not_null().all())
    clear = dict(split.iter_rows())
    for n in pool.members:
        one = claims[n]
        mine = divided.filter(claim=n).select("day", "part")
        name = f"{one.site.id}:{n}"
        rows = energy.join(mine, on="day").with_columns(
            pl.col("energy_kwh") * pl.col("part"), meter_id=pl.lit(name)
        )
        parts.append(rows)
        how = [] if alone else [_how(one).value]
        claims[n] = replace(
            one,
            shared=not clear.get(n, False) or _twice(one),
            allocation=" ".join([*base, *how]),
            series=(name,),
            meters=(*pool.plus, *pool.minus),
        )


def _twice(claim: Claim) -> bool:
    """Whether the same days are declared twice."""
    spans = sorted((start, end) for start, end, _ in claim.segments)
    return any(before[1] > after[0] for before, after in pairwise(spans))


def _how(claim: Claim) -> Allocation:
    given = any(one is not None for one in claim.shares)
    return Allocation.DECLARED_SHARE if given else Allocation.OUTPUT_BY_QUOTA


def _asked(pool: _Pool, claims: list[Claim], weights: Weights) -> pl.DataFrame:
    """Return each claim's part of each day it is declared for: claim, day, part (null: unknown)."""
    quotas = _quotas(pool, claims, weights)
    rows = [
        (n, start, end, share, per_day * quotas[n] if n in quotas else None)
        for n in pool.members
        for (start, end, per_day), share in zip(claims[n].segments, claims[n].shares, strict=True)
    ]
    kinds = {"claim": pl.Int64(), "start": pl.Date(), "end": pl.Date()}
    known = pl.DataFrame(
        rows, kinds | {"share": pl.Float64(), "weight": pl.Float64()}, orient="row"
    )
    by_day = known.with_columns(day=pl.date_ranges("start", "end", closed="left")).explode("day")
    given = pl.col("share").sum().over("day")
    open_, alone = pl.col("share").is_null(), pl.len().over("day") == 1
    left, some = 1.0 - given, open_.any().over("day")
    known_all = (pl.col("weight").is_not_null() | ~open_).all().over("day")
    total = pl.col("weight").filter(open_).sum().over("day")
    of_rest = left * pl.col("weight") / total
    part = (
        pl.when(alone & open_).then(1.0)
        .when(some & (left > _WHOLE) & known_all & (total > 0)).then(
            pl.when(open_).then(of_rest).otherwise(pl.col("share"))
        )
        .when(~some & (left.abs() <= _WHOLE)).then(pl.col("share") / given)
    )  # fmt: skip
    return by_day.select("claim", "day", part=part)


def _quotas(pool: _Pool, claims: list[Claim], weights: Weights) -> dict[int, float]:
    """Return the quota of each claim in a unit of energy that all open ones have."""
    told = {n: weights(claims[n]) for n in pool.members if None in claims[n].shares}
    common = [u for u in ("kWh", "kgce") if told and all(u in one for one in told.values())]
    return {n: one[common[0]] for n, one in told.items()} if common else {}


def _energy(days: pl.DataFrame, pool: _Pool) -> pl.DataFrame:
    """Return the pool's DAY rows; a day is unknown where a meter's is, or the rest is negative."""
    meters = [*pool.plus, *pool.minus]
    sign = pl.when(pl.col("meter_id").is_in(list(pool.minus))).then(-1.0).otherwise(1.0)
    mine = days.filter(pl.col("meter_id").is_in(meters))
    estimated = pl.col("energy_kwh") * pl.col("estimated_share").fill_null(0.0)
    zero = pl.col("zero_share").filter(pl.col("meter_id").is_in(list(pool.plus)))
    summed = mine.group_by("day").agg(
        pl.col("start", "end").first(),
        known=pl.col("energy_kwh").count() == len(meters),
        rest=(sign * pl.col("energy_kwh")).sum(),
        estimated=estimated.sum(),
        zero=(zero.fill_null(0.0) >= 1.0).all(),
        coverage=pl.col("coverage").min(),
        blocks=pl.col("blocks").min(),
    )
    sound = pl.col("known") & (pl.col("rest") >= 0.0)
    energy = pl.when(sound).then(pl.col("rest"))
    doubt = pl.when(pl.col("rest") > 0).then(pl.col("estimated") / pl.col("rest")).otherwise(0.0)
    return summed.sort("day").select(
        "day",
        "start",
        "end",
        energy_kwh=energy,
        coverage=pl.when(sound).then("coverage").otherwise(0.0),
        estimated_share=pl.when(sound).then(doubt.clip(0.0, 1.0)),
        zero_share=pl.when(sound).then(pl.col("zero").cast(pl.Float64)),
        blocks=pl.when(sound).then("blocks").otherwise(0),
    )
