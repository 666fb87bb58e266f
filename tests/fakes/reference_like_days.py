"""The spread of a long gap by like days, one quarter hour at a time; shares no code with ours."""

import itertools
from datetime import timedelta
from zoneinfo import ZoneInfo

QUARTER = timedelta(minutes=15)


def reference_like_days(rows, even, zone):
    """Return the energy of each block of `even` (one meter, all gaps spread evenly).

    Args:
        rows: (meter, instant, register) in order; none is a fault.
        even: the blocks with evenly spread gaps.
        zone: the meter's time zone.
    """
    blocks = even.to_dicts()
    energy = {one["start"]: one["energy_kwh"] for one in blocks}
    whole = [one for one in blocks if one["coverage"] == 1.0 and one["quality"] != "estimated"]
    for (_, t0, v0), (_, t1, v1) in itertools.pairwise(rows):
        if t1 - t0 > timedelta(hours=2):
            weights = _weights(t0, t1, whole, ZoneInfo(zone), [one["start"] for one in blocks])
            if weights and sum(weights.values()) > 0:
                total = sum(weights.values())
                for start, weight in weights.items():
                    inside = min(t1, start + QUARTER) - max(t0, start)
                    if start in energy:
                        energy[start] += (v1 - v0) * (weight / total - inside / (t1 - t0))
    return [energy[one["start"]] for one in blocks]


def _kind(start, zone):
    local = start.astimezone(zone)
    return local.hour, local.minute, local.weekday() >= 5


def _weights(t0, t1, whole, zone, starts):
    start = min(starts)
    while start + QUARTER <= t0:
        start += QUARTER
    weights = {}
    while start < t1:
        like = [
            one["energy_kwh"]
            for one in sorted(whole, key=lambda one: one["start"])
            if t0 - timedelta(days=28) <= one["start"]
            and one["end"] <= t0
            and _kind(one["start"], zone) == _kind(start, zone)
        ][-4:]
        if len(like) < 2:
            return None
        inside = min(t1, start + QUARTER) - max(t0, start)
        weights[start] = sum(like) / len(like) * (inside / QUARTER)
        start += QUARTER
    return weights
