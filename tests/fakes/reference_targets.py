"""The tracker of targets told as plainly as possible; the judge of `processors.target`.

Shares no code with it. `known` is {(site, year): (mean kW or None, why or None, coverage)}.
"""


def lack(known, site, year, base):
    if (site, year) not in known:
        return "no_data"
    why = known[site, year][1]
    if why:
        return why
    before = known.get((site, base), (None, None, 0.0))[0]
    if before is None:
        return "no_base_year"
    return "no_load" if before <= 0 else None


def row(known, sites, year, base, length, change, least, denominators):
    """Return (change, intensity change, state, reason, sites compared) of a group and year."""
    lacking = {site: lack(known, site, year, base) for site in sites}
    good = [site for site in sites if lacking[site] is None]
    if not good:
        return None, None, "undecided", min(one for one in lacking.values() if one), 0
    now, then = (sum(known[site, at][0] for site in good) for at in (year, base))
    moved = now / then - 1
    if len(good) / len(sites) < least:
        return (
            moved,
            per_unit(known, good, year, base, denominators),
            "undecided",
            "sites_missing",
            len(good),
        )
    on = moved <= change * (year - base) / length + 1e-9
    state = "on" if on else "behind"
    return moved, per_unit(known, good, year, base, denominators), state, None, len(good)


def per_unit(known, good, year, base, denominators):
    """Return the change of kWh a unit, None unless all have the same unit in both years."""
    units, figures = set(), []
    for at in (year, base):
        hours = 8784.0 if at % 4 == 0 else 8760.0
        held = [denominators.get((site, at)) for site in good]
        if None in held:
            return None
        units |= {unit for _, unit in held}
        energy = sum(known[site, at][0] * hours for site in good)
        figures.append(energy / sum(value for value, _ in held))
    return figures[0] / figures[1] - 1 if len(units) == 1 else None
