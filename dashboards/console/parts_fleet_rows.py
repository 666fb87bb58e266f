"""The Fleet page's tables: meters, gaps, refused data; pure HTML from the view model."""

from collections.abc import Mapping
from html import escape
from typing import Any

from dashboards.console import parts, parts_fleet_anomalies, says_fleet, text
from dashboards.console.parts_fleet import chip, link
from dashboards.console.words import Words
from dashboards.view_fleet import FleetPage

_LOOK = {"ok": "good", "file": "soft"}
_TELLING_LAG_S = 10.0
"""Less is the time on the way, and says nothing of a clock."""


def listing(view: FleetPage, t: Words) -> str:
    """The table of the chosen tab, one page of it."""
    if not view.rows:
        empty = {"gaps": "no_gaps", "rejects": "no_rejects", "anomalies": "no_anomalies"}
        words = t(empty.get(view.wanted.tab, "no_meters"))
        return f'<div class="quiet">{escape(words)}</div>{parts_fleet_anomalies.note(view, t)}'
    tables = {"gaps": _gaps, "rejects": _rejects, "anomalies": _anomalies}
    table = tables.get(view.wanted.tab, _meters)(view, t)
    note = parts_fleet_anomalies.note(view, t)
    return f'<div class="scroll">{table}</div>{note}{_pager(view, t)}'


def _pager(view: FleetPage, t: Words) -> str:
    page, last = view.wanted.page, view.pages
    back = chip(f"‹ {t('previous')}", link(view.wanted, page=page - 1), on=False)
    on = chip(f"{t('next')} ›", link(view.wanted, page=page + 1), on=False)
    return (
        f'<div class="chips pager"><span class="soft">{view.found:,}</span>'
        f'<span class="push"></span>{back if page > 1 else ""}'
        f'<span class="soft">{page:,} / {last:,}</span>{on if page < last else ""}</div>'
    )


def _meters(view: FleetPage, t: Words) -> str:
    heads = (
        ("", t("state")),
        ("", t("meter")),
        ("", t("site")),
        ("wide", t("reasons")),
        ("", t("last_heard")),
        ("num", t("success")),
        ("num no-wall", t("response")),
        ("num", t("clock_offset")),
        ("num", t("energy_missing")),
        ("no-wall", t("link")),
    )
    return parts.table(heads, (_meter(row, view, t) for row in view.rows))


def _meter(row: Mapping[str, Any], view: FleetPage, t: Words) -> str:
    why = escape(says_fleet.reasons(row, t.language))
    seen = text.local(row["heard_at"], view.timezone, "%m-%d %H:%M:%S")
    low = "doubt" if (row["success_hour"] or 1.0) < 0.9 else ""
    mean, p95 = (text.figure(row[f"response_{name}_ms"], 0) for name in ("mean", "p95"))
    return (
        f"<tr><td>{state(row['state'], t)}</td>{_who(row, view, t)}"
        f'<td class="wide" title="{why}">{why}</td><td class="soft">{seen}</td>'
        f'<td class="num {low}" title="{_counts(row)}">{text.percent(row["success_hour"], 0)}</td>'
        f'<td class="num no-wall" title="p95 {p95} ms">{mean}</td>'
        f'<td class="num">{_offset(row)}</td><td class="num">{_missing(row, view, t)}</td>'
        f'<td class="soft no-wall">{escape(row["link"] or text.DASH)}</td></tr>'
    )


def state(name: str, t: Words) -> str:
    """A meter's state with its mark."""
    look = _LOOK.get(name, "doubt")
    sign = "●" if name in {"ok", "stale", "clock", "late"} else "○"
    return f'<span class="{look}">{sign} {escape(t("state_" + name))}</span>'


def _who(row: Mapping[str, Any], view: FleetPage, t: Words) -> str:
    """Meter and site, as two cells; a meter no longer listed has no site."""
    meter_id = row["meter_id"]
    if meter_id not in view.places:
        return f'<td>{escape(meter_id)}</td><td class="dim">{text.DASH}</td>'
    site, meter = view.places[meter_id]
    name = t.pick(meter.name) if meter.name else meter_id
    return (
        f'<td class="name" title="{escape(meter_id)}">{escape(name)}</td><td class="name">'
        f'<a href="/site/{escape(site.id)}">{escape(t.pick(site.name))}</a></td>'
    )


