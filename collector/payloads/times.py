"""When a message says it was measured, as what the rows understand. Pure."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from collector.payloads.mapping import TimeRule
from collector.reason import Reason

_SHORTEST = len("20261122T0815")  # of ISO 8601 with hours and minutes: a date alone is no time
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def told(rule: TimeRule, value: object, zone: str) -> object | Reason:
    """Return ISO 8601 with offset or milliseconds since 1970 UTC, or why there is none.

    Args:
        rule: how the mapping says the time is written.
        value: what the message holds; None: nothing.
        zone: of a wall clock without offset.
    """
    if value is None:
        return Reason.NO_TIME
    if rule.format == "local":
        return _local(rule.pattern, value, zone)
    if rule.format == "iso":
        return value
    if type(value) not in (int, float):
        return Reason.BAD_TIME
    return value if rule.format == "epoch_ms" else value * 1000  # type: ignore[operator]  # a number


def milliseconds(at: datetime) -> float:
    """Return milliseconds since 1970 UTC, exact to the microsecond until the year 2255."""
    return (at - _EPOCH) / timedelta(milliseconds=1)


def _local(pattern: str, value: object, zone: str) -> object | Reason:
    """Read a wall clock; one with an offset after all needs no zone."""
    text = str(value)
    if not pattern and len(text) < _SHORTEST:
        return Reason.BAD_TIME
    try:
        at = datetime.strptime(text, pattern) if pattern else datetime.fromisoformat(text)  # noqa: DTZ007 - that it has no zone is the point
        return milliseconds(at) if at.tzinfo else _placed(at, ZoneInfo(zone))
    except (ValueError, OverflowError):  # no such time; or at the edge of the calendar
        return Reason.BAD_TIME


def _placed(wall: datetime, zone: ZoneInfo) -> float | Reason:
    """Return the one instant the zone's clocks showed `wall`."""
    first, second = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return milliseconds(first)
    back = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    return Reason.AMBIGUOUS_TIME if back == wall else Reason.BAD_TIME
