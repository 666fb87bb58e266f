"""The load curve as a chart (ECharts options); pure dictionaries, keys with `:` are JavaScript."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from dashboards.console.chart_style import (
    DOUBT,
    FONT,
    LINE,
    LOAD,
    OVER,
    PANEL,
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
from dashboards.view_site import Running
from processors.interval import Quality

_DOUBTFUL = 0.95
"""Coverage below which a point is marked: part of the load was not measured."""


def load_curve(
    today: pl.DataFrame,
    yesterday: pl.DataFrame,
    at: datetime,
    t: Words,
    contract_kw: float | None = None,
    running: Running | None = None,
    until: datetime | None = None,
) -> Options:
    """Return the 96-point load curve of CURVE `today` over `yesterday`, kW.

    `at` is the present; `until` the instant up to which blocks have arrived (None: `at`).

    Null blocks are gaps, never zero; estimated or partly covered blocks carry an amber ring.
    """
    labels = today["label"].to_list()
    series = [
        _gaps(today, until or at),
        _above(today, contract_kw, t),
        _line(t("yesterday"), _aligned(yesterday, labels), PAST, 1.6),
        _line(t("today"), _rounded(today), LOAD, 2.6) | _today_marks(today, at, contract_kw, t),
        _doubts(today, t),
        _projection(today, running, t),
    ]
    return {
        "animation": False,
        "textStyle": FONT,
        "grid": grid(3.6),
        "tooltip": tooltip("axis") | {":valueFormatter": in_unit("kW")},
        "xAxis": _category(labels),
        "yAxis": [value_axis("kW", _top(contract_kw, today, yesterday)), _hidden()],
        "series": series,
    }


def _top(contract_kw: float | None, *curves: pl.DataFrame) -> float | None:
    """Keep the contract line inside the plot; None lets the chart choose."""
    peaks = [peak for rows in curves if isinstance(peak := rows["demand_kw"].max(), float)]
    if contract_kw is None or max(peaks, default=0.0) > contract_kw:
        return None
    return contract_kw * 1.15


def _rounded(rows: pl.DataFrame) -> list[float | None]:
    return rows["demand_kw"].round(1).to_list()


def _aligned(rows: pl.DataFrame, labels: Sequence[str]) -> list[float | None]:
    """Put another day's values on this day's labels; a clock change leaves a gap or drops some."""
    by_label = dict(zip(rows["label"], _rounded(rows), strict=True))
    return [by_label.get(label) for label in labels]


def _line(name: str, values: list[float | None], color: str, width: float) -> Options:
    return {
        "name": name,
        "type": "line",
        "step": "middle",
        "showSymbol": False,
        "connectNulls": False,
        "data": values,
        "color": color,
        "lineStyle": {":width": f"Math.max({width}, dwPx({width / 16}))"},
        "emphasis": {"disabled": True},
        "silent": True,
    }


def _today_marks(today: pl.DataFrame, at: datetime, contract_kw: float | None, t: Words) -> Options:
    ended = today.filter(pl.col("end") <= at)
    known = ended.drop_nulls("demand_kw")
    lines: list[Options] = []
    if contract_kw:
        text = f"{t('contract_demand')} {contract_kw:,.0f} kW"
        lines.append(mark_line({"yAxis": contract_kw}, OVER, text, "insideEndTop", "solid"))
    running = today.filter((pl.col("start") <= at) & (pl.col("end") > at))
    if running.height:
        lines.append(mark_line({"xAxis": running["label"][0]}, SOFT, "", "end", "dashed"))
    peaks: list[Options] = []
    if known.height:
        peak = known.row(int(known["demand_kw"].arg_max() or 0), named=True)
        label = f"{peak['demand_kw']:,.0f} kW · {peak['label']}"
        peaks = [{"coord": [peak["label"], peak["demand_kw"]], "label": {"formatter": label}}]
    return {
        "areaStyle": {"opacity": 0.13},
        "markLine": {"symbol": "none", "silent": True, "animation": False, "data": lines},
        "markPoint": {
            "symbol": "circle",
            ":symbolSize": "dwPx(.5)",
            "silent": True,
            "itemStyle": {"color": TEXT},
            "label": {
                "position": "top",
                "color": TEXT,
                ":fontSize": "dwPx(.95)",
                "backgroundColor": PANEL,
                "padding": [2, 5],
                "borderRadius": 4,
            },
            "data": peaks,
        },
    }


def _gaps(today: pl.DataFrame, at: datetime) -> Options:
    """Shade the ended blocks nobody measured."""
    gap = pl.when(pl.col("demand_kw").is_null() & (pl.col("end") <= at)).then(1.0)
    stripes = {
        "symbol": "rect",
        "dashArrayX": [1, 0],
        "dashArrayY": [2, 5],
        "rotation": -0.785,
        "color": "rgba(160,180,196,.5)",
    }
    return {
        "type": "bar",
        "yAxisIndex": 1,
        "barWidth": "101%",
        "barGap": "-100%",
        "silent": True,
        "tooltip": {"show": False},
        "itemStyle": {"color": "rgba(120,140,158,.13)", "decal": stripes},
        "data": today.select(gap.alias("gap"))["gap"].to_list(),
    }


def _doubts(today: pl.DataFrame, t: Words) -> Options:
    """Ring the points that are estimated or partly covered."""
    estimated = pl.col("quality") == Quality.ESTIMATED.value
    doubtful = pl.col("demand_kw").is_not_null() & (estimated | (pl.col("coverage") < _DOUBTFUL))
    rows = today.filter(doubtful)
    return {
        "name": f"{t('estimated')} / {t('partial')}",
        "type": "scatter",
        ":symbolSize": "dwPx(.42)",
        "silent": True,
        "tooltip": {"show": False},
        "z": 5,
        "itemStyle": {"color": PANEL, "borderColor": DOUBT, ":borderWidth": "dwPx(.12)"},
        "data": list(zip(rows["label"], _rounded(rows), strict=True)),
    }


def _projection(today: pl.DataFrame, running: Running | None, t: Words) -> Options:
    """The running block's projected demand, as a hollow diamond."""
    data: list[list[object]] = []
    if running is not None and running.projected_demand_kw is not None:
        here = today.filter(start=running.block_start)
        data = [[label, round(running.projected_demand_kw, 1)] for label in here["label"]]
    over = running is not None and (running.ratio or 0.0) > 1.0
    return {
        "name": t("projected"),
        "type": "scatter",
        "symbol": "diamond",
        ":symbolSize": "dwPx(.8)",
        "silent": True,
        "z": 6,
        "itemStyle": {
            "color": "transparent",
            "borderColor": OVER if over else TEXT,
            ":borderWidth": "dwPx(.13)",
        },
        "data": data,
    }


def _above(today: pl.DataFrame, contract_kw: float | None, t: Words) -> Options:
    """Fill the blocks above the contract demand with the one colour of overrun."""
    limit = contract_kw or float("inf")
    over = pl.when(pl.col("demand_kw") > limit).then(pl.col("demand_kw").round(1))
    return {
        "name": t("contract_demand"),
        "type": "bar",
        "barWidth": "101%",
        "barGap": "-100%",
        "silent": True,
        "tooltip": {"show": False},
        "itemStyle": {"color": OVER, "opacity": 0.55},
        "data": today.select(over.alias("over"))["over"].to_list(),
    }


def _category(labels: Sequence[str]) -> Options:
    return {
        "type": "category",
        "data": list(labels),
        "axisTick": {"show": False},
        "axisLine": {"lineStyle": {"color": LINE}},
        "axisLabel": axis_label()
        | {":interval": "(i, v) => v.endsWith(':00') && v.slice(0,2)%3==0"},
    }


def _hidden() -> Options:
    return {"type": "value", "min": 0, "max": 1, "show": False}
