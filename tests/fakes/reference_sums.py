"""Sums told as plainly as possible, one site, one meter and one block at a time.

Slow on purpose: the judge of `processors.groups`, `group_state`, `virtual` and `balance`. Shares no
code with them. Rows are dicts of INTERVAL.
"""

import math

SIGN = {"main": 1, "export": -1, "generation": 1, "charge": -1, "discharge": 1}


def group_of(site, kind):
    if kind.startswith("label:"):
        return site.labels.get(kind[6:], "")
    return {
        "site": site.id,
        "park": site.park,
        "district": site.district,
        "industry": site.industry[:3],
        "city": "city",
    }[kind]


def latest(rows):
    """Return (meter, start) -> its newest row."""
    found = {}
    for row in sorted(rows, key=lambda one: (one["computed_at"], one["revision"])):
        found[row["meter_id"], row["start"]] = row
    return found


def reference_sums(rows, sites, kind):
    """Return (group, start) -> figures."""
    now = latest(rows)
    counts = {m.id for s in sites for m in s.meters if m.role in SIGN}
    starts = sorted({start for meter, start in now if meter in counts})
    groups = {}
    for site in sites:
        if any(m.role in SIGN for m in site.meters):
            groups.setdefault(group_of(site, kind), []).append(site)
    return {(g, t): _one(members, t, now) for g, members in groups.items() for t in starts}


def _one(sites, start, now):
    flows = {role: [] for role in SIGN}
    mains, lost, unmetered, estimated, covered, heard_kw = [], False, False, [], [], []
    for site in sites:
        roles = {m.role for m in site.meters}
        signed = bool(roles & {"export", "generation", "charge", "discharge"})
        if roles & {"generation", "discharge"} and "export" not in roles and not site.no_export:
            unmetered = True
        for meter in site.meters:
            if meter.role not in SIGN:
                continue
            row = now.get((meter.id, start))
            energy = row and row["energy_kwh"]
            if energy is None:
                lost = lost or signed
            else:
                flows[meter.role].append(energy)
            if meter.role == "main":
                mains.append(meter)
                covered.append((row and row["coverage"]) or 0.0)
                heard_kw.append(covered[-1] * (meter.rated_power_kw or math.nan))
                if energy is not None:
                    estimated.append((energy, row["quality"] == "estimated"))
    total = {role: math.fsum(some) if some else None for role, some in flows.items()}
    energy = total["main"]
    settled = energy is not None and not lost and not unmetered
    rated = math.fsum(m.rated_power_kw or math.nan for m in mains)
    return {
        "energy_kwh": energy,
        "generation_kwh": total["generation"],
        "net_import_kwh": energy - (total["export"] or 0.0) if settled else None,
        "consumption_kwh": math.fsum((total[r] or 0.0) * SIGN[r] for r in SIGN)
        if settled
        else None,
        "coverage_count": math.fsum(covered) / len(mains) if mains else None,
        "coverage_kw": None if not mains or math.isnan(rated) else math.fsum(heard_kw) / rated,
        "estimated_share": _share(energy, estimated),
        "meters": len(flows["main"]),
    }


def _share(energy, known):
    if energy:
        return math.fsum(kwh for kwh, estimated in known if estimated) / energy
    return None if energy is None else sum(estimated for _, estimated in known) / len(known)


def reference_virtual(rows, terms):
    """Return (virtual, start) -> (energy, coverage) of {virtual: {meter: factor}}."""
    now = latest(rows)
    found = {}
    for virtual, factors in terms.items():
        for start in {t for meter, t in now if meter in factors}:
            parts = [now.get((meter, start)) for meter in factors]
            whole = all(p and p["energy_kwh"] is not None for p in parts)
            energy = (
                math.fsum(p["energy_kwh"] * factors[p["meter_id"]] for p in parts)
                if whole
                else None
            )
            found[virtual, start] = energy, min((p["coverage"] if p else 0.0) for p in parts)
    return found
