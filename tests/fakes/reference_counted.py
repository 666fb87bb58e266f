"""Counted output in plain Python: day by day, counter by counter; shares no code."""

from datetime import date, timedelta

ONE = timedelta(days=1)


def production(bindings, rows, declared, start: date, end: date):
    """Return the runs (first, after, output) and the coverage of one product.

    Args:
        bindings: (meter, first day, per_count) of one product; each holds from its day on.
        rows: (meter, day) -> (count or None, blocks, blocks expected, coverage).
        declared: spans (first, after) for which the product was declared.
        start: of the period.
        end: of the period, excluded.
    """
    runs, covered, day = [], [], start
    while day < end:
        mine = [(meter, per) for meter, since, per in bindings if since <= day]
        if mine and not any(first <= day < after for first, after in declared):
            output, least, sound = 0.0, 1.0, True
            for meter, per in mine:
                count, blocks, expected, coverage = rows.get((meter, day), (None, 0, 1, 0.0))
                sound = sound and count is not None and blocks >= expected
                least = min(least, coverage)
                output += (count or 0.0) * per
            covered.append(least if sound else 0.0)
            if sound and runs and runs[-1][1] == day:
                runs[-1] = (runs[-1][0], day + ONE, runs[-1][2] + output)
            elif sound:
                runs.append((day, day + ONE, output))
        day += ONE
    return runs, (sum(covered) / len(covered) if covered else None)
