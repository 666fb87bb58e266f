"""Pieces of HTML that several pages share; pure, everything from outside is escaped."""

from collections.abc import Iterable
from html import escape
from urllib.parse import urlencode

from dashboards.console import text
from dashboards.console.words import Words
from dashboards.fleet import Voice
from dashboards.view_alerts import AlertRow
from processors.live import Live

NEAR = 0.9
"""Share of a limit from which its bar is emphasised."""


def kpi(what: str, figure: str, unit: str, beside: str, look: str = "", why: str = "") -> str:
    """One figure with what stands beside it; `beside` is HTML, the rest is text."""
    return (
        f'<div class="kpi {look}" title="{escape(why)}"><div class="what">{escape(what)}</div>'
        f'<div class="figure">{escape(figure)}<small>{escape(unit)}</small></div>'
        f'<div class="beside">{beside}</div></div>'
    )


def covered(coverage: float | None, t: Words) -> str:
    """The coverage that belongs beside every total; amber below 95 %."""
    look = "" if coverage is None or coverage >= 0.95 else "doubt"
    return f'<span class="{look}">{escape(t("coverage"))} {text.percent(coverage)}</span>'


def bar(ratio: float | None, after: str = "") -> str:
    """A small bar of a ratio to its limit; red beyond it."""
    if ratio is None:
        return f'<span class="bar-cell"><span class="pct dim">{text.DASH}</span></span>'
    look = "over" if ratio > 1 else "near" if ratio >= NEAR else ""
    colour = "over" if ratio > 1 else ""
    return (
        f'<span class="bar-cell">{after}<span class="track {look}">'
        f'<i style="width:{min(max(ratio, 0.0), 1.0) * 100:.1f}%"></i></span>'
        f'<span class="pct {colour}">{text.percent(ratio, 0)}</span></span>'
    )


def voice(name: str, silent_s: float | None, t: Words) -> str:
    """Whether a meter is heard, and if not, for how long."""
    if name == Voice.HEARD.value:
        return f'<span class="good">● {escape(t("heard"))}</span>'
    if name == Voice.SILENT.value:
        return f'<span class="doubt">○ {escape(t("silent"))} {text.span(silent_s)}</span>'
    return f'<span class="doubt">○ {escape(t("never"))}</span>'


def provenance(names: str, t: Words) -> str:
    """A visible mark on every threshold that is not published; nothing on one that is."""
    told = [t(name) for name in names.split(", ") if name not in {"", "published"}]
    return text.tag(" / ".join(told), "doubt") if told else ""


def alert(row: AlertRow, t: Words, timezone: str) -> str:
    """One alert in a list, linking to its timeline."""
    return (
        f'<a class="alert {escape(row.severity)}" href="{address("/alerts", id=row.alert_id)}">'
        f'<div class="who"><span>{escape(t.pick(row.site_name))}</span>{handled(row, t)}'
        f'<span class="push">{text.local(row.fired_at, timezone, "%m-%d %H:%M")}</span></div>'
        f'<div class="says">{escape(says(row, t))}</div></a>'
    )


def says(row: AlertRow, t: Words) -> str:
    """What the alert says, without the site's name where it opens with it: that stands beside."""
    told = t.pick(row.text)
    return told.removeprefix(t.pick(row.site_name)).lstrip("：: ") or told


def handled(row: AlertRow, t: Words) -> str:
    """What people did about an alert; an active one nobody acknowledged stands out."""
    if row.open:
        look = "solid" if row.severity == "critical" else "doubt"
        return text.tag(t("open"), look) if row.active else ""
    return text.tag(f"{t(row.handling)} · {row.handled_by}", "soft")


def address(path: str, **query: str) -> str:
    """Return an escaped local address with the query's non-empty values."""
    told = urlencode({name: value for name, value in query.items() if value})
    return escape(f"{path}?{told}" if told else path)


def table(heads: Iterable[tuple[str, str]], rows: Iterable[str], look: str = "") -> str:
    """A table; `heads` are (class, words), `rows` are HTML."""
    cells = "".join(f'<th class="{look}">{escape(words)}</th>' for look, words in heads)
    return (
        f'<table class="rows {look}"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def status(live: Live, timezone: str, t: Words) -> str:
    """The clock and the pulse of the header."""
    flowing = live.readings_per_s > 0
    pulse = f"{live.readings_per_s:,.0f} {t('readings_s')}" if flowing else f"{t('stopped')}"
    lag = f" · {t('lag')} {live.journal_lag:,}" if live.journal_lag > 20 else ""
    clock = text.local(live.at, timezone, "%Y-%m-%d %H:%M:%S")
    return (
        f'<span><i class="dot {"" if flowing else "off"}"></i>{escape(pulse + lag)}</span>'
        f'<span class="clock" title="{escape(t("site_time"))} {escape(timezone)}">{clock}</span>'
    )


def legend(t: Words, day: str, before: str, *, contract: bool) -> str:
    """What the marks of a load curve mean; `day` and `before` name the two days."""
    limit = f'<i class="over"></i>{escape(t("contract_demand"))}' if contract else ""
    return (
        f'<span class="legend push"><i class="today"></i>{escape(day)}'
        f'<i class="past"></i>{escape(before)}{limit}'
        f'<i class="mark"></i>{escape(t("estimated"))} / {escape(t("partial"))}'
        f'<i class="gap"></i>{escape(t("no_data"))}</span>'
    )
