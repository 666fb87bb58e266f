"""The City page's pieces; pure HTML from the view model."""

from html import escape

from dashboards.console import parts, text
from dashboards.console.words import Words
from dashboards.view_city import City, SiteRow


def kpis(view: City, t: Words) -> str:
    """The five figures of the city."""
    load, load_unit = text.scaled(view.load_kw, "kW")
    energy, energy_unit = text.scaled(view.total.energy_kwh, "kWh")
    peak, peak_unit = text.scaled(view.total.max_demand_kw, "kW")
    peak_at = view.total.max_demand_label or text.DASH
    cards = (
        parts.kpi(
            t("load_now"), load, load_unit, parts.covered(view.load_coverage, t), "", t("why_load")
        ),
        parts.kpi(
            t("energy_today"), energy, energy_unit, _energy_beside(view, t), "", t("why_energy")
        ),
        parts.kpi(t("block_max_today"), peak, peak_unit, f"{t('at')} {peak_at}", "", t("why_peak")),
        _alerts(view, t),
        _fleet(view, t),
    )
    return f'<div class="kpis">{"".join(cards)}</div>'


def _energy_beside(view: City, t: Words) -> str:
    change = ""
    if view.change is not None:
        change = f" · {escape(t('same_time'))} {view.change * 100:+.1f} %"
    return parts.covered(view.total.coverage, t) + change


def _alerts(view: City, t: Words) -> str:
    total = sum(view.severities.values())
    told = " · ".join(f"{t(name)} {n}" for name, n in view.severities.items() if n)
    look = "over" if view.severities.get("critical") else "doubt" if total else ""
    return parts.kpi(t("active_alerts"), f"{total:,}", "", escape(told or t("all_quiet")), look)


def _fleet(view: City, t: Words) -> str:
    meters = view.meters
    beside = f"{t('silent')} {meters.silent:,} · {t('never')} {meters.never:,}"
    look = "doubt" if meters.silent + meters.never else ""
    whole = f"/ {meters.total:,}"
    card = parts.kpi(
        t("meters_heard"), f"{meters.heard:,}", whole, escape(beside), look, t("why_fleet")
    )
    return f'<a href="/fleet">{card}</a>'


def curve_title(view: City, t: Words) -> str:
    """What the curve shows."""
    return (
        f'<div class="title"><b>{escape(t("load_curve"))}</b><span>{view.day:%Y-%m-%d}</span>'
        f"{parts.legend(t, t('today'), t('yesterday'), contract=False)}</div>"
    )


def find(search: str, t: Words) -> str:
    """Title of the sites table and its search field; works without a script."""
    return (
        f'<div class="title"><b>{escape(t("sites"))}</b><form class="push no-wall" action="/">'
        f'<input class="find" name="q" value="{escape(search)}" '
        f'placeholder="{escape(t("search"))}" aria-label="{escape(t("search"))}"></form></div>'
    )


def alerts(view: City, t: Words) -> str:
    """Active alerts, the most pressing first."""
    more = f'<span class="push">{len(view.alerts):,}</span>' if view.alerts else ""
    title = f'<div class="title"><b>{escape(t("active_alerts"))}</b>{more}</div>'
    if not view.alerts:
        return f'{title}<div class="quiet">{escape(t("all_quiet"))}</div>'
    rows = "".join(parts.alert(row, t, view.timezone) for row in view.alerts[:50])
    return f'{title}<div class="scroll">{rows}</div>'


def districts(view: City, t: Words) -> str:
    """Load by district."""
    rows = []
    for one in view.districts:
        value, unit = text.scaled(one.power_kw, "kW")
        look = "" if one.heard_mains == one.mains else "doubt"
        rows.append(
            f'<tr><td class="wide">{escape(one.district)}</td><td class="num">{value} '
            f'<span class="dim">{unit}</span></td><td class="num {look}">'
            f"{one.heard_mains} / {one.mains}</td></tr>"
        )
    heads = (("wide", t("district")), ("num", t("load_now")), ("num", t("meters_heard")))
    return f'<div class="scroll">{parts.table(heads, rows)}</div>'


def sites(view: City, t: Words) -> str:
    """The sites, those in alert and those nearest their contract demand first."""
    heads = (
        ("", ""),
        ("wide", t("site")),
        ("no-wall", t("kind")),
        ("no-wall", t("district")),
        ("num", f"{t('power_now')} kW"),
        ("num", t("projected_of_contract")),
        ("num", t("crossing_and_used")),
        ("num", t("meters_heard")),
    )
    rows = (_site(row, t, view.timezone) for row in view.sites)
    return f'<div class="scroll">{parts.table(heads, rows)}</div>'


def _site(row: SiteRow, t: Words, timezone: str) -> str:
    mark = {"critical": "over", "warning": "doubt"}.get(row.severity, "dim")
    dot = f'<span class="{mark}">●</span>' if row.severity else ""
    heard = "" if row.heard_mains == row.mains else "doubt"
    name = f'<a href="/site/{escape(row.site.id)}">{escape(t.pick(row.site.name))}</a>'
    return (
        f'<tr class="link"><td>{dot}</td><td class="wide">{name}</td>'
        f'<td class="soft no-wall">{escape(t("kind_" + row.site.kind.value))}</td>'
        f'<td class="soft no-wall">{escape(row.site.district)}</td>'
        f'<td class="num">{text.figure(row.power_kw)}</td>'
        f'<td class="num">{parts.bar(row.demand_ratio)}</td>'
        f'<td class="num">{parts.bar(row.quota_ratio, _crossing(row, t, timezone))}</td>'
        f'<td class="num {heard}">{row.heard_mains} / {row.mains}</td></tr>'
    )


def _crossing(row: SiteRow, t: Words, timezone: str) -> str:
    if row.crosses_at is None:
        return ""
    when = text.local(row.crosses_at, timezone, "%m-%d")
    return f'<span class="over" title="{escape(t("crosses"))}">{when}</span>'
