"""The Alerts page's list, filters and timeline; pure HTML from the view model."""

from collections.abc import Sequence
from datetime import datetime
from html import escape

from dashboards.console import parts, text
from dashboards.console.words import Words
from dashboards.view_alerts import SEVERITIES, Act, AlertDetail, AlertRow, Filter

_SHOWN = 200


def filters(wanted: Filter, site_name: str, t: Words) -> str:
    """The filters as links, so a filtered list can be sent to somebody."""
    states = [_chip(t(name), name == wanted.state, _with(wanted, state=name)) for name in _STATES]
    every = _chip(t("all"), not wanted.severity, _with(wanted, severity=""))
    levels = [
        _chip(t(name), name == wanted.severity, _with(wanted, severity=name)) for name in SEVERITIES
    ]
    one = _chip(f"{site_name} ✕", True, _with(wanted, site="")) if wanted.site_id else ""
    gap = '<span class="soft">&nbsp;</span>'
    return f'<div class="chips">{"".join(states)}{gap}{every}{"".join(levels)}{gap}{one}</div>'


_STATES = ("active", "resolved", "all")


def _chip(words: str, on: bool, link: str) -> str:
    return f'<a class="chip {"on" if on else ""}" href="{link}">{escape(words)}</a>'


def _with(wanted: Filter, **changed: str) -> str:
    now = {"state": wanted.state, "severity": wanted.severity, "site": wanted.site_id}
    return parts.address("/alerts", **(now | changed))


def listing(rows: Sequence[AlertRow], chosen: str, wanted: Filter, timezone: str, t: Words) -> str:
    """The alerts that pass the filter."""
    if not rows:
        quiet = t("all_quiet") if wanted.state == "active" else t("no_alerts")
        return f'<div class="quiet">{escape(quiet)}</div>'
    heads = (("", ""), ("", t("since")), ("", t("site")), ("wide", t("what")), ("", t("state")))
    body = (_row(row, row.alert_id == chosen, wanted, timezone, t) for row in rows[:_SHOWN])
    more = len(rows) - _SHOWN
    tail = f'<div class="quiet">+ {more:,}</div>' if more > 0 else ""
    return f'<div class="scroll">{parts.table(heads, body)}{tail}</div>'


def _row(row: AlertRow, on: bool, wanted: Filter, timezone: str, t: Words) -> str:
    look = {"critical": "over", "warning": "doubt"}.get(row.severity, "soft")
    link = _with(wanted, id=row.alert_id)
    sign = "●" if row.active else "○"
    dot = f'<span class="{look}" title="{escape(t(row.severity))}">{sign}</span>'
    state = parts.handled(row, t) or f'<span class="soft">{escape(t(row.state))}</span>'
    return (
        f'<tr class="link {"on" if on else ""}"><td>{dot}</td>'
        f'<td class="soft">{text.local(row.fired_at, timezone)}</td>'
        f'<td><a href="{link}">{escape(t.pick(row.site_name))}</a></td>'
        f'<td class="wide"><a href="{link}">{escape(parts.says(row, t))}</a></td>'
        f"<td>{state}</td></tr>"
    )


def detail(view: AlertDetail, timezone: str, t: Words, *, download: bool) -> str:
    """One alert: who, what and when, and its evidence package."""
    row = view.alert
    look = {"critical": "over", "warning": "doubt"}.get(row.severity, "soft")
    until = f" → {text.local(row.resolved_at, timezone)}" if row.resolved_at else ""
    package = ""
    if download:
        link = f"/api/v1/alerts/{escape(row.alert_id)}/evidence"
        package = f'<a class="button" href="{link}">⇩ {escape(t("evidence"))}</a>'
    name = escape(t.pick(row.site_name))
    return (
        f'<div class="detail"><div class="title"><b class="{look}">{escape(t(row.severity))}</b>'
        f"<span>{text.local(row.fired_at, timezone)}{until}</span>{parts.handled(row, t)}"
        f'<span class="push">{package}</span></div>'
        f'<div class="head"><h1><a href="/site/{escape(row.site_id)}">{name}</a></h1></div>'
        f'<div class="says-big">{escape(parts.says(row, t))}</div>'
        f'<div class="soft">{escape(t("rule"))} {escape(row.rule_id)} · {escape(t("subject"))} '
        f"{escape(row.subject_id)} · {escape(row.alert_id)}</div></div>"
    )


def history(view: AlertDetail, timezone: str, t: Words) -> str:
    """Everything that happened to the alert, and the figures it fired on."""
    acts = "".join(_act(act, timezone, t) for act in view.acts)
    return (
        f'<div class="detail"><div class="title"><b>{escape(t("timeline"))}</b></div>'
        f'<ul class="timeline">{acts}</ul>'
        f'<div class="title"><b>{escape(t("values"))}</b></div>'
        f"{_figures(view, timezone, t)}</div>"
    )


def _figures(view: AlertDetail, timezone: str, t: Words) -> str:
    rows = "".join(
        f'<div><span class="soft">{escape(t.column(name))}</span>'
        f"<span>{_marked(name, value, t) or escape(_value(value, timezone))}</span></div>"
        for name, value in view.figures
    )
    return f'<div class="figures">{rows}</div>'


def _marked(name: str, value: object, t: Words) -> str:
    """Return the mark of a figure that is not published; empty for any other value."""
    return parts.provenance(str(value or ""), t) if name.endswith("provenance") else ""


def _value(value: object, timezone: str) -> str:
    if value is None:
        return text.DASH
    if isinstance(value, bool):
        return "✓" if value else "✗"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, str) and value.endswith("+00:00"):
        return text.local(datetime.fromisoformat(value), timezone, "%Y-%m-%d %H:%M:%S")
    return str(value)


def _act(act: Act, timezone: str, t: Words) -> str:
    note = f'<div class="soft">{escape(act.note)}</div>' if act.note else ""
    return (
        f'<li class="{escape(act.act)}"><span class="at">'
        f"{text.local(act.at, timezone, '%m-%d %H:%M:%S')}</span>"
        f'<b>{escape(t("act_" + act.act))}</b> <span class="soft">{escape(act.actor)}</span>{note}'
        f"</li>"
    )
