"""Load indices told as plainly as possible, block by block; the judge of `processors.indices`.

Slow on purpose; shares no code with it. Blocks are (start, kWh or None, coverage, estimated).
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

QUARTER = timedelta(minutes=15)


def first_of(day, length):
    return {"day": day, "month": day.replace(day=1), "year": day.replace(month=1, day=1)}[length]


def after(day, length):
    if length == "day":
        return day + timedelta(days=1)
    if length == "year":
        return day.replace(year=day.year + 1)
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


@cache
def starts_of(day, zone):
    """Return the starts of the blocks of a local day, found by trying every quarter hour."""
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=1)
    tried = (at + QUARTER * n for n in range(3 * 96))
    return [one for one in tried if one.astimezone(ZoneInfo(zone)).date() == day]


def days_between(first, end):
    return [first + timedelta(days=n) for n in range((end - first).days)]


def expected(first, length, zone, now):
    days = days_between(first, after(first, length))
    return [s for day in days for s in starts_of(day, zone) if s + QUARTER <= now]


def index(blocks, first, length, zone, now, least):
    """Return the INDICES figures of one period as a dict."""
    slots = set(expected(first, length, zone, now))
    mine = [b for b in blocks if b[0] in slots]
    known = [b for b in mine if b[1] is not None]
    coverage = sum(b[2] for b in mine) / len(slots)
    kwh = [b[1] for b in known]
    top = max(kwh) * 4 if kwh else None
    out = {
        "energy_kwh": sum(kwh) if kwh else None,
        "max_block_demand_kw": top,
        "max_block_at": min((b[0] for b in known if b[1] * 4 == top), default=None),
        "blocks": len(known),
        "blocks_expected": len(slots),
        "coverage": coverage,
        "reason": why(known, coverage, least, top),
    }
    names = ("mean_demand_kw", "load_factor", "peak_valley_kw", "peak_valley_ratio")
    out |= dict.fromkeys((*names, "utilisation_h", "min_demand_kw"))
    if out["reason"] in {None, "no_load"}:
        mean, low = sum(kwh) / (len(kwh) / 4), min(kwh) * 4
        out |= {"mean_demand_kw": mean, "min_demand_kw": low, "peak_valley_kw": top - low}
    if out["reason"] is None:
        out["load_factor"] = mean / top
        out["peak_valley_ratio"] = (top - low) / top
        out["utilisation_h"] = sum(kwh) / top
    return out


def why(known, coverage, least, top):
    if not known:
        return "no_data"
    if coverage < least:
        return "low_coverage"
    return "no_load" if top <= 0 else None


def typical(blocks, first, length, zone, now, least, kind_of):
    """Return {(day_type, clock): (mean, min, max, blocks, expected, coverage)}."""
    table = {}
    told = {b[0]: b for b in blocks}
    for start in expected(first, length, zone, now):
        local = start.astimezone(ZoneInfo(zone))
        cell = table.setdefault((kind_of(local.date()), local.time()), [])
        cell.append(told.get(start, (start, None, 0.0, False)))
    out = {}
    for key, cell in table.items():
        kw = [b[1] * 4 for b in cell if b[1] is not None]
        coverage = sum(b[2] for b in cell) / len(cell)
        good = kw and coverage >= least
        figures = (sum(kw) / len(kw), min(kw), max(kw)) if good else (None, None, None)
        out[key] = (*figures, len(kw), len(cell), coverage)
    return out


def duration(blocks, first, length, zone, now, least, steps):
    """Return the demand reached for k/steps of the known blocks, by counting."""
    slots = set(expected(first, length, zone, now))
    mine = [b for b in blocks if b[0] in slots]
    kw = sorted((b[1] * 4 for b in mine if b[1] is not None), reverse=True)
    if not kw or sum(b[2] for b in mine) / len(slots) < least:
        return [None] * (steps + 1)
    out = []
    for k in range(steps + 1):
        enough = [v for v in kw if sum(1 for o in kw if o >= v) * steps >= k * len(kw)]
        out.append(max(enough))
    return out


def shares(blocks, first, length, zone, now, least, label_of):
    """Return {label: (kWh, share, blocks, expected)}."""
    slots = expected(first, length, zone, now)
    told = {b[0]: b for b in blocks}
    mine = [told.get(s, (s, None, 0.0, False)) for s in slots]
    total = sum(b[1] for b in mine if b[1] is not None)
    whole = sum(b[2] for b in mine) / len(slots)
    out = {}
    for label in {label_of(s) for s in slots}:
        part = [b for b in mine if label_of(b[0]) == label]
        kwh = [b[1] for b in part if b[1] is not None]
        good = kwh and whole >= least and total > 0
        good = good and sum(b[2] for b in part) / len(part) >= least
        energy = sum(kwh) if kwh else None
        out[label] = (energy, energy / total if good else None, len(kwh), len(part))
    return out


def weekday_means(blocks, first, length, zone, now, least):
    """Return {weekday: (mean kWh a day or None, days used, days expected)}."""
    told = {b[0]: b for b in blocks}
    days = {}
    for day in days_between(first, after(first, length)):
        slots = starts_of(day, zone)
        if slots[-1] + QUARTER > now:
            continue
        mine = [told[s] for s in slots if s in told]
        kwh = [b[1] for b in mine if b[1] is not None]
        covered = sum(b[2] for b in mine) / len(slots)
        days.setdefault(day.isoweekday(), []).append((sum(kwh) if kwh else None, covered))
    out = {}
    for weekday, rows in days.items():
        used = [kwh for kwh, covered in rows if covered >= least and kwh is not None]
        coverage = sum(covered for _, covered in rows) / len(rows)
        mean = sum(used) / len(used) if used and coverage >= least else None
        out[weekday] = (mean, len(used), len(rows))
    return out
