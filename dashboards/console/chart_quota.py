"""The monthly quota's burn-down as a chart (ECharts options); pure dictionaries."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from dashboards.console.chart_style import (
    LINE,
    LOAD,
    OVER,
    PAST,
    SOFT,
    TEXT,
    Options,
    axis_label,
    grid,
    in_unit,
    mark_line,
    tooltip,
    value_axis,
)
from dashboards.console.words import Words
from dashboards.view_site import Quota


def burn_down(quota: Quota, timezone: str, t: Words) -> Options:
    """Return the month's cumulative energy against its quota, with the projected crossing, kWh.

    The x axis counts days elapsed: 1 is the end of the first day.
    """
    points = [
        [_elapsed(day, quota), None if total is None else round(total, 1)]
        for day, total in quota.days.select("day", "cumulative_kwh").iter_rows()
    ]
    top = max(quota.quota_kwh, quota.projected_high_kwh or quota.projected_kwh or 0.0) * 1.12
    return {
        "animation": False,
        "grid": grid(4.6),
        "tooltip": tooltip("axis") | {":valueFormatter": in_unit("kWh")},
        "xAxis": _days(quota.length),
        "yAxis": value_axis("kWh", float(f"{top:.2g}")),
        "series": [
            _straight(t("even_pace"), [[0, 0], [quota.length, quota.quota_kwh]], PAST, "dotted"),
            _band(quota, points, low=True, t=t),
            _band(quota, points, low=False, t=t),
            _straight(t("projected"), _ahead(quota, points, quota.projected_kwh), TEXT, "dashed"),
            _cumulative(quota, points, timezone, t),
        ],
    }


def _elapsed(day: date, quota: Quota) -> int:
    return (day - quota.month).days + 1


def _ahead(quota: Quota, points: list[list[Any]], end: float | None) -> list[list[Any]]:
    """The straight way from the last known sum to the projected end of the month."""
    known = [point for point in points if point[1] is not None]
    if end is None or not known:
        return []
    return [known[-1], [quota.length, round(end, 1)]]


def _straight(name: str, data: list[list[Any]], color: str, dash: str) -> Options:
    return {
        "name": name,
        "type": "line",
        "showSymbol": False,
        "data": data,
        "color": color,
        "lineStyle": {"type": dash, "width": 1.6},
        "silent": True,
    }


def _band(quota: Quota, points: list[list[Any]], *, low: bool, t: Words) -> Options:
    end = quota.projected_low_kwh if low else quota.projected_high_kwh
    return _straight(t("range"), _ahead(quota, points, end), SOFT, "dotted") | {
        "lineStyle": {"type": "dotted", "width": 1, "opacity": 0.7},
    }


def _cumulative(quota: Quota, points: list[list[Any]], timezone: str, t: Words) -> Options:
    text = f"{t('quota_month')} {quota.quota_kwh:,.0f} kWh"
    lines = [mark_line({"yAxis": quota.quota_kwh}, OVER, text, "insideStartTop", "solid")]
    if quota.crosses_at is not None:
        when = quota.crosses_at.astimezone(ZoneInfo(timezone))
        elapsed = when.day - 1 + when.hour / 24 + when.minute / 1440
        label = f"{when:%m-%d %H:%M}"
        lines.append(
            mark_line({"xAxis": round(elapsed, 3)}, OVER, label, "insideStartBottom", "dashed")
        )
    return _straight(t("cumulative"), [[0, 0], *points], LOAD, "solid") | {
        "lineStyle": {":width": "Math.max(2.6, dwPx(.16))"},
        "areaStyle": {"opacity": 0.13},
        "connectNulls": False,
        "markLine": {"symbol": "none", "silent": True, "animation": False, "data": lines},
    }


def _days(length: int) -> Options:
    return {
        "type": "value",
        "min": 0,
        "max": length,
        "interval": 5,
        "splitLine": {"show": False},
        "axisLine": {"lineStyle": {"color": LINE}},
        "axisLabel": axis_label(),
    }
