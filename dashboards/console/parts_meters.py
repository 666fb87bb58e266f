"""The Site page's head, figures of the day and meters table; pure HTML from the view model."""

from datetime import date, timedelta
from html import escape

from dashboards.console import parts, text
from dashboards.console.words import Words
from dashboards.view_city import change
from dashboards.view_site import MeterRow, SitePage


def head(view: SitePage, t: Words) -> str:
    """Name, identity and the day shown, with the way to other days."""
    site = view.site
    code = f" · {site.credit_code}" if site.credit_code else ""
    told = f"{t('kind_' + site.kind.value)} · {site.district} · {site.id}{code}"
    before, after = view.day - timedelta(days=1), view.day + timedelta(days=1)
    forward = "" if view.is_today else _day(view, after, "›")
    today = "" if view.is_today else f'<a class="chip" href="/site/{site.id}">{t("today")}</a>'
    return (
        f'<div class="head"><h1>{escape(t.pick(site.name))}</h1>'
        f'<span class="soft">{escape(told)}</span>'
        f'<span class="push chips">{_day(view, before, "‹")}<b>{view.day:%Y-%m-%d}</b>'
        f"{forward}{today}{_latest(view, t)}{_paper(view, t)}</span></div>"
    )


def _day(view: SitePage, day: date, words: str) -> str:
    link = parts.address(f"/site/{view.site.id}", day=day.isoformat())
    return f'<a class="chip" href="{link}">{words}</a>'


def _paper(view: SitePage, t: Words) -> str:
    """The way to the month's simulated bill and power quality."""
    link = parts.address(f"/site/{view.site.id}/month", month=f"{view.day:%Y-%m}")
    return f'<a class="chip" href="{link}">{escape(t("month_page"))}</a>'


def _latest(view: SitePage, t: Words) -> str:
    """Where a day without data ends: a link to the last day that has some."""
    if view.total.energy_kwh is not None or view.latest_day in (None, view.day):
        return ""
    link = parts.address(f"/site/{view.site.id}", day=view.latest_day.isoformat())
    return f'<a class="chip doubt" href="{link}">{t("latest_data")} {view.latest_day}</a>'


def curve_title(view: SitePage, t: Words) -> str:
    """What the curve shows."""
    names = ("today", "yesterday") if view.is_today else ("this_day", "day_before")
    contract = view.running.contract_demand_kw is not None
    return (
        f'<div class="title"><b>{escape(t("load_curve"))}</b>'
        f"{parts.legend(t, t(names[0]), t(names[1]), contract=contract)}</div>"
    )


def kpis(view: SitePage, t: Words) -> str:
    """Energy and demand of the day shown."""
    total, before = view.total, change(view.total, view.yesterday_total)
    energy, energy_unit = text.scaled(total.energy_kwh, "kWh")
    compared = "" if before is None else f" · {t('same_time')} {before * 100:+.1f} %"
    guessed = ""
    if total.estimated_share:
        share = text.percent(total.estimated_share)
        guessed = f' · <span class="doubt">{escape(t("estimated"))} {share}</span>'
    what = t("energy_today") if view.is_today else t("energy_day")
    limit = view.running.contract_demand_kw
    ratio = (total.max_demand_kw or 0.0) / limit if limit and total.max_demand_kw else None
    over = "over" if ratio is not None and ratio > 1 else ""
    of_limit = "" if ratio is None else f" · {t('of_contract')} {text.percent(ratio, 0)}"
    cards = (
        parts.kpi(
            what,
            energy,
            energy_unit,
            parts.covered(total.coverage, t) + guessed + escape(compared),
            "",
            t("why_energy"),
        ),
        parts.kpi(
            t("block_max_today") if view.is_today else t("block_max_day"),
            text.figure(total.max_demand_kw),
            "kW",
            escape(f"{t('at')} {total.max_demand_label or text.DASH}{of_limit}"),
            over,
            t("why_peak"),
        ),
        _quota(view, t),
        _alerts(view, t),
    )
    return f'<div class="kpis four">{"".join(cards)}</div>'


def _quota(view: SitePage, t: Words) -> str:
    one = view.quota
    if one is None:
        return parts.kpi(t("quota_used"), text.DASH, "", escape(t("no_quota")))
    when = text.local(one.crosses_at, view.site.timezone) if one.crosses_at else ""
    key = "crossed" if one.crossed else "crosses" if when else "stays_within"
    beside = t(one.reason) if one.reason and not when else f"{t(key)} {when}"
    share = text.percent(one.used_ratio)
    look = "over" if one.crossed else ""
    return parts.kpi(t("quota_used"), share.removesuffix(" %"), "%", escape(beside), look)


def _alerts(view: SitePage, t: Words) -> str:
    active = [row for row in view.alerts if row.active]
    worst = "over" if any(row.severity == "critical" for row in active) else "doubt"
    told = escape(parts.says(active[0], t)) if active else escape(t("all_quiet"))
    link = parts.address("/alerts", site=view.site.id, state="all")
    card = parts.kpi(t("active_alerts"), f"{len(active)}", "", told, worst if active else "")
    return f'<a href="{link}">{card}</a>'


def meters(view: SitePage, t: Words) -> str:
    """The site's meters: heard or not, what they say, whether they may be evidence."""
    heads = (
        ("wide", t("meter")),
        ("", t("role")),
        ("", t("state")),
        ("", t("last_reading")),
        ("num", f"{t('power_now')} kW"),
        ("num", "kWh"),
        ("num", t("coverage")),
        ("", t("verification")),
    )
    rows = (_meter(row, view, t) for row in view.meters)
    link = parts.address("/fleet", site=view.site.id)
    return (
        f'<div class="title"><b>{escape(t("meters"))}</b><span>{len(view.meters)}</span>'
        f'<a class="push chip" href="{link}">{escape(t("fleet"))} ›</a></div>'
        f'<div class="scroll">{parts.table(heads, rows, "airy")}</div>'
    )


def _meter(row: MeterRow, view: SitePage, t: Words) -> str:
    seen = text.local(row.measured_at, view.site.timezone, "%m-%d %H:%M:%S")
    name = t.pick(row.meter.name) if row.meter.name else row.meter.id
    low = "" if (row.total.coverage or 0.0) >= 0.95 else "doubt"
    hint = escape(f"{row.meter.id} · {row.last_error}" if row.last_error else row.meter.id)
    return (
        f'<tr><td class="wide" title="{hint}">{escape(name)}</td>'
        f'<td class="soft">{escape(t("role_" + row.meter.role))}</td>'
        f"<td>{parts.voice(row.voice, row.silent_s, t)}</td>"
        f'<td class="soft">{seen}</td>'
        f'<td class="num">{text.figure(row.power_kw, 1)}</td>'
        f'<td class="num">{text.figure(row.total.energy_kwh, 1)}</td>'
        f'<td class="num {low}">{text.percent(row.total.coverage)}</td>'
        f"<td>{_verified(row, view, t)}</td></tr>"
    )


def _verified(row: MeterRow, view: SitePage, t: Words) -> str:
    proof = row.meter.verification
    if proof is None:
        return f'<span class="doubt">{escape(t("not_verified"))}</span>'
    until = proof.valid_until
    if until < view.day:
        return f'<span class="doubt">{escape(t("expired"))} {until}</span>'
    return f'<span class="soft">{escape(t("valid_until"))} {until}</span>'
