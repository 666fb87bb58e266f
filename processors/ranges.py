"""How wide each site's range must be, learned once a day from a long history. Pure."""

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

import polars as pl

from collector.site import Site
from processors.calendar import Calendar
from processors.calibration import Range
from processors.sheet import sheets
from processors.terms import Terms


def learn(
    days: pl.DataFrame,
    sites: Iterable[Site],
    now: datetime,
    lookback_days: int = 28,
    calendar: Calendar | None = None,
) -> dict[str, Range]:
    """Learn the ranges of the monthly accounts stated on the local day of `now`.

    Args:
        days: DAY rows of the main meters from `processors.calibration.history_from` on; those of
            the day and later ones are ignored.
        sites: those without a main meter, or a monthly quota in force, are left out.
        now: any instant of the day.
        lookback_days: history a projection rests on.
        calendar: day types the bureau tells.
    """
    held = list(sites)
    found: dict[str, Range] = {}
    for zone in {one.timezone for one in held}:
        before = days.filter(pl.col("day") < now.astimezone(ZoneInfo(zone)).date())
        terms = Terms(now, lookback_days, calendar=calendar)
        for sheet in sheets(before, [one for one in held if one.timezone == zone], terms):
            of = sheet.range
            found |= {one.id: Range(*(part[n] for part in of)) for n, one in enumerate(sheet.sites)}
    return found
