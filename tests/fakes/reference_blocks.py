"""The arithmetic of a block told as plainly as possible, one meter and one block at a time.

Slow on purpose: the judge of `processors.blocks`. It shares no code with it.
"""

import itertools
import math
from datetime import UTC, datetime, timedelta

BLOCK = timedelta(minutes=15)
MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)
NOISE = 1e-6
LOOK = 4


def reference_blocks(readings, book):
    """Return one dict a closed block, sorted by meter and start."""
    out = []
    facts = {row["meter_id"]: row for row in book.meters.iter_rows(named=True)}
    for meter in sorted(set(readings["meter_id"])):
        mine = [r for r in readings.iter_rows(named=True) if r["meter_id"] == meter]
        points = {r["measured_at"]: r["energy_import_kwh"] for r in mine}
        series = [(t, points[t]) for t in sorted(points) if points[t] is not None]
        changes = [c for c in book.changes.iter_rows(named=True) if c["meter_id"] == meter]
        out += _meter(meter, series, facts[meter], changes)
    return out


def _limit(fact, span):
    rated = fact["rated_power_kw"] or 100_000.0
    return 1.2 * rated * span.total_seconds() / 3600 + max(1.0, rated / 30)


def _accept(series, fact):
    """Leave out readings that dipped or spiked."""
    return [
        point
        for i, point in enumerate(series)
        if not _dipped(series, i, fact) and not _spiked(series, i, fact)
    ]


def _pairs(series, i, fact):
    """Neighbours (before, after) within LOOK, the later not lower, the gain plausible."""
    for p in range(max(0, i - LOOK), i):
        for q in range(i + 1, min(len(series) - 1, p + LOOK + 1) + 1):
            (tp, vp), (tq, vq) = series[p], series[q]
            if vq - vp >= -NOISE and vq - vp <= _limit(fact, tq - tp):
                yield p, q


def _dipped(series, i, fact):
    return any(series[p][1] - series[i][1] > NOISE for p, _ in _pairs(series, i, fact))


def _spiked(series, i, fact):
    t, v = series[i]
    for p, q in _pairs(series, i, fact):
        if series[q][1] - v >= -NOISE:
            continue
        alone = p == i - 1 and q == i + 1
        leap = v - series[p][1] > _limit(fact, t - series[p][0])
        back = any(
            series[r][1] - v >= -NOISE and series[r][1] - v <= _limit(fact, series[r][0] - t)
            for r in range(q + 1, min(i + LOOK, len(series) - 1) + 1)
        )
        if (alone or leap) and not back:
            return True
    return False


def _segments(series, fact):
    """(t0, t1, e0, gain or None) of consecutive accepted readings."""
    out = []
    for (t0, e0), (t1, e1) in itertools.pairwise(series):
        gain = e1 - e0
        modulus = fact["register_modulus_kwh"]
        if gain < -NOISE:
            rolled = modulus and e0 <= modulus and gain + modulus <= _limit(fact, t1 - t0)
            gain = gain + modulus if rolled else None
        elif gain > _limit(fact, t1 - t0):
            gain = None
        out.append((t0, t1, gain))
    return out


def _floor(t):
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return t - (t - epoch) % BLOCK


def _gain(segments, start, end):
    """Energy in [start, end), None if nothing in it is stated; and whether all of it is."""
    total, stated, whole = 0.0, timedelta(0), True
    for t0, t1, gain in segments:
        overlap = min(t1, end) - max(t0, start)
        if overlap > timedelta(0):
            if gain is None:
                whole = False
            else:
                total += gain * (overlap / (t1 - t0))
                stated += overlap
    return (max(total, 0.0) if stated else None), whole


def _runs(series, changes):
    """The readings of each register: cut at every change."""
    edges = [None, *[c["at"] for c in changes], None]
    for low, high in itertools.pairwise(edges):
        yield [p for p in series if (low is None or p[0] >= low) and (high is None or p[0] < high)]


def _declared(runs, changes):
    """Each run with the declared registers at its ends, if a register was read on either side."""
    first = next(k for k, run in enumerate(runs) if run)
    last = max(k for k, run in enumerate(runs) if run)
    out = [list(run) for run in runs]
    for k, change in enumerate(changes):
        if not first <= k < last:
            continue
        final, start, at = change["final_kwh"], change["start_kwh"], change["at"]
        if final is not None and all(t != at - TICK for t, _ in out[k]):
            out[k].append((at - TICK, final))
        if start is not None and all(t != at for t, _ in out[k + 1]):
            out[k + 1].insert(0, (at, start))
    return [run for run in out if run]


def _meter(meter, series, fact, changes=()):
    if not series:
        return []
    runs = [_accept(run, fact) for run in _runs(series, changes)]
    runs = _declared(runs, changes)
    series = [point for run in runs for point in run]
    parts = [_segments(run, fact) for run in runs]
    for k, (one, other) in enumerate(itertools.pairwise(runs)):
        parts[k].append((one[-1][0], other[0][0], None))
    segments = [segment for part in parts for segment in part]
    out, start = [], _floor(series[0][0])
    while start + BLOCK <= series[-1][0]:
        out.append(_block(meter, start, segments, series, fact))
        start += BLOCK
    return out


def _block(meter, start, segments, series, fact):
    end = start + BLOCK
    gap = timedelta(seconds=fact["max_interpolation_gap_s"])
    energy, _ = _gain(segments, start, end)
    parts = [s for s in segments if s[0] < end and s[1] > start]
    measured = sum(
        (min(s[1], end) - max(s[0], start)) / BLOCK
        for s in parts
        if s[2] is not None and s[1] - s[0] <= gap
    )
    long = any(s[2] is not None and s[1] - s[0] > gap for s in parts)
    kw = None if energy is None else energy * 4
    measured = 1.0 if abs(measured - 1.0) < 1e-7 else measured
    return {
        "meter_id": meter,
        "start": start,
        "energy_kwh": energy,
        "demand_kw": kw,
        "max_demand_kw": _sliding(start, segments, series, kw),
        "coverage": measured,
        "quality": _quality(energy, long, segments, start, end),
    }


def _quality(energy, long, segments, start, end):
    if energy is None:
        return "missing"
    if long:
        return "estimated"
    for edge in (start, end):
        if any(s[0] < edge < s[1] and s[1] - s[0] > MINUTE for s in segments):
            return "interpolated"
    return "measured"


def _straddle(segments, series, t):
    """Length of the segment that holds `t`; 0 on a reading, None outside."""
    if any(at == t for at, _ in series):
        return timedelta(0)
    held = [s[1] - s[0] for s in segments if s[0] < t < s[1]]
    return held[0] if held else None


def _sliding(start, segments, series, kw):
    if kw is None:
        return None
    best = kw
    inside = [t for t, _ in series if start <= t < start + BLOCK]
    if len(inside) < 7:
        return best
    for k in range(1, 16):
        end = start + k * MINUTE
        ends = [_straddle(segments, series, t) for t in (end - BLOCK, end)]
        if any(gap is None or gap > 2 * MINUTE for gap in ends):
            continue
        clean = [s for s in segments if end - BLOCK < s[1] <= end or s[0] < end < s[1]]
        if any(s[2] is None for s in clean) or _rolls(clean, series, end - BLOCK, end):
            continue
        energy, _ = _gain(segments, end - BLOCK, end)
        best = max(best, -math.inf if energy is None else energy * 4)
    return best


def _rolls(segments, series, start, end):
    value = dict(series)
    return any(
        start < t1 <= end and gain is not None and value[t1] - value[t0] < 0
        for t0, t1, gain in segments
    )
