"""Metering anomalies told as plainly as possible: one meter, one kind and one reading at a time.

Slow on purpose: the judge of `processors.anomalies`. Shares no code with it. A row is a dict; what
is returned are tuples (phase, since, until, since_is_bound, value).
"""

from datetime import timedelta
from itertools import pairwise
from statistics import median

EPS = 1e-6


def under(value, limit):
    return value is not None and value < limit - 1e-9


def over(value, limit):
    return value is not None and value > limit + 1e-9


def others(phase):
    return [one for one in "abc" if one != phase]


def share(row, name, base):
    return None if row[name] is None else abs(row[name]) / base


def volts(row, phase, un):
    value = row[f"voltage_{phase}_v"]
    return None if value is None else value / un


def amps(row, phase, ib):
    return share(row, f"current_{phase}_a", ib)


def most(values):
    known = [one for one in values if one is not None]
    return max(known) if known else None


def told(row, names):
    return all(row[name] is not None for name in names)


def walk(rows, judge, pause_s, delay_s=0.0, worst=min):
    """Follow one state through rows; `judge` returns (begins, ends, value), or None: not told.

    Rows are dicts with `at` and `end`.
    """
    found, state, before, current = [], False, None, None

    def close(until):
        nonlocal current
        if (current["last"] - current["since"]).total_seconds() >= delay_s:
            found.append((current["since"], until, current["bound"], worst(current["values"])))
        current = None

    for row in rows:
        answer = judge(row)
        if answer is None:
            continue
        begins, ends, value = answer
        fresh = before is None or (row["at"] - before["end"]).total_seconds() > pause_s
        if fresh and current:
            close(before["end"])
        if fresh:
            state = False
        if begins:
            state = True
        elif ends:
            state = False
        if state and current is None:
            current = {"since": row["at"], "bound": fresh, "values": []}
        if state:
            current["values"].append(value)
            current["last"] = row["end"]
        elif current:
            close(row["at"])
        before = row
    if current:
        close(None)
    return found


def loss_of_voltage(rows, un, ib, pause_s):
    found = []
    for phase in "abc":

        def judge(row, phase=phase):
            if not told(row, (f"voltage_{phase}_v", f"current_{phase}_a")):
                return None
            u, i = volts(row, phase, un), amps(row, phase, ib)
            dead = under(most(volts(row, p, un) for p in "abc"), 0.78)
            dead = dead and not over(most(amps(row, p, ib) for p in "abc"), 0.005)
            return under(u, 0.78) and over(i, 0.005), over(u, 0.85) or dead, u

        found += [(phase, *one) for one in walk(rows, judge, pause_s, 60)]
    return found


def phase_failure(rows, un, ib, pause_s):
    found = []
    for phase in "abc":

        def judge(row, phase=phase):
            if not told(row, (f"voltage_{phase}_v", f"current_{phase}_a")):
                return None
            u, i = volts(row, phase, un), amps(row, phase, ib)
            beside = most(volts(row, p, un) for p in others(phase))
            alive = beside is not None and not under(beside, 0.6)
            on = under(u, 0.6) and under(i, 0.005) and alive
            return on, not on, u

        found += [(phase, *one) for one in walk(rows, judge, pause_s, 60)]
    return found


def loss_of_current(rows, un, ib, pause_s):
    found = []
    for phase in "abc":

        def judge(row, phase=phase):
            if not told(row, (f"voltage_{phase}_v", f"current_{phase}_a")):
                return None
            u, i = volts(row, phase, un), amps(row, phase, ib)
            beside = most(amps(row, p, ib) for p in others(phase))
            loaded = over(beside, 0.05)
            return over(u, 0.7) and under(i, 0.005) and loaded, over(i, 0.05) or not loaded, i

        found += [(phase, *one) for one in walk(rows, judge, pause_s, 60)]
    return found


def reverse_power(rows, pb, pause_s):
    found = []
    for phase, name in (("", "power_kw"), *((p, f"power_{p}_kw") for p in "abc")):

        def judge(row, name=name):
            if row[name] is None:
                return None
            value = row[name] / pb
            return under(value, -0.005), not under(value, -0.005), value

        found += [(phase, *one) for one in walk(rows, judge, pause_s, 60)]
    return found


