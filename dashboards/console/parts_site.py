"""The Site page's running block, quota and intensity; pure HTML from the view model."""

from html import escape

from dashboards.console import parts, text
from dashboards.console.words import Words
from dashboards.view_site import Quota, Running, SitePage
from dashboards.view_verdict import Intensity, Level


def running(view: SitePage, t: Words) -> str:
    """The kW still allowed in the running block: the figure the page is opened for."""
    now = view.running
    title = f'<div class="title"><b>{escape(t("running_block"))}</b>{_block(view, t)}</div>'
    body = _gauge(now, t) if now.contract_demand_kw and now.projected_demand_kw is not None else ""
    return (
        f'{title}<div class="hero" title="{escape(t("why_allowed"))}">{_allowed(now, t)}{body}'
        f"<dl>{_facts(now, t)}</dl></div>"
    )


def _block(view: SitePage, t: Words) -> str:
    start = view.running.block_start
    if start is None:
        return ""
    zone = view.site.timezone
    label = f"{text.local(start, zone, '%H:%M')} · {t('time_left')} "
    return f'<span class="push">{escape(label)}<b>{text.countdown(view.running.left)}</b></span>'


def _allowed(now: Running, t: Words) -> str:
    what = f'<div class="what">{escape(t("still_allowed"))}</div>'
    if now.contract_demand_kw is None:
        return f'{what}<div class="figure dim">{text.DASH}</div>{_says(t("no_contract"), "soft")}'
    if now.allowed_kw is None:
        return (
            f'{what}<div class="figure dim">{text.DASH}</div>{_says(t("unknown_running"), "doubt")}'
        )
    if now.allowed_kw < 0:
        return (
            f'{what}<div class="figure over">0<small>kW</small></div>{_says(t("passed"), "over")}'
        )
    over = (now.headroom_kw or 0.0) < 0
    figure = (
        f'<div class="figure {"over" if over else ""}">{now.allowed_kw:,.0f}<small>kW</small></div>'
    )
    return what + figure + _headroom(now.headroom_kw, t)


def _headroom(headroom: float | None, t: Words) -> str:
    if headroom is None:
        return ""
    if headroom < 0:
        return _says(f"{t('reduce_by')} {-headroom:,.0f} kW", "over")
    return _says(f"{t('headroom')} {headroom:,.0f} kW", "good")


def _says(words: str, look: str) -> str:
    return f'<div class="says {look}">{escape(words)}</div>'


def _gauge(now: Running, t: Words) -> str:
    """Energy so far (solid) and to come (striped) as block demand, against the contract."""
    contract, projected = now.contract_demand_kw or 0.0, now.projected_demand_kw or 0.0
    top = max(contract, projected) * 1.12
    so_far = (now.energy_so_far_kwh or 0.0) / 0.25
    look = "over" if projected > contract else ""
    return (
        f'<div class="gauge {look}"><div class="to-come" style="width:{projected / top:.2%}"></div>'
        f'<div class="so-far" style="width:{min(so_far, projected) / top:.2%}"></div>'
        f'<div class="limit" style="left:{contract / top:.2%}"><span>'
        f"{escape(t('contract_demand'))} {contract:,.0f} kW</span></div></div>"
    )


def _bounds(now: Running) -> str:
    if now.projected_low_kw is None or now.projected_high_kw is None:
        return text.DASH
    return f"{text.figure(now.projected_low_kw)} … {text.figure(now.projected_high_kw)} kW"


def _facts(now: Running, t: Words) -> str:
    look = "over" if (now.ratio or 0.0) > 1 else ""
    heard = "" if now.heard_mains == now.mains else "doubt"
    rows = (
        (t("power_now"), f"{text.figure(now.power_kw)} kW", heard),
        (t("energy_so_far"), f"{text.figure(now.energy_so_far_kwh, 1)} kWh", ""),
        (t("projected_demand"), f"{text.figure(now.projected_demand_kw)} kW", look),
        (t("projected_range"), _bounds(now), ""),
        (t("mains_heard"), f"{now.heard_mains} / {now.mains}", heard),
    )
    return "".join(f'<dt>{escape(k)}</dt><dd class="{c}">{escape(v)}</dd>' for k, v, c in rows)


