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
    made = list(claims)
    by_site: dict[str, list[int]] = {}
    for n, one in enumerate(claims):
        if one.product and one.product not in BASES:
            by_site.setdefault(one.site.id, []).append(n)
    pools = [pool for members in by_site.values() for pool in _pools(made, members)]
    divided = [pool for pool in pools if _divided(pool, made)]
    if not divided:
        return days, made
    asked = _asked(divided, made, weights)
    clear = dict(asked.group_by("claim").agg(pl.col("part").is_not_null().all()).iter_rows())
    names = {}
    for pool in divided:
        for n in pool.members:
            names[n] = f"{made[n].site.id}:{n}"
            made[n] = _parted(pool, made[n], names[n], shared=not clear.get(n, False))
    series = pl.DataFrame({"claim": list(names), "meter_id": list(names.values())})
    parts = (
        _energy(days, divided)
        .join(asked.filter(pl.col("part").is_not_null()), on=["pool", "day"])
        .join(series, on="claim")
        .with_columns(pl.col("energy_kwh") * pl.col("part"))
    )
    known = parts.select(name for name in parts.columns if name in days.columns)
    return pl.concat([days, known], how="diagonal_relaxed"), made


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


def _divided(pool: _Pool, claims: list[Claim]) -> bool:
    """Whether a pool must be divided; notes how, where the meters alone tell its one product."""
    one = claims[pool.members[0]]
    if len(pool.members) > 1 or pool.minus or None not in one.shares:
        return True
    claims[pool.members[0]] = replace(one, shared=_twice(one), allocation=_base(pool, one.site))
    return False


def _base(pool: _Pool, site: Site) -> str:
    """Return what meters tell: their own, the rest of the site, or all of it (empty)."""
    if pool.minus:
        return Allocation.REMAINDER.value
    return "" if set(pool.plus) >= set(mains(site)) else Allocation.OWN_METERS.value


def _parted(pool: _Pool, one: Claim, name: str, *, shared: bool) -> Claim:
    """Return a claim whose energy stands under a name of its own."""
    alone = len(pool.members) == 1 and None in one.shares
    how = [_base(pool, one.site), "" if alone else _how(one).value]
    return replace(
        one,
        shared=shared or _twice(one),
        allocation=" ".join(filter(None, how)),
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


def _asked(pools: Sequence[_Pool], claims: list[Claim], weights: Weights) -> pl.DataFrame:
    """Return the part of each day of a pool that a claim has: pool, claim, day, part or null."""
    rows = []
    for k, pool in enumerate(pools):
        quotas = _quotas(pool, claims, weights)
        for n in pool.members:
            quota = quotas.get(n)
            for (start, end, per_day), share in zip(
                claims[n].segments, claims[n].shares, strict=True
            ):
                weight = None if quota is None else per_day * quota
                rows.append((k, n, start, end, share, weight))
    names = {"pool": pl.Int64(), "claim": pl.Int64(), "start": pl.Date(), "end": pl.Date()}
    amounts = {"share": pl.Float64(), "weight": pl.Float64()}
    known = pl.DataFrame(rows, {**names, **amounts}, orient="row")
    by_day = known.with_columns(day=pl.date_ranges("start", "end", closed="left")).explode("day")
    return by_day.select("pool", "claim", "day", part=_part())


def _part() -> pl.Expr:
    """Return a claim's part of its pool on a day, null where it cannot be told."""
    key, open_ = ["pool", "day"], pl.col("share").is_null()
    given = pl.col("share").sum().over(key)
    total = pl.col("weight").filter(open_).sum().over(key)
    left, some = 1.0 - given, open_.any().over(key)
    known = (pl.col("weight").is_not_null() | ~open_).all().over(key) & (total > 0)
    of_rest = pl.when(open_).then(left * pl.col("weight") / total).otherwise(pl.col("share"))
    return (
        pl.when(open_ & (pl.len().over(key) == 1))
        .then(1.0)
        .when(some & (left > _WHOLE) & known)
        .then(of_rest)
        .when(~some & (left.abs() <= _WHOLE))
        .then(pl.col("share") / given)
    )


def _quotas(pool: _Pool, claims: list[Claim], weights: Weights) -> dict[int, float]:
    """Return the quota of each claim in a unit of energy that all open ones have."""
    told = {n: weights(claims[n]) for n in pool.members if None in claims[n].shares}
    common = [u for u in ("kWh", "kgce") if told and all(u in one for one in told.values())]
    return {n: one[common[0]] for n, one in told.items()} if common else {}


def _energy(days: pl.DataFrame, pools: Sequence[_Pool]) -> pl.DataFrame:
    """Return pools' DAY rows; a day is unknown where a meter's is, or the rest is negative."""
    rows = [
        (k, meter, sign, len(pool.plus) + len(pool.minus))
        for k, pool in enumerate(pools)
        for sign, meters in ((1.0, pool.plus), (-1.0, pool.minus))
        for meter in meters
    ]
    names = {"pool": pl.Int64(), "meter_id": pl.String(), "sign": pl.Float64(), "of": pl.Int64()}
    mine = days.join(pl.DataFrame(rows, names, orient="row"), on="meter_id")
    estimated = pl.col("energy_kwh") * pl.col("estimated_share").fill_null(0.0)
    zero = pl.col("zero_share").filter(pl.col("sign") > 0)
    summed = mine.group_by("pool", "day").agg(
        pl.col("start", "end").first(),
        known=pl.col("energy_kwh").count() == pl.col("of").first(),
        rest=(pl.col("sign") * pl.col("energy_kwh")).sum(),
        estimated=estimated.sum(),
        zero=(zero.fill_null(0.0) >= 1.0).all(),
        coverage=pl.col("coverage").min(),
        blocks=pl.col("blocks").min(),
    )
    sound = pl.col("known") & (pl.col("rest") >= 0.0)
    doubt = pl.when(pl.col("rest") > 0).then(pl.col("estimated") / pl.col("rest")).otherwise(0.0)
    return summed.sort("pool", "day").select(
        "pool",
        "day",
        "start",
        "end",
        energy_kwh=pl.when(sound).then("rest"),
        coverage=pl.when(sound).then("coverage").otherwise(0.0),
        estimated_share=pl.when(sound).then(doubt.clip(0.0, 1.0)),
        zero_share=pl.when(sound).then(pl.col("zero").cast(pl.Float64)),
        blocks=pl.when(sound).then("blocks").otherwise(0),
    )
