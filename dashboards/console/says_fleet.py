"""Reasons of a meter's state in words, for screens and tables; pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dashboards.console import text
from dashboards.console.words import LANGUAGES
from dashboards.console.words_fleet import REFUSED, WHY


def reasons(row: Mapping[str, Any], language: str) -> str:
    """Return why a meter is as it is, from its row of CONDITION; empty if all is well."""
    place = LANGUAGES.index(language)
    fields = _fields(row, place)
    told = (WHY.get(code, (code, code))[place].format_map(fields) for code in row["reasons"] or ())
    return ("；" if place == 0 else "; ").join(told)


def refused(code: str | None, language: str) -> str:
    """Return why data was rejected."""
    pair = REFUSED.get(code or "")
    return (code or text.DASH) if pair is None else pair[LANGUAGES.index(language)]


def _fields(row: Mapping[str, Any], place: int) -> dict[str, str]:
    offset, lag = row["clock_offset_s"], row["arrival_lag_s"]
    fast = (offset or 0.0) > 0
    return {
        "silent": text.span(row["silent_s"]),
        "refused": refused(row["refused_why"], LANGUAGES[place]),
        "error": row["last_error"] or text.DASH,
        "link": row["link"] or text.DASH,
        "repeats": f"{row['repeats'] or 0:,}",
        "gauges": str(row["repeating_gauges"] or 0),
        "kwh": text.figure(row["repeating_kwh"], 1),
        "standing": text.span(_lasted(row)),
        "way": (("快", "fast") if fast else ("慢", "slow"))[place],
        "offset": text.span(None if offset is None else abs(offset)),
        "lag": text.span(None if lag is None else abs(lag)),
        "every": text.span(row["every_s"]),
        "success": text.percent(row["success_hour"]),
    }


def _lasted(row: Mapping[str, Any]) -> float | None:
    since, until = row["repeating_since"], row["measured_at"]
    if not (isinstance(since, datetime) and isinstance(until, datetime)):
        return None
    return (until - since).total_seconds()
