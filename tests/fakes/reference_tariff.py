"""Tariff periods and bills told as plainly as possible, one block at a time; shares no code."""

from fractions import Fraction
from zoneinfo import ZoneInfo


def guangdong_period(start, zone, hot=frozenset()):
    """The notice's own words: peak 10-12 and 14-19, valley 0-8, sharp 11-12 and 15-17 in July,
    August, September and on hot days, flat for the rest."""
    local = start.astimezone(ZoneInfo(zone))
    if local.hour < 8:
        return "valley"
    sharp_day = local.month in (7, 8, 9) or local.date() in hot
    if sharp_day and local.hour in (11, 15, 16):
        return "sharp"
    if local.hour in (10, 11, 14, 15, 16, 17, 18):
        return "peak"
    return "flat"


def hot_by_hand(readings, zone, min_c):
    """Days with any temperature of `min_c` or more; readings are (instant, celsius)."""
    return {at.astimezone(ZoneInfo(zone)).date() for at, c in readings if c >= min_c}


def reference_bill(blocks, zone, told, hot=frozenset()):
    """Bill of one meter's month; `blocks` are dicts, `told` the numbers of contract and table.

    Returns amounts by (item, period), in yuan; money by exact fractions, rounded half up.
    """
    energy = {}
    for row in blocks:
        if row["energy_kwh"] is not None:
            period = guangdong_period(row["start"], zone, hot)
            energy[period] = energy.get(period, 0.0) + row["energy_kwh"]
    flat = Fraction(told["flat"])
    ratio = {"flat": Fraction(1)}
    ratio |= {name: Fraction(told[name]) for name in ("peak", "valley")}
    ratio["sharp"] = ratio["peak"] * Fraction("1.25")
    out = {}
    for period, kwh in energy.items():
        price = half_up(flat * ratio[period], 4)
        out["energy", period] = half_up(Fraction(repr(kwh)) * price, 2)
    funds = sum(row["energy_kwh"] or 0.0 for row in blocks)
    out["funds", None] = half_up(Fraction(repr(funds)) * Fraction(told["funds"]), 2)
    top = max(row["max_demand_kw"] for row in blocks if row["max_demand_kw"] is not None)
    held = told["contract_kw"]
    price = Fraction(told["demand"])
    out["demand", None] = half_up(Fraction(repr(held)) * price, 2)
    if top > held * 1.05:
        excess = top - held * 105.0 / 100.0
        out["demand_excess", None] = half_up(Fraction(repr(excess)) * price * 2, 2)
    active = sum(r["energy_kwh"] for r in blocks if r["reactive_kvarh"] is not None)
    reactive = sum(r["reactive_kvarh"] for r in blocks if r["reactive_kvarh"] is not None)
    factor = half_up(Fraction(f"{active / (active**2 + reactive**2) ** 0.5:.12f}"), 2)
    charges = sum(yuan for (item, _), yuan in out.items() if item != "funds")
    out["power_factor", None] = half_up(charges * percent_090(factor) / 100, 2)
    out["total", None] = sum(out.values())
    return out


def percent_090(factor):
    """Standard 0.90 as the rule is worded: 0.15 % a step up to 0.95; 0.5, 1 and 2 % down."""
    steps = round(abs(factor - Fraction("0.9")) * 100)
    if factor >= Fraction("0.9"):
        return -Fraction("0.15") * min(steps, 5)
    total = Fraction(0)
    for n in range(1, steps + 1):
        below = 90 - n
        total += Fraction("0.5") if below >= 70 else Fraction(1) if below >= 65 else Fraction(2)
    return total


def half_up(value, decimals):
    """Round a fraction half away from zero."""
    scaled = value * 10**decimals
    whole = (abs(scaled) + Fraction(1, 2)).__floor__()
    return Fraction(whole if scaled >= 0 else -whole, 10**decimals)