def _counts(row: Mapping[str, Any]) -> str:
    good, bad = row["successes_hour"] or 0, row["failures_hour"] or 0
    return f"{good:,} / {good + bad:,}"


def _offset(row: Mapping[str, Any]) -> str:
    """The meter's own word exactly; else, if its readings come late, a bound with its sign."""
    offset, lag = row["clock_offset_s"], row["arrival_lag_s"]
    if offset is not None:
        look = "doubt" if row["state"] == "clock" else ""
        return f'<span class="{look}">{offset:+,.0f} s</span>'
    if lag is None or abs(lag) < _TELLING_LAG_S:
        return f'<span class="dim">{text.DASH}</span>'
    return f'<span class="dim">≥ {-lag:+,.0f} s</span>'


def _missing(row: Mapping[str, Any], view: FleetPage, t: Words) -> str:
    since = row["open_since"]
    spread = text.figure(row["spread_kwh"], 1)
    if since is None:
        return spread
    told = text.local(since, view.timezone)
    link = parts.address("/fleet", tab="gaps", state="open", q=row["meter_id"])
    return f'<a class="doubt" href="{link}" title="{escape(t("gap_open"))}">{told} …</a>'


def _anomalies(view: FleetPage, t: Words) -> str:
    return parts_fleet_anomalies.table(view, t, lambda row: _who(row, view, t))


def _gaps(view: FleetPage, t: Words) -> str:
    heads = (
        ("", t("state")),
        ("", t("meter")),
        ("", t("site")),
        ("", t("gap_start")),
        ("", t("gap_end")),
        ("num", t("lasted")),
        ("", t("cause")),
        ("wide", t("detail")),
        ("num", t("recovered_kwh")),
        ("", t("method")),
    )
    return parts.table(heads, (_gap(row, view, t) for row in view.rows))


def _gap(row: Mapping[str, Any], view: FleetPage, t: Words) -> str:
    start, end = (text.local(row[name], view.timezone) for name in ("start", "end"))
    lasted = text.span(((row["end"] or view.at) - row["start"]).total_seconds())
    detail = escape(_detail(row, t))
    method = t(f"method_{row['method']}") if row["method"] else text.DASH
    return (
        f"<tr><td>{_gap_state(row, view, t)}</td>{_who(row, view, t)}"
        f'<td class="soft">{start}</td><td class="soft">{end}</td><td class="num">{lasted}</td>'
        f"<td>{escape(t('cause_' + (row['cause'] or 'unknown')))}</td>"
        f'<td class="wide soft" title="{detail}">{detail}</td>'
        f'<td class="num">{text.figure(row["energy_kwh"], 1)}</td><td>{escape(method)}</td></tr>'
    )


def _gap_state(row: Mapping[str, Any], view: FleetPage, t: Words) -> str:
    if row["end"] is None:
        return f'<span class="doubt">○ {escape(t("gap_open"))}</span>'
    if row["recovered_at"] is None:
        return f'<span class="soft">● {escape(t("gap_closed"))}</span>'
    when = text.local(row["recovered_at"], view.timezone)
    return f'<span class="good" title="{when}">● {escape(t("gap_recovered"))}</span>'


def _detail(row: Mapping[str, Any], t: Words) -> str:
    if row["cause"] in {"clock", "rejected"}:
        return says_fleet.refused(row["detail"], t.language)
    return row["detail"] or ""


def _rejects(view: FleetPage, t: Words) -> str:
    heads = (
        ("", t("time")),
        ("", t("reasons")),
        ("", t("source")),
        ("", t("subject")),
        ("wide", t("excerpt")),
        ("num", t("count")),
    )
    return parts.table(heads, (_reject(row, view, t) for row in view.rows))


def _reject(row: Mapping[str, Any], view: FleetPage, t: Words) -> str:
    at = text.local(row["at"], view.timezone, "%m-%d %H:%M:%S")
    excerpt = escape(row["excerpt"])
    return (
        f'<tr><td class="soft">{at}</td>'
        f'<td class="doubt">{escape(says_fleet.refused(row["reason"], t.language))}</td>'
        f'<td class="soft">{escape(row["source"])}</td><td>{escape(row["subject"])}</td>'
        f'<td class="wide" title="{excerpt}"><code>{excerpt}</code></td>'
        f'<td class="num">{row["count"]:,}</td></tr>'
    )
