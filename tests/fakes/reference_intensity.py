"""Intensity in plain Python, meter by meter and day by day; shares no code."""

from datetime import timedelta


def intensity(days, meters, segments, expected):
    """Return the figures of one claim.

    Args:
        days: (meter, date) -> kWh or None, blocks, hours of the day, coverage, estimated share,
            zero share.
        meters: the claim's.
        segments: (first, after, denominator of a day).
        expected: days the claim is about.

    Returns:
        energy, per unit, stated per unit, coverage, estimated share, days counted, zero days,
        silent meters; None where nothing is known.
    """
    told = {meter: _of_meter(days, meter, segments) for meter in meters}
    counted = sum(one["days"] for one in told.values())
    zeros = sum(one["zeros"] for one in told.values())
    silent = [meter for meter, one in told.items() if not one["days"]]
    known = [one for one in told.values() if one["days"]]
    if not known:
        return None, None, None, 0.0, None, counted, zeros, silent
    energy = sum(one["kwh"] for one in known)
    weights = [one["kwh"] / one["known"] for one in known]
    covered = sum(w * one["supported"] for w, one in zip(weights, known, strict=True))
    return (
        energy,
        sum(one["kwh"] / one["below"] for one in known),
        energy / sum((after - first).days * per_day for first, after, per_day in segments),
        covered / sum(weights) / expected if sum(weights) else 0.0,
        sum(one["guessed"] for one in known) / energy if energy else None,
        counted,
        zeros,
        silent,
    )


def _of_meter(days, meter, segments):
    found = dict.fromkeys(("kwh", "below", "known", "supported", "guessed"), 0.0)
    found |= {"days": 0, "zeros": 0}
    for first, after, per_day in segments:
        for n in range((after - first).days):
            told = days.get((meter, first + timedelta(days=n)))
            if told is None or told[0] is None or not told[1]:
                continue
            value, blocks, hours, coverage, share, zero = told
            if zero is not None and zero >= 1.0:
                found["zeros"] += 1
                continue
            part = min(blocks * 0.25 / hours, 1.0)
            found["days"] += 1
            found["kwh"] += value
            found["below"] += per_day * part
            found["known"] += part
            found["supported"] += coverage
            found["guessed"] += value * (share or 0.0)
    return found
