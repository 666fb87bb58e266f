"""Shared looks of the charts (ECharts): colours, axes, marks; keys with `:` are JavaScript.

`dwPx(n)` is n root font sizes in pixels, so charts grow with the screen as the text does.
"""

from typing import Any

Options = dict[str, Any]

LOAD, PAST, OVER, DOUBT = "#62d2c3", "#6d8294", "#ff5b52", "#f5b83d"
TEXT, SOFT, LINE, PANEL = "#f1f5f8", "#a9bac8", "#22303d", "#111921"
FONT = {
    "fontFamily": "Inter, 'Segoe UI', 'Noto Sans CJK SC', 'Noto Sans SC', 'Microsoft YaHei', "
    "'PingFang SC', system-ui, sans-serif"
}
"""The page's fonts: a canvas does not inherit them."""
THOUSANDS = "v => v.toLocaleString('en')"


def grid(left_rem: float) -> Options:
    """Margins around the plot, root font sizes."""
    return {
        ":left": f"dwPx({left_rem})",
        ":right": "dwPx(1)",
        ":top": "dwPx(1.6)",
        ":bottom": "dwPx(1.7)",
    }


def in_unit(unit: str) -> str:
    """JavaScript that writes a value with its unit, and null as a dash."""
    return f"v => v == null ? '—' : Number(v).toLocaleString('en') + ' {unit}'"


def mark_line(where: Options, color: str, text: str, position: str, dash: str) -> Options:
    """A line across the plot at `where`, with its text; `dash` solid or dashed."""
    label = {"formatter": text, "position": position, "color": color, ":fontSize": "dwPx(.95)"}
    width = "Math.max(2, dwPx(.13))" if dash == "solid" else "Math.max(1.2, dwPx(.08))"
    return where | {
        "lineStyle": {"color": color, "type": dash, ":width": width},
        "label": label | {"show": bool(text)},
    }


def tooltip(trigger: str) -> Options:
    """The box at the pointer; `trigger` axis or item."""
    return {
        "trigger": trigger,
        "backgroundColor": "#182330",
        "borderColor": LINE,
        "textStyle": {"color": TEXT, ":fontSize": "dwPx(.9)"},
        "axisPointer": {"lineStyle": {"color": SOFT}},
    }


def axis_label() -> Options:
    """Looks of an axis' figures."""
    return {"color": SOFT, ":fontSize": "dwPx(.85)"}


def value_axis(unit: str, top: float | None) -> Options:
    """The vertical axis from zero, in `unit`; `top` None lets the chart choose."""
    return {
        "type": "value",
        "name": unit,
        "nameTextStyle": {"color": SOFT, ":fontSize": "dwPx(.85)", "align": "right"},
        ":nameGap": "dwPx(.5)",
        "min": 0,
        "max": top,
        "splitNumber": 4,
        "splitLine": {"lineStyle": {"color": LINE}},
        "axisLabel": axis_label() | {":formatter": THOUSANDS, "showMaxLabel": top is None},
    }