def quota(view: SitePage, t: Words) -> str:
    """The month's account in words: used, and when it will cross; the load cap above it."""
    told = cap(view, t)
    if view.quota is None:
        return (
            f'{told}<div class="title"><b>{escape(t("burn_down"))}</b></div>'
            f'<div class="quiet">{escape(t("no_quota"))}</div>'
        )
    return told + _account(view.quota, view, t, t("burn_down"), f"{view.quota.month:%Y-%m}")


def year(view: SitePage, t: Words) -> str:
    """The year's account in words, and whether it rests on a season."""
    one = view.year
    if one is None:
        return ""
    season = f'<div class="soft">{escape(t("season_" + one.season))}</div>' if one.season else ""
    return _account(one, view, t, t("burn_down_year"), f"{one.month:%Y}") + season


def cap(view: SitePage, t: Words) -> str:
    """The load cap of the month: how long, by how much it was exceeded."""
    one, zone = view.cap, view.site.timezone
    if one is None:
        return ""
    title = f"{t('cap')} {one.cap_kw:,.0f} kW" if one.cap_kw is not None else t("cap")
    if one.cap_kw is None:
        return _cap_line(title, t("cap_none"), "soft", "")
    if one.blocks_above is None:
        return _cap_line(title, t("cap_unknown"), "doubt", parts.covered(one.coverage, t))
    worst = f"{t('cap_worst')} {text.figure(one.worst_kw)} kW · {text.local(one.worst_at, zone)}"
    beside = f"<span>{escape(worst)}</span>{parts.covered(one.coverage, t)}"
    if not one.blocks_above:
        return _cap_line(title, t("cap_kept"), "good", beside)
    words = (
        f"{t('cap_above')} {text.figure(one.hours_above, 2)} h · {text.figure(one.kwh_above)} kWh"
    )
    return _cap_line(title, words, "over", beside)


def _cap_line(title: str, words: str, look: str, beside: str) -> str:
    return (
        f'<div class="title"><b>{escape(title)}</b><span class="{look}">{escape(words)}</span>'
        f"{beside}</div>"
    )


def _account(one: Quota, view: SitePage, t: Words, title: str, span: str) -> str:
    look = "over" if one.crossed else ""
    return (
        f'<div class="title"><b>{escape(title)}</b><span>{escape(span)}</span>'
        f'<span class="{look}">{escape(t("used"))} {text.figure(one.energy_kwh)} / '
        f"{one.quota_kwh:,.0f} kWh · {text.percent(one.used_ratio)}</span>"
        f"{parts.covered(one.coverage, t)}</div>"
        f"{crossing(one, view.site.timezone, t)}"
    )


def crossing(one: Quota, zone: str, t: Words) -> str:
    """The projected crossing with its range, and the simulated surcharge."""
    if one.crosses_at is not None:
        key = "crossed" if one.crossed else "crosses"
        words, look = f"{t(key)} {text.local(one.crosses_at, zone)}{_range(one, zone)}", "over"
    elif one.projected_kwh is None:
        words, look = t(one.reason) or text.DASH, "doubt"
    else:
        words, look = t("stays_within"), "good"
    line = f'<span class="says-big {look}">{escape(words)}</span>'
    return f'<div class="title">{line}{_beyond(one, t)}</div>'


def _range(one: Quota, zone: str) -> str:
    """The days that hold a projected crossing; an end that lies beyond the span stays open."""
    if one.crossed or (one.crosses_early is None and one.crosses_late is None):
        return ""
    both = [text.local(i, zone, "%m-%d") for i in (one.crosses_early, one.crosses_late)]
    if both[0] == both[1]:  # the day already named
        return ""
    return f" ({both[0]} … {both[1].replace(text.DASH, '')})"


def _beyond(one: Quota, t: Words) -> str:
    """The projected end and the simulated surcharge, if they are known."""
    told = ""
    if one.projected_kwh is not None:
        month = f"{t('projected_' + one.span)} {one.projected_kwh:,.0f} kWh"
        told = f'<span class="soft"> {escape(month)}</span>'
    if one.surcharge_yuan:
        mark = parts.provenance(one.surcharge_provenance, t)
        amount = f"{t('surcharge')} ¥{one.surcharge_yuan:,.0f}"
        told += f'<span class="soft"> {escape(amount)}</span> {mark}'
    return told


