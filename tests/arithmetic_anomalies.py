"""What the examples of docs/arithmetic-anomalies.md call; not a test itself."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from anomaly_world import a_site, look, normal, readings
from policy_rows import day_rows

FIRST = date(2026, 3, 2)
HERE = ZoneInfo("Asia/Shanghai")


def found(kind, **over):
    """Phase, beginning, end (local) and worst value; wrong from minute 3 to 6."""
    told = readings([normal(n, **(over if 3 <= n <= 6 else {})) for n in range(10)])
    rows = look(told)[0].filter(kind=kind).select("phase", "since", "until", "value").rows()
    return [(phase, _clock(a), _clock(b), round(value, 3)) for phase, a, b, value in rows]


def register(kind, *kwh):
    """Beginning, end (local) and value; a register read every 15 minutes."""
    told = readings([normal(15 * n, energy_import_kwh=v) for n, v in enumerate(kwh)])
    rows = look(told)[0].filter(kind=kind).select("since", "until", "value").rows()
    return [(_clock(a), _clock(b), round(value, 3)) for a, b, value in rows]


def level(kind, kwh):
    """The day it began and its value; one figure a day."""
    days = day_rows("m", FIRST, FIRST + timedelta(days=len(kwh)), lambda d: kwh[(d - FIRST).days])
    rows = look(readings([normal(0)]), days=days)[0].filter(kind=kind)
    begun = [(since.astimezone(HERE).date() - FIRST).days for since in rows["since"]]
    return [(f"day {n}", round(v, 3)) for n, v in zip(begun, rows["value"], strict=True)]


def sought(kind, **facts):
    """How many readings were judged, and why none."""
    told = look(readings([normal(n) for n in range(3)]), [a_site({"id": "m"} | facts)])[1]
    return told.filter(kind=kind).select("judged", "reason").row(0)


def _clock(instant):
    return instant and f"{instant.astimezone(HERE):%H:%M}"


HELPERS = {"found": found, "register": register, "level": level, "sought": sought}
