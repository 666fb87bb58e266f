"""Whose energy is whose, and a part of a year scaled to a year: slow, obvious, in fractions."""

from fractions import Fraction


def parts(day, mains, energy, products):
    """Return product -> energy of one day, None where it cannot be told.

    Args:
        day: the day, any ordered thing.
        mains: names of the main meters.
        energy: meter -> kWh of the day, None where unknown.
        products: dicts of name, meters (own ones, empty: none), start, until (excluded), share,
            weight (output a day times quota; None: not known).
    """
    named = {meter for one in products for meter in one["meters"]}
    told = {}
    groups = {}
    for one in products:
        groups.setdefault(tuple(sorted(one["meters"])), []).append(one)
    for meters, group in groups.items():
        plus = list(meters) if meters else [m for m in mains if m not in named]
        minus = [] if meters else [m for m in named if m not in mains]
        known = all(energy.get(m) is not None for m in plus + minus)
        whole = None
        if known:
            whole = sum(Fraction(energy[m]) for m in plus) - sum(Fraction(energy[m]) for m in minus)
            whole = None if whole < 0 else whole
        here = [one for one in group if one["start"] <= day < one["until"]]
        for one in here:
            part = _part(one, here)
            told[one["name"]] = None if whole is None or part is None else whole * part
    return told


def _part(one, here):
    shared = [other for other in here if other["share"] is not None]
    rest = [other for other in here if other["share"] is None]
    if len(here) == 1 and rest:
        return Fraction(1)
    given = sum(Fraction(other["share"]) for other in shared)
    if not rest:
        return Fraction(one["share"]) / given if abs(given - 1) <= Fraction(1, 10**6) else None
    if given >= 1 - Fraction(1, 10**6) or any(other["weight"] is None for other in rest):
        return None
    if one["share"] is not None:
        return Fraction(one["share"])
    weights = sum(Fraction(other["weight"]) for other in rest)
    return (1 - given) * Fraction(one["weight"]) / weights


def annual(before, now, month_of, length_of):
    """Return the year's energy that a part of a year stands for.

    Args:
        before: (month, kWh) of every day of the last full year.
        now: day -> kWh of the part.
        month_of: day -> its month.
        length_of: day -> days of its month.
    """
    year = sum(Fraction(kwh) for _, kwh in before)
    shares = {m: sum(Fraction(kwh) for month, kwh in before if month == m) / year
              for m in range(1, 13)}  # fmt: skip
    weight = sum(shares[month_of(day)] / length_of(day) for day in now)
    return sum(Fraction(kwh) for kwh in now.values()) / weight
