"""The Site board: one 用电单位's load curve, maximum demand, energy and coverage.

Sums count main meters only, and leave out blocks that are `missing`: no data is a gap, never 0.
"""

from grafana_foundation_sdk.builders import common, dashboard, stat, table, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphDrawStyle,
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)

from dashboards.grafana.query import SOURCE, Influx, select

UID = "demandwatch-site"
_OF_SITE = """"site_id" = '$site' AND $timeFilter"""
_KNOWN = f""""quality" <> 'missing' AND {_OF_SITE}"""
_MAIN = f""""role" = 'main' AND {_KNOWN}"""
_CURVE = select('sum("demand_kw") AS "kw"', _MAIN, "GROUP BY time(15m)")
_CONTRACT = select('last("contract_demand_kw")', "\"site_id\" = '$site'", source='"site"')
_BY_METER = 'GROUP BY time({}), "meter_id" fill(null)'


def board() -> Dashboard:
    """Return the board."""
    made = (
        dashboard.Dashboard("用电单位 · Site")
        .uid(UID)
        .description("Load curve, maximum demand, energy and coverage of one site (demandwatch).")
        .tags(["demandwatch"])
        .timezone("browser")
        .time("now-24h", "now")
        .refresh("1m")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(_choice("district", "区 · District", 'KEY = "district"'))
        .with_variable(
            _choice("site", "用电单位 · Site", """KEY = "site_id" WHERE "district" = '$district'""")
        )
    )
    for panel in (*_figures(), _load_curve(), _by_meter(), _energy(), _coverage(), _meters()):
        made = made.with_panel(panel)
    return made.build()


def _choice(name: str, label: str, which: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(f'SHOW TAG VALUES FROM "interval" WITH {which}')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )


def _figures() -> list[stat.Panel]:
    energy = select('sum("energy_kwh")', _MAIN)
    peak = select('max("kw")', "$timeFilter", source=f"({_CURVE})")
    covered = select('mean("coverage")', f"\"role\" = 'main' AND {_OF_SITE}")
    return [
        _figure("电量 · Energy", "kwatth", energy),
        _figure("最大区间需量 · Maximum block demand", "kwatt", peak),
        _figure("合同需量 · Contract demand", "kwatt", _CONTRACT),
        _figure("覆盖率 · Coverage", "percentunit", covered).thresholds(
            _steps((None, "red"), (0.9, "yellow"), (0.98, "green"))
        ),
    ]


def _figure(title: str, unit: str, query: str) -> stat.Panel:
    return (
        stat.Panel()
        .title(title)
        .datasource(SOURCE)
        .with_target(Influx(query))
        .unit(unit)
        .no_value("—")
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .thresholds(_steps((None, "text")))
        .span(6)
        .height(4)
    )


def _load_curve() -> timeseries.Panel:
    contract = DataTransformerConfig(
        id_val="configFromData",
        options={
            "configRefId": "contract",
            "mappings": [{"fieldName": "site.last", "handlerKey": "threshold1"}],
        },
    )
    return (
        _curve("负荷曲线 · Load curve (15 min)", "kwatt", f"{_CURVE} fill(null)", "需量 demand")
        .with_target(Influx(_CONTRACT, "site.last", "contract"))
        .with_transformation(contract)
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED))
        .thresholds(_steps((None, "transparent")))
        .fill_opacity(12)
        .span(24)
        .height(10)
    )


def _by_meter() -> timeseries.Panel:
    query = select('mean("demand_kw")', _KNOWN, _BY_METER.format("15m"))
    return (
        _curve("各电表需量 · Demand by meter", "kwatt", query, "$tag_meter_id").span(12).height(8)
    )


def _energy() -> timeseries.Panel:
    query = select('sum("energy_kwh")', _MAIN, "GROUP BY time(1h) fill(null)")
    hourly = _curve("每小时电量 · Energy by hour", "kwatth", query, "电量 energy")
    return hourly.draw_style(GraphDrawStyle.BARS).fill_opacity(60).span(12).height(8)


def _coverage() -> timeseries.Panel:
    query = select('mean("coverage")', _OF_SITE, _BY_METER.format("1h"))
    curve = _curve("覆盖率 · Coverage by meter", "percentunit", query, "$tag_meter_id")
    return curve.min(0).max(1).span(12).height(8)


def _meters() -> table.Panel:
    figures = (
        'sum("energy_kwh") AS "energy_kwh", max("max_demand_kw") AS "max_demand_kw", '
        'mean("power_factor") AS "power_factor", mean("coverage") AS "coverage"'
    )
    query = select(figures, _KNOWN, 'GROUP BY "meter_id"')
    words = {
        "meter_id": ("电表 · Meter", "string"),
        "energy_kwh": ("电量 · Energy", "kwatth"),
        "max_demand_kw": ("最大需量 · Maximum demand", "kwatt"),
        "power_factor": ("功率因数 · Power factor", "none"),
        "coverage": ("覆盖率 · Coverage", "percentunit"),
    }
    made = table.Panel().title("电表 · Meters").datasource(SOURCE).span(12).height(8)
    made = made.with_target(Influx(query, result_format="table")).no_value("—").decimals(2)
    made = made.override_by_name("Time", [DynamicConfigValue("custom.hidden", value=True)])
    for name, (label, unit) in words.items():
        named = [DynamicConfigValue("displayName", label), DynamicConfigValue("unit", unit)]
        made = made.override_by_name(name, named)
    return made


def _curve(title: str, unit: str, query: str, alias: str) -> timeseries.Panel:
    legend = common.VizLegendOptions().show_legend(True)
    return (
        timeseries.Panel()
        .title(title)
        .datasource(SOURCE)
        .with_target(Influx(query, alias))
        .unit(unit)
        .no_value("—")
        .line_width(2)
        .span_nulls(False)
        .show_points(VisibilityMode.NEVER)
        .legend(legend.display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM))
    )


def _steps(*steps: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    listed = [Threshold(value, color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(listed)
