"""Tariff periods and bills told as plainly as possible, one block at a time; shares no code."""

from zoneinfo import ZoneInfo


def guangdong_period(start, zone, hot=frozenset()):
    """The notice's own words: peak 10-12 and 14-19, valley 0-8, sharp 11-12 and 15-17 in July,
    August, September and on hot days, flat for the rest."""
    local = start.astimezone(ZoneInfo(zone))
    if local.hour < 8:
        return "valley"
    sharp_day = local.month in (7, 8, 9) or local.date() in hot
    if sharp_day and local.hour in (11, 15, 16):
        return "sharp"
    if local.hour in (10, 11, 14, 15, 16, 17, 18):
        return "peak"
    return "flat"


def hot_by_hand(readings, zone, min_c):
    """Days with any temperature of `min_c` or more; readings are (instant, celsius)."""
    return {at.astimezone(ZoneInfo(zone)).date() for at, c in readings if c >= min_c}