def intensity(view: SitePage, t: Words) -> str:
    """Each verdict against the levels of its guide row."""
    title = f'<div class="title"><b>{escape(t("against_guide"))}</b></div>'
    if not view.intensities:
        return f'{title}<div class="quiet">{escape(t("no_verdict"))}</div>'
    body = "".join(verdict(one, t) for one in view.intensities[:4])
    return f'{title}<div class="scroll">{body}</div>'


_LOOKS = {"overrun": "over", "advanced": "good", "within": "good", "undecided": "doubt"}


def verdict(one: Intensity, t: Words) -> str:
    """One verdict: figure, outcome, levels with their provenance, period and coverage."""
    look = _LOOKS.get(one.outcome, "")
    told = [one.reason] if one.reason else list(one.standing_reasons)
    why = " · ".join(t(reason) for reason in told)
    standing = text.tag(t("standing_" + one.standing), look) if one.standing else ""
    unit = one.unit.replace("m2", "m²").replace(".a", "·a")
    guide = f"{t.pick(one.title)} · {t('edition')} {one.edition} · {t.pick(one.row)} {one.clause}"
    return (
        f'<div class="bullet {escape(one.outcome)}"><div class="title">'
        f'<span class="says-big {look}">{escape(t("outcome_" + one.outcome))}</span>'
        f'<b class="says-big">{text.figure(one.value, 1)}</b><span>{escape(unit)}</span>'
        f'{_grade(one, t)}{standing}<span class="doubt">{escape(why)}</span></div>{_scale(one, t)}'
        f'<div class="soft">{escape(guide)} {parts.provenance(one.provenance, t)}</div>'
        f'<div class="soft">{escape(t("period"))} {text.days(one.start, one.end)} · '
        f"{parts.covered(one.coverage, t)} · {escape(t('estimated_share'))} "
        f"{text.percent(one.estimated_share)}{_rests_on(one, t)}</div></div>"
    )


def _grade(one: Intensity, t: Words) -> str:
    grade = t.pick(one.grade)
    return text.tag(grade, _LOOKS.get(one.outcome, "")) if grade else ""


def _rests_on(one: Intensity, t: Words) -> str:
    """Who declared the denominator, and what of the figure is estimated rather than measured."""
    told = []
    if one.denominator is not None:
        amount = f"{one.denominator:,.6g} {one.denominator_unit.replace('m2', 'm²')}"
        told.append(f"{t.column('denominator')} {amount} {one.declared_by}".rstrip())
    if one.allocation:
        told.append(" + ".join(t(name) for name in one.allocation.split()))
    if one.annualised:
        told.append(f"{t.column('annualised')} ({one.annualised})")
    return "".join(f" · {escape(words)}" for words in told)


def _scale(one: Intensity, t: Words) -> str:
    """A bar of the figure with a mark at each level, and the levels named below it."""
    top = max([level.value for level in one.levels] + [one.value or 0.0], default=0.0) * 1.12
    if not one.levels or top <= 0:
        return ""
    marks = "".join(_mark(level, top) for level in one.levels)
    value = f'<div class="value" style="width:{max(one.value or 0.0, 0.0) / top:.2%}"></div>'
    mixed = len({level.provenance for level in one.levels} | {one.provenance}) > 1
    names = "".join(_level(level, t, marked=mixed) for level in one.levels)
    return f'<div class="scale">{value}{marks}</div><div class="levels">{names}</div>'


def _mark(level: Level, top: float) -> str:
    left = max(level.value, 0.0) / top
    return (
        f'<div class="mark {escape(level.role)}" style="left:{left:.2%}">'
        f"<span>{level.value:,g}</span></div>"
    )


def _level(level: Level, t: Words, *, marked: bool) -> str:
    look = "over" if level.role == "limit" else "soft"
    words = f"{t.pick(level.name)} {level.value:,g}"
    mark = parts.provenance(level.provenance, t) if marked else ""
    return f'<span class="{look}">{escape(words)} {mark}</span>'
