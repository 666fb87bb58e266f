"""The factors of a bill's lines in words, English and Chinese: what each is, and its source. Pure.

What a pack or a price list says of its source is told as it is written there.
"""

from processors.policy.header import Provenance
from processors.tariff.lines import Known

FACTS: dict[str, tuple[str, str]] = {
    "ratio": (
        "ratio {period} {ratio} ({where}, {provenance}: {source})",
        "{period}比价 {ratio}（{where}，{provenance}：{source}）",
    ),
    "sharp": (
        "sharp = peak × {ratio} ({provenance}: {source})",
        "尖 = 峰 × {ratio}（{provenance}：{source}）",
    ),
    "no_price": ("no price given", "未登记单价"),
    "price": (
        "{name} {price} (from {since}, {provenance}: {source})",
        "{name} {price}（自 {since} 起，{provenance}：{source}）",
    ),
    "transformer": ("transformer {kva} kVA ({by})", "变压器容量 {kva} kVA（{by}）"),
    "contract": ("contract demand {kw} kW", "合同需量 {kw} kW"),
    "over_contract": (
        "above {kw:,.1f} kW ({share:g} %) × {multiplier:g} ({provenance}: {source})",
        "超过 {kw:,.1f} kW（{share:g} %）部分 × {multiplier:g}（{provenance}：{source}）",
    ),
    "no_demand": ("no maximum demand is known", "最大需量未知"),
    "max_demand": (
        "maximum demand {kw:,.2f} kW, window to {at:%Y-%m-%d %H:%M %Z}",
        "最大需量 {kw:,.2f} kW，窗口止于 {at:%Y-%m-%d %H:%M %Z}",
    ),
    "heat_unknown": (
        "{days} days without a known maximum temperature",
        "{days} 日最高气温未知",
    ),
    "base": ("basic and energy charge, without funds", "基本电费与电度电费，不含基金"),
    "factor": (
        "power factor {factor} of {active:,.2f} kWh, {drawn:,.2f} kvarh",
        "力率 {factor}：有功 {active:,.2f} kWh，无功 {drawn:,.2f} kvarh",
    ),
    "factor_both": (
        "power factor {factor} of {active:,.2f} kWh, {drawn:,.2f} kvarh drawn, {back}",
        "力率 {factor}：有功 {active:,.2f} kWh，正向无功 {drawn:,.2f} kvarh，{back}",
    ),
    "back": ("{kvarh:,.2f} kvarh fed back", "反向无功 {kvarh:,.2f} kvarh"),
    "both_count": (
        "drawn and fed back add up (recalled: unverified)",
        "正向与反向无功绝对值相加（凭记忆，未核实）",
    ),
    "percent": ("{percent} % ({where}, {provenance})", "{percent} %（{where}，{provenance}）"),
    "standard": ("{document}, standard {standard}", "{document}，标准 {standard}"),
    "sum": ("sum of lines 1 to {count}", "第 1 至 {count} 行之和"),
    "tier": (
        "from {share:.0%} above the quota of {quota:,.0f} kWh ({where}, {provenance})",
        "超定额 {quota:,.0f} kWh 的 {share:.0%} 起（{where}，{provenance}）",
    ),
}
"""Key -> (English, Chinese), with places for figures."""

_WORDS = {
    Provenance.PUBLISHED: "已发布",
    Provenance.UNVERIFIED: "未核实",
    Provenance.ILLUSTRATIVE: "示例",
    "sharp": "尖",
    "peak": "峰",
    "flat": "平",
    "valley": "谷",
    "site": "用电单位",
    "flat_yuan_per_kwh": "平段单价 元/kWh",
    "funds_yuan_per_kwh": "基金及附加 元/kWh",
    "capacity_yuan_per_kva": "容量单价 元/kVA",
    "demand_yuan_per_kw": "需量单价 元/kW",
}
"""A value that is a word -> Chinese."""


def known(key: str, provenance: Provenance | None = None, **values: object) -> Known:
    """Return a factor in both languages.

    Args:
        key: of FACTS.
        provenance: how well it is known.
        values: the figures and words of its text; a Known stands for its own text. `provenance`
            may be told again where the text has it.
    """
    if provenance is not None:
        values = {"provenance": provenance.value, **values}
    english, chinese = FACTS[key]
    en = {name: _english(value) for name, value in values.items()}
    zh = {name: _chinese(value) for name, value in values.items()}
    return Known(english.format(**en), chinese.format(**zh), provenance)


def _english(value: object) -> object:
    return value.text if isinstance(value, Known) else value


def _chinese(value: object) -> object:
    if isinstance(value, Known):
        return value.zh
    return _WORDS.get(value, value) if isinstance(value, str) else value
