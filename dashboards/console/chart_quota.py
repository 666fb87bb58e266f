"""A quota's burn-down, of a month or a year, as a chart (ECharts options); pure dictionaries."""

from zoneinfo import ZoneInfo

from dashboards.console.chart_style import (
    FONT,
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
from processors.terms import Span


def burn_down(quota: Quota, timezone: str, t: Words) -> Options:
    """Return the span's cumulative energy against its quota, with the projected crossing, kWh.

    The x axis counts days elapsed: 1 is the end of the first day.
    """
    top = max(quota.quota_kwh, quota.projected_high_kwh or 0.0, quota.energy_kwh or 0.0) * 1.15
    pace = [[0.0, 0.0], *_path(quota, "pace_kwh")]
    return {
        "animation": False,
        "textStyle": FONT,
        "grid": grid(4.6),
        "tooltip": tooltip("axis") | {":valueFormatter": in_unit("kWh")},
        "xAxis": _days(quota.length),
        "yAxis": value_axis("kWh", float(f"{top:.2g}")),
        "series": [
            _straight(t("even_pace"), pace, PAST, "dotted"),
            _bound(_ahead(quota, "low_kwh"), t),
            _bound(_ahead(quota, "high_kwh"), t),
            _straight(t("projected"), _ahead(quota, "projected_kwh"), TEXT, "dashed"),
            _stated(quota, timezone, t),
        ],
    }


Points = list[list[float]]


def _path(quota: Quota, name: str) -> Points:
    """The known ends of days of one of the curves."""
    rows = quota.curve.select("day", name).drop_nulls()
    return [[(day - quota.month).days + 1, round(kwh, 1)] for day, kwh in rows.iter_rows()]


def _so_far(quota: Quota) -> Points:
    """The ends of the days that are over, and where the span stands now."""
    now = quota.elapsed(quota.at)
    past = [point for point in _path(quota, "energy_kwh") if point[0] <= now]
    if quota.energy_kwh is None:
        return past
    return [*past, [round(now, 3), round(quota.energy_kwh, 1)]]


def _ahead(quota: Quota, name: str) -> Points:
    """The way from where the span stands to its projected end."""
    now = quota.elapsed(quota.at)
    path = [point for point in _path(quota, name) if point[0] > now]
    return [*_so_far(quota)[-1:], *path] if path else []


def _straight(name: str, data: Points, color: str, dash: str) -> Options:
    return {
        "name": name,
        "type": "line",
        "showSymbol": False,
        "data": data,
        "color": color,
        "lineStyle": {"type": dash, ":width": "Math.max(1.6, dwPx(.1))"},
        "silent": True,
    }


def _bound(data: Points, t: Words) -> Options:
    return _straight(t("range"), data, SOFT, "dotted")


def _stated(quota: Quota, timezone: str, t: Words) -> Options:
    text = f"{t('quota_' + quota.span)} {quota.quota_kwh:,.0f} kWh"
    lines = [mark_line({"yAxis": quota.quota_kwh}, OVER, text, "insideStartTop", "solid")]
    if quota.crosses_at is not None:
        form = "%m-%d %H:%M" if quota.span is Span.MONTH else "%m-%d"
        label = quota.crosses_at.astimezone(ZoneInfo(timezone)).strftime(form)
        where: Options = {"xAxis": round(quota.elapsed(quota.crosses_at), 3)}
        lines.append(mark_line(where, OVER, label, "end", "dashed"))
    return _straight(t("cumulative"), [[0.0, 0.0], *_so_far(quota)], LOAD, "solid") | {
        "lineStyle": {":width": "Math.max(2.6, dwPx(.16))"},
        "areaStyle": {"opacity": 0.13},
        "markLine": {"symbol": "none", "silent": True, "animation": False, "data": lines},
    }


def _days(length: int) -> Options:
    return {
        "type": "value",
        "min": 0,
        "max": length,
        "interval": 5 if length <= 31 else 30,
        "splitLine": {"show": False},
        "axisLine": {"lineStyle": {"color": LINE}},
        "axisLabel": axis_label(),
    }
