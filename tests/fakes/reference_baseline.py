"""The baseline of one site and event told as plainly as possible; the judge of processors.baseline.

Slow on purpose; shares no code with it. Blocks: {start: (kWh or None, coverage, estimated)}; an
event is a dict of start, end, notified_at, cut_kw, cap_kw; `rule` an object with the settings'
names.
"""

from datetime import timedelta
from zoneinfo import ZoneInfo

from fakes.reference_indices import QUARTER, starts_of

DAY = timedelta(days=1)


def quarters(start, end):
    out = []
    while start < end:
        out.append(start)
        start += QUARTER
    return out


def floor(at):
    return at - timedelta(seconds=at.timestamp() % 900)


def window(event, zone, rule):
    """Return the starts of the adjustment window; none if not all on the event's day."""
    if rule.adjust == "none":
        return []
    end = event["start"] - timedelta(hours=rule.adjust_gap_hours)
    if rule.adjust_before == "notice" and event["notified_at"] is not None:
        end = min(end, floor(event["notified_at"]))
    starts = quarters(end - timedelta(hours=rule.adjust_hours), end)
    day = event["start"].astimezone(ZoneInfo(zone)).date()
    good = all(one.astimezone(ZoneInfo(zone)).date() == day for one in starts)
    return starts if good else []


def busy_days(events, zone, beside):
    """Return {day: reason}."""
    out = {}
    for event in events:
        first = event["start"].astimezone(ZoneInfo(zone)).date()
        last = (event["end"] - QUARTER).astimezone(ZoneInfo(zone)).date()
        day = first - DAY * beside
        while day <= last + DAY * beside:
            inside = first <= day <= last
            if inside or day not in out:
                out[day] = "event_day" if inside else "beside_event"
            day += DAY
    return out


def energy_at(blocks, day, clock, zone):
    """Return (mean kWh, mean coverage, estimated) of a clock time of a day; kWh None if unknown."""
    found = [s for s in starts_of(day, zone) if s.astimezone(ZoneInfo(zone)).time() == clock]
    told = [blocks.get(one) for one in found]
    told = [one for one in told if one is not None]  # a lacking row of a doubled hour is no block
    if not told or any(one[0] is None for one in told):
        covered = sum(one[1] for one in told) / len(told) if told else 0.0
        return None, covered, False
    kwh = sum(one[0] for one in told) / len(told)
    return kwh, sum(one[1] for one in told) / len(told), any(one[2] for one in told)


def like_days(blocks, event, events, zone, kind_of, rule):
    """Return {day: (reason, energy, used)}."""
    own = event["start"].astimezone(ZoneInfo(zone)).date()
    told = event["notified_at"] and event["notified_at"].astimezone(ZoneInfo(zone)).date()
    busy = busy_days(events, zone, rule.beside_days)
    slots = quarters(event["start"], event["end"])
    hours = [*slots, *window(event, zone, rule)]
    day, out, fit = own - DAY, {}, []
    while day >= min(own, told or own) - DAY * rule.lookback_days:
        got = [placed(blocks, day, own, one, zone) for one in hours]
        covered = [blocks.get(s, (None, 0.0, False))[1] for s in starts_of(day, zone)]
        if kind_of(day) != kind_of(own):
            reason = "other_day_type"
        elif day in busy:
            reason = busy[day]
        elif told and day >= told:
            reason = "after_notice"
        elif any(one[0] is None for one in got):
            reason = "hours_missing"
        elif min(mean(covered), mean([one[1] for one in got])) < rule.min_coverage - 1e-9:
            reason = "low_coverage"
        else:
            reason = None if len(fit) < rule.of else "not_needed"
        energy = sum(one[0] or 0.0 for one in got[: len(slots)])
        out[day] = [reason, energy, False]
        if reason is None:
            fit.append(day)
        day -= DAY
    if len(fit) >= rule.of:
        for best in sorted(fit, key=lambda one: (out[one][1], one), reverse=True)[: rule.keep]:
            out[best][2] = True
    return out


def mean(values):
    return sum(values) / len(values)


def placed(blocks, day, own, start, zone):
    local = start.astimezone(ZoneInfo(zone))
    return energy_at(blocks, day + (local.date() - own), local.time(), zone)


def judge(blocks, event, events, zone, kind_of, rule, now):
    """Return [(start, unadjusted, baseline, actual, verdict, reason)]."""
    own = event["start"].astimezone(ZoneInfo(zone)).date()
    used = [d for d, one in like_days(blocks, event, events, zone, kind_of, rule).items() if one[2]]

    def base(start):
        kwh = [placed(blocks, day, own, start, zone)[0] for day in used]
        return mean(kwh) if kwh else None

    trouble, delta, ratio = None, None, None
    before = window(event, zone, rule)
    if before:
        told = [blocks.get(one, (None, 0.0, False)) for one in before]
        if any(one[0] is None or one[2] for one in told):
            trouble = "window_not_measured"
        elif used:
            actual, was = mean([one[0] for one in told]), mean([base(one) for one in before])
            delta = actual - was
            if was > 0:
                ratio = actual / was
            elif rule.adjust == "ratio":
                trouble = "window_no_load"
    out = []
    for start in quarters(event["start"], event["end"]):
        plain = base(start)
        moved = adjusted(plain, delta, ratio, trouble, rule)
        actual, _, guessed = blocks.get(start, (None, 0.0, False))
        reason = lack(event, start, now, actual, guessed, moved, trouble)
        if reason:
            verdict = "undecided"
        elif event["cap_kw"] is not None:
            verdict = "complies" if actual * 4 <= event["cap_kw"] + 1e-6 else "fails"
        else:
            enough = (moved - actual) * 4 >= event["cut_kw"] - 1e-6
            verdict = "complies" if enough else "fails"
        out.append((start, plain, moved, actual, verdict, reason))
    return out


def adjusted(plain, delta, ratio, trouble, rule):
    if plain is None or trouble or delta is None:
        return plain
    cap = rule.adjust_cap
    if rule.adjust == "ratio":
        return plain * max(1 - cap, min(1 + cap, ratio))
    return plain + max(-cap * plain, min(cap * plain, delta))


def lack(event, start, now, actual, guessed, moved, trouble):
    told, cut = event["notified_at"], event["cap_kw"] is None
    tests = (
        ("no_proof_of_notice", told is None),
        ("notified_late", told is not None and told > event["start"]),
        ("not_over", start + QUARTER > now),
        ("not_measured", actual is None),
        ("estimated", guessed),
        ("too_few_like_days", cut and moved is None),
        (trouble, cut and trouble is not None),
    )
    return next((reason for reason, holds in tests if holds), None)
