"""The meter's own clock: local time in packed digits, and how far it is from ours; pure.

A meter keeps the local time of its site, two digits of the year, no offset. The date is one item
(04000101: YYMMDDWW) and the time another (04000102: hhmmss); both travel last digits first. The
weekday is not used: makers count it differently.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from collector.dlt645.bcd import NotBcdError, pairs

DATE, TIME = 0x04000101, 0x04000102
_MIDNIGHT_S = 120
_DAY_S = 86_400


def minute(raw: bytes, zone: ZoneInfo) -> datetime | None:
    """Return the instant of five bytes `mm hh DD MM YY`; None if there is none (00H or FFH).

    An hour that the zone has twice is taken as the first.

    Raises:
        NotBcdError: the digits are no time.
    """
    if len(raw) == 5 and (not any(raw) or raw == b"\xff" * 5):
        return None
    if len(raw) != 5:
        raise NotBcdError(f"{raw.hex(' ')} is no YYMMDDhhmm")
    mm, hh, day, month, year = pairs(raw)
    return _local(zone, year, month, day, hh, mm, 0).astimezone(UTC)


def minute_bytes(at: datetime | None, zone: ZoneInfo) -> bytes:
    """Return the inverse of `minute`."""
    if at is None:
        return bytes(5)
    return bytes.fromhex(f"{at.astimezone(zone):%M%H%d%m%y}")


def clock_bytes(at: datetime, zone: ZoneInfo) -> dict[int, bytes]:
    """Return what a meter whose clock shows `at` answers to DATE and TIME."""
    local = at.astimezone(zone)
    return {
        DATE: bytes.fromhex(f"{local:%w}".zfill(2) + f"{local:%d%m%y}"),
        TIME: bytes.fromhex(f"{local:%S%M%H}"),
    }


def offset_s(date: bytes, time: bytes, at_us: int, zone: ZoneInfo) -> float | None:
    """Return how many seconds the meter's clock is ahead of ours.

    Args:
        date: answer to DATE.
        time: answer to TIME, asked for after it.
        at_us: our time at which the meter read its clock, the middle of the second exchange:
            microseconds since 1970 UTC.
        zone: in which the meter's clock runs; of an hour that it has twice, the nearer is meant.

    Returns:
        Seconds, good to half the exchange's duration and the second that the meter cuts off; None
        within two minutes of the meter's midnight, when date and time may be of two days.

    Raises:
        NotBcdError: the digits are no date or no time.
    """
    if len(date) != 4 or len(time) != 3:
        raise NotBcdError(f"{date.hex(' ')} is no YYMMDDWW, or {time.hex(' ')} no hhmmss")
    _, day, month, year = pairs(date)
    ss, mm, hh = pairs(time)
    shown = _local(zone, year, month, day, hh, mm, ss)
    second = 3600 * hh + 60 * mm + ss
    if not _MIDNIGHT_S <= second < _DAY_S - _MIDNIGHT_S:
        return None
    ahead = [shown.replace(fold=fold).timestamp() - at_us / 1e6 for fold in (0, 1)]
    # the meter shows whole seconds, cut off: on average it is half a second further
    return min(ahead, key=abs) + 0.5


def _local(zone: ZoneInfo, yy: int, month: int, day: int, hh: int, mm: int, ss: int) -> datetime:
    try:
        return datetime(2000 + yy, month, day, hh, mm, ss, tzinfo=zone)
    except ValueError as error:
        shown = f"{yy:02}-{month:02}-{day:02} {hh:02}:{mm:02}:{ss:02}"
        raise NotBcdError(f"{shown} is no time: {error}") from error
