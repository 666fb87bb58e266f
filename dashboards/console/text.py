"""Figures as people read them: units, dashes for what is not known, local times; pure."""

from datetime import date, datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

DASH = "—"
"""What is not known. Never a zero."""


def figure(value: float | None, digits: int = 0) -> str:
    """Return a number with thousands separators, or a dash."""
    return DASH if value is None else f"{value:,.{digits}f}"


def scaled(value: float | None, unit: str) -> tuple[str, str]:
    """Return figure and unit; kW and kWh become MW and MWh from a hundred thousand."""
    if value is None:
        return DASH, unit
    if abs(value) >= 100_000:
        return f"{value / 1000:,.1f}", unit.replace("k", "M", 1)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}", unit


def percent(ratio: float | None, digits: int = 1) -> str:
    """Return a ratio as a percentage, rounded down below 100 % so that 99.97 is not 100."""
    if ratio is None:
        return DASH
    step = 10**digits
    whole = ratio * 100
    cut = int(whole * step + 1e-9) / step if 0 <= whole < 100 else round(whole, digits)
    return f"{cut:.{digits}f} %"


def local(instant: datetime | None, timezone: str, form: str = "%m-%d %H:%M") -> str:
    """Return an instant in a time zone, or a dash."""
    return DASH if instant is None else instant.astimezone(ZoneInfo(timezone)).strftime(form)


def span(seconds: float | None) -> str:
    """Return a duration in its largest two units, e.g. `3 min 20 s`, or a dash."""
    if seconds is None:
        return DASH
    total = int(max(seconds, 0.0))
    for size, name, below, small in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if total >= size:
            rest = total % size // below
            return f"{total // size} {name} {rest} {small}" if rest else f"{total // size} {name}"
    return f"{total} s"


def countdown(left: timedelta | None) -> str:
    """Return minutes and seconds `mm:ss`, or a dash."""
    if left is None:
        return DASH
    seconds = int(max(left.total_seconds(), 0.0))
    return f"{seconds // 60:02d}:{seconds % 60:02d}"


def days(start: date, end: date) -> str:
    """Return a half-open span of days with its last day."""
    return f"{start:%Y-%m-%d} … {end - timedelta(days=1):%Y-%m-%d}"


def tag(words: str, look: str = "") -> str:
    """Return a small label as HTML."""
    return f'<span class="tag {look}">{escape(words)}</span>'
