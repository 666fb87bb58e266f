"""The Site page's load indices of the running month; pure HTML from the view model."""

from html import escape

from dashboards.console import parts, text
from dashboards.console.words import Words
from dashboards.view_indices import LoadIndices
from dashboards.view_site import SitePage


def indices(view: SitePage, t: Words) -> str:
    """Five figures with their formulas; a dash and the reason where one cannot be told."""
    one = view.indices
    if one is None:
        return ""
    why = escape(t("index_" + one.reason)) if one.reason else ""
    lacks = f'<span class="doubt">{why}</span>' if why else f"{one.month:%Y-%m}"
    swing = f"{escape(t('peak_valley_kw'))} {text.figure(one.peak_valley_kw)} kW"
    valley = lacks if why else swing
    cards = (
        _ratio(t("load_factor"), one.load_factor, lacks, t("why_load_factor")),
        _ratio(t("peak_valley"), one.peak_valley_ratio, valley, t("why_peak_valley")),
        parts.kpi(
            t("utilisation_hours"), text.figure(one.utilisation_h), "h", lacks, "",
            t("why_utilisation"),
        ),
        parts.kpi(
            t("month_max_demand"), text.figure(one.max_demand_kw), "kW",
            f"{escape(t('at'))} {text.local(one.max_demand_at, view.site.timezone)}", "",
            t("why_month_max"),
        ),
        _ratio(t("month_coverage"), one.coverage, _rests(one, t), t("why_month_coverage")),
    )  # fmt: skip
    return f'<div class="kpis" aria-label="{escape(t("month_indices"))}">{"".join(cards)}</div>'


def _ratio(what: str, ratio: float | None, beside: str, why: str) -> str:
    number = text.percent(ratio)
    unit = "" if ratio is None else "%"
    return parts.kpi(what, number.removesuffix(" %"), unit, beside, "", why)


def _rests(one: LoadIndices, t: Words) -> str:
    told = f"{one.blocks:,} / {one.blocks_expected:,} {t('blocks_used')}"
    if not one.estimated_share:
        return escape(told)
    guessed = escape(f"{t('estimated')} {text.percent(one.estimated_share)}")
    return f'{escape(told)} · <span class="doubt">{guessed}</span>'
