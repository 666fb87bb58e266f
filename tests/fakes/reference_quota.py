"""A quota's projection in plain Python: one meter, whole days, Saturday and Sunday rest."""

import math
from datetime import date, timedelta
from itertools import pairwise


def habit(energy: dict[date, float], until: date, lookback: int) -> tuple[list, list, float]:
    days = [until - timedelta(days=n) for n in range(lookback, 0, -1)]
    means, variances = [], []
    for rest in (False, True):
        own = [energy[day] for day in days if (day.weekday() >= 5) == rest]
        mean = sum(own) / len(own)
        means.append(mean)
        variances.append(sum((one - mean) ** 2 for one in own) / (len(own) - 1))
    left = [energy[day] - means[day.weekday() >= 5] for day in days]
    weeks = [sum(left[n : n + 7]) / 7 for n in range(0, lookback, 7)]
    steps = [(after - before) ** 2 for before, after in pairwise(weeks)]
    return means, variances, 1.5 * sum(steps) / len(steps)


def forecast(energy, until: date, days: int, lookback: int = 28) -> list[tuple[float, float]]:
    """Return energy and standard error from `until` to the end of each of the next days."""
    means, variances, drift = habit(energy, until, lookback)
    found, total, scatter = [], 0.0, 0.0
    for n in range(1, days + 1):
        rest = (until + timedelta(days=n - 1)).weekday() >= 5
        total += means[rest]
        scatter += variances[rest]
        walk = n * n * drift * (lookback / 7 + n / 7) / 3
        found.append((total, math.sqrt(scatter + walk)))
    return found


def multiple(energy, until: date, horizon: int, lookback: int = 28) -> float:
    """Return how many standard errors hold four of five past forecasts over `horizon` days."""
    oldest, scores = min(energy), []
    start = until - timedelta(days=7)
    while start - timedelta(days=lookback) >= oldest:
        if start + timedelta(days=horizon) <= until:
            came = sum(energy[start + timedelta(days=n)] for n in range(horizon))
            total, error = forecast(energy, start, horizon, lookback)[-1]
            scores.append(abs(came - total) / error)
        start -= timedelta(days=7)
    if len(scores) < 8:
        return 1.2816
    return sorted(scores)[min(math.ceil(0.8 * (len(scores) + 1)), len(scores)) - 1]


def crossing_multiple(energy, until: date, share: float, left: int, lookback: int = 28) -> float:
    """Return how many standard errors hold four of five past days at which a share was used up."""
    oldest, scores = min(energy), []
    start = until - timedelta(days=7)
    while start - timedelta(days=lookback) >= oldest:
        path = forecast(energy, start, left, lookback)
        level, total, score = share * path[-1][0], 0.0, None
        if start + timedelta(days=left) <= until:
            for n in range(left):
                total += energy[start + timedelta(days=n)]
                if total > level:  # on day n: early enough by its end, not before its beginning
                    score = (level - path[n][0]) / path[n][1]
                    if n > 0:
                        score = max(score, (path[n - 1][0] - level) / path[n - 1][1])
                    break
            else:
                score = (path[-1][0] - level) / path[-1][1]
            scores.append(max(score, 0.0))
        start -= timedelta(days=7)
    if len(scores) < 8:
        return 1.2816
    return sorted(scores)[min(math.ceil(0.8 * (len(scores) + 1)), len(scores)) - 1]


def account(energy, today: date, quota: float) -> dict:
    """Return a month's account at the first instant of `today`.

    `crossings` are days from the 1st; the bounds' are whole.
    """
    first = today.replace(day=1)
    end = (first + timedelta(days=31)).replace(day=1)
    used = 0.0
    paths = {"low": [], "at": [], "high": [], "late": [], "early": []}
    for n in range((today - first).days):
        used += energy[first + timedelta(days=n)]
        for path in paths.values():
            path.append(used)
    floors = [used, used]
    left = (end - today).days
    ahead = forecast(energy, today, left)
    own = crossing_multiple(energy, today, (quota - used) / ahead[-1][0], left)
    for n, (total, error) in enumerate(ahead, 1):
        for k, (low, high, m) in enumerate(
            (("low", "high", multiple(energy, today, n)), ("late", "early", own))
        ):
            floors[k] = max(floors[k], used + total - m * error)
            paths[low].append(floors[k])
            paths[high].append(used + total + m * error)
        paths["at"].append(used + total)
    late = crossing(paths["late"], quota)
    early = crossing(paths["early"], quota)
    return {
        "used": used,
        "bounds": tuple(paths[name][-1] for name in ("low", "at", "high")),
        "crossings": [
            early if early is None or used > quota else math.floor(early),
            crossing(paths["at"], quota),
            late if late is None or used > quota else math.floor(late) + 1 - 1 / 86400,
        ],
    }


def crossing(path: list[float], quota: float) -> float | None:
    before = 0.0
    for n, value in enumerate(path):
        if value > quota:
            return n + (quota - before) / (value - before)
        before = value
    return None


def season_weight(energy, day: date, today: date, lookback: int = 28) -> float | None:
    """Return a day's season by the year before; None: not known, or another use."""

    def mean(first: date, after: date) -> float | None:
        span = [first + timedelta(days=n) for n in range((after - first).days)]
        known = [energy[one] for one in span if one in energy]
        return sum(known) / len(known) if len(known) >= 0.75 * len(span) else None

    before = day - timedelta(weeks=52)
    about = mean(before - timedelta(days=14), min(before + timedelta(days=15), today))
    start = today - timedelta(days=lookback, weeks=52)
    base = mean(start, start + timedelta(days=lookback))
    if about is None or not base:
        return None
    return about / base if 1 / 3 <= about / base <= 3 else None
