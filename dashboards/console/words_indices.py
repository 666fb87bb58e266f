"""The words of load indices, Chinese and English, each formula with its terms."""

INDEX_WORDS: dict[str, tuple[str, str]] = {
    "month_indices": ("本月负荷指标", "Load indices, this month"),
    "load_factor": ("负荷率", "Load factor"),
    "peak_valley": ("峰谷差率", "Peak-valley ratio"),
    "peak_valley_kw": ("峰谷差", "difference"),
    "utilisation_hours": ("最大负荷利用小时", "Utilisation hours"),
    "month_max_demand": ("本月最大需量", "Maximum demand, month"),
    "month_coverage": ("本月覆盖率", "Coverage, month"),
    "blocks_used": ("区间数", "blocks"),
    "why_load_factor": (
        "平均区间需量 / 最大区间需量，本月已结束的区间",
        "mean / greatest block demand of the month's blocks so far",
    ),
    "why_peak_valley": (
        "(最大 − 最小区间需量) / 最大区间需量",
        "(greatest - least block demand) / greatest block demand",
    ),
    "why_utilisation": (
        "本月已计电量 kWh / 最大区间需量 kW",
        "energy stated this month, kWh / greatest block demand, kW",
    ),
    "why_month_max": (
        "15 分钟滑差 1 分钟的最大需量；抄读过疏或多块总表时为区间需量（下限），时刻为窗口结束",
        "sliding 15 min; block demand, a lower bound, where readings are sparse or mains add up",
    ),
    "why_month_coverage": (
        "实测支持的区间占已结束区间之比；低于设定下限则指标不作计算",
        "share of the ended blocks that measurement supports; below the minimum no index is told",
    ),
    "index_low_coverage": ("覆盖率不足", "coverage too low"),
    "index_no_data": ("无数据", "no data"),
    "index_no_load": ("无负荷", "no load"),
}
"""Key -> (Chinese, English)."""
