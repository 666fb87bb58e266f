"""Registers that run away, sums that do not meet and levels that change, told plainly.

Slow on purpose, like `reference_anomalies`; shares no code with what it judges.
"""

from datetime import timedelta

from fakes.reference_anomalies import walk

BLOCK = timedelta(minutes=15)


def closings(rows, start):
    """The last register reading of each block; one at a block's very end closes it."""
    last = {}
    for row in rows:
        if row["energy_import_kwh"] is not None:
            number = -((start - row["at"]) // BLOCK)  # rounds up: 00:15:00 is block 1's
            last[number] = row
    return [last[number] for number in sorted(last)]


def beyond(rows, start, rated, share):
    """More than `share` of what the rated power allows, above the four closing readings before."""
    ends = closings(rows, start)
    steps = []
    for n in range(1, len(ends)):
        before = max(one["energy_import_kwh"] for one in ends[max(n - 4, 0) : n])
        steps.append(
            {
                "at": ends[n - 1]["at"],
                "end": ends[n]["at"],
                "gain": ends[n]["energy_import_kwh"] - before,
            }
        )

    def judge(step):
        can = rated * ((step["end"] - step["at"]) / timedelta(hours=1))
        on = step["gain"] > share * can + max(1.0, rated / 30)
        return on, not on, step["gain"] / can

    return [("", one[0], one[1], False, one[3]) for one in walk(steps, judge, 0.0, worst=max)]


def gaps(days, *, wholly, share=0.05, least=1.0):
    """Days are dicts with `at`, `end`, `above` and `below`; None: not known."""

    def judge(day):
        if day["above"] is None or day["below"] is None:
            return None
        loss = day["above"] - day["below"]
        most = max(least, share * abs(day["above"]))
        on = loss < -most or (wholly and loss > most)
        return on, not on, abs(loss) / abs(day["above"])

    return [("", *one) for one in walk(days, judge, 7200.0, worst=max)]


def usual(kwh, day, weeks_back):
    """Mean of a weekday over the four weeks before the week that ends `weeks_back`."""
    same = [kwh.get(day - timedelta(days=7 * k)) for k in range(1, 5)]
    known = [one for one in same if one is not None]
    return sum(known) / len(known) if len(known) >= weeks_back else None


def week(kwh, day):
    """Return (mean of the week, of the usual one, ratio of each day), or None: not known."""
    days = [day - timedelta(days=n) for n in range(7)]
    now = [kwh.get(one) for one in days]
    before = [usual(kwh, one, 2) for one in days]
    if None in now or None in before:
        return None
    ratios = [a / b if b else float("inf") for a, b in zip(now, before, strict=True)]
    return sum(now) / 7, sum(before) / 7, ratios


def sudden_rise(kwh, day, share):
    told = week(kwh, day)
    return told is not None and told[1] > 0 and told[0] > share * told[1]


def jumps(kwh, share=0.05, daily=0.2, most=5, clear=0.25):
    """Return the days on which a jump by a whole number is open."""
    found, open_ = set(), False
    for day in sorted(kwh):
        told = week(kwh, day)
        if told is None:
            open_ = False
            continue
        now, before, ratios = told
        if before <= 0 or now <= 0:
            found |= {day} if open_ else set()
            continue
        ratio = now / before
        times = max(ratio, 1 / ratio)
        whole = min(range(1, 100), key=lambda n: abs(times - n))
        near = 2 <= whole <= most and abs(times / whole - 1) <= share
        even = max(ratios) <= ratio * (1 + daily) and min(ratios) >= ratio * (1 - daily)
        if near and even:
            open_ = True
        elif abs(ratio - 1) < clear:
            open_ = False
        if open_:
            found.add(day)
    return found