def of_each(rows, names, base, limit, pause_s, *, below=False, alive=lambda row: True):
    """One value against one limit: under- and overvoltage, overcurrent, overload."""
    found = []
    for phase, name in names:

        def judge(row, name=name, phase=phase):
            if row[name] is None:
                return None
            value = row[name] / (base[phase] if isinstance(base, dict) else base)
            value = abs(value) if name.startswith("current") else value
            on = under(value, limit) and alive(row) if below else over(value, limit)
            return on, not on, value

        runs = walk(rows, judge, pause_s, 60, min if below else max)
        found += [(phase, *one) for one in runs]
    return found


def power_factor(rows, basic_kw, limit, least, pause_s):
    def judge(row):
        power, kvar, factor = row["power_kw"], row["reactive_power_kvar"], row["power_factor"]
        if power is not None and kvar is not None:
            load = (power**2 + kvar**2) ** 0.5
        elif power is not None and factor:
            load = abs(power) / abs(factor)
        else:
            return None
        if factor is None:
            if load == 0:
                return None
            factor = power / load
        on = under(abs(factor), limit) and not under(load / basic_kw, least)
        return on, not on, abs(factor)

    return [("", *one) for one in walk(rows, judge, pause_s, 60)]


def unbalance(rows, names, base, least, rate, pause_s):
    def judge(row):
        if not told(row, names):
            return None
        values = sorted(abs(row[name]) for name in names)
        top = values[-1]
        value = (top - values[0]) / top if top > 0 else 0.0
        on = over(value, rate) and not under(top / base, least)
        return on, not on, value

    return [("", *one) for one in walk(rows, judge, pause_s, 60, max)]


def decrease(rows, modulus=None, rated=100_000.0, changes=()):
    """Each fall of the register; consecutive falls are one episode."""
    registers = [row for row in rows if row["energy_import_kwh"] is not None]
    found, open_ = [], None
    for was, now in pairwise(registers):
        changed = any(was["at"] < at <= now["at"] for at in changes)
        if changed:
            continue
        fall = was["energy_import_kwh"] - now["energy_import_kwh"]
        hours = (now["at"] - was["at"]) / timedelta(hours=1)
        can = 1.2 * rated * hours + max(1.0, rated / 30.0)
        rolled = (
            modulus is not None and was["energy_import_kwh"] <= modulus and modulus - fall <= can
        )
        if fall > EPS and not rolled:
            open_ = open_ or {"since": now["at"], "falls": []}
            open_["falls"].append(fall)
        elif open_:
            found.append(("", open_["since"], now["at"], False, max(open_["falls"])))
            open_ = None
    if open_:
        found.append(("", open_["since"], None, False, max(open_["falls"])))
    return found


def stop(blocks, hours, least_kwh):
    """Blocks are dicts with `energy_kwh` and `told_kwh` (None: not told)."""
    found = []

    def judge(block):
        if block["energy_kwh"] is None or block["told_kwh"] is None:
            return None
        on = block["energy_kwh"] <= EPS and block["told_kwh"] > 0
        return on, not on, 0

    runs = walk(blocks, judge, 0.0)
    judged = [b for b in blocks if judge(b) is not None]
    for since, until, bound, _ in runs:
        inside = [b for b in judged if since <= b["at"] and (until is None or b["end"] <= until)]
        told_kwh = sum(b["told_kwh"] for b in inside)
        length = 0.25 * len(inside)
        if length >= hours and told_kwh >= least_kwh:
            found.append(("", since, until, bound, length))
    return found


def sudden_drop(kwh, day):
    """`kwh` by date (None: not known); return the mean of the week over that before, or None."""
    week = [kwh.get(day - timedelta(days=n)) for n in range(7)]
    before = []
    for n in range(7):
        same = [kwh.get(day - timedelta(days=n + 7 * k)) for k in range(1, 5)]
        known = [one for one in same if one is not None]
        if len(known) < 2:
            return None
        before.append(sum(known) / len(known))
    if None in week or sum(before) == 0:
        return None
    return (sum(week) / 7) / (sum(before) / 7)


def zero_use(kwh, first, days, least_median):
    """Return (first day, days) of each run of zeros that counts."""
    found, run = [], []
    last = max(kwh)
    day = first
    while day <= last + timedelta(days=1):
        if kwh.get(day) == 0:
            run.append(day)
        elif run:
            past = [kwh.get(run[0] - timedelta(days=n)) for n in range(1, 31)]
            known = [one for one in past if one is not None]
            if len(known) >= 15 and median(known) > least_median and len(run) >= days:
                found.append((run[0], len(run)))
            run = []
        day += timedelta(days=1)
    return found
