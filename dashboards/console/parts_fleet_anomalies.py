"""The Fleet page's table of metering anomalies; pure HTML from the view model."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from dashboards.console import parts, text
from dashboards.console.words import Words
from dashboards.view_fleet import FleetPage

_PERCENT = {"1", "Un", "Ib", "Imax", "Pb", "Pmax"}
"""Units of shares; they are told in percent of what they are shares of."""


def note(view: FleetPage, t: Words) -> str:
    """What stands below the table: that all are clues, and how much could not be looked for."""
    if view.wanted.tab != "anomalies":
        return ""
    told = t("anomaly_note")
    lacking = f" · {t('not_sought')} {view.not_sought:,}" if view.not_sought else ""
    known = "" if view.open_anomalies is not None else f" · {t('not_known_here')}"
    return f'<div class="soft">{escape(told + lacking + known)}</div>'


def table(view: FleetPage, t: Words, who: Callable[[Mapping[str, Any]], str]) -> str:
    """The anomalies, one a row; `who` makes the cells of meter and site."""
    heads = (
        ("", t("state")),
        ("", t("meter")),
        ("", t("site")),
        ("", t("anomaly_kind")),
        ("", t("gap_start")),
        ("", t("gap_end")),
        ("num", t("worst")),
        ("num", t("criterion")),
        ("num", t("observed")),
        ("num", t("reference")),
        ("no-wall", t("threshold_source")),
    )
    return parts.table(heads, (_row(row, view, t, who) for row in view.rows))


def _row(
    row: Mapping[str, Any], view: FleetPage, t: Words, who: Callable[[Mapping[str, Any]], str]
) -> str:
    since, until = (text.local(row[name], view.timezone) for name in ("since", "until"))
    bound = "≤ " if row["since_is_bound"] else ""
    phase = f" {row['phase'].upper()}" if row["phase"] else ""
    kind = escape(t("anomaly_" + row["kind"]) + phase)
    measure = escape(row["measure"])
    observed, reference = (_amount(row[name]) for name in ("observed", "reference"))
    source = escape(" · ".join(filter(None, (t("known_" + row["provenance"]), row["document"]))))
    return (
        f"<tr><td>{_state(row, t)}</td>{who(row)}<td>{kind}</td>"
        f'<td class="soft">{bound}{since}</td><td class="soft">{until}</td>'
        f'<td class="num doubt">{_share(row["value"], row["unit"])}</td>'
        f'<td class="num">{_share(row["threshold"], row["unit"])}</td>'
        f'<td class="num">{observed} {measure}</td><td class="num">{reference} {measure}</td>'
        f'<td class="wide soft no-wall" title="{source}">{source}</td></tr>'
    )


def _state(row: Mapping[str, Any], t: Words) -> str:
    if row["until"] is None:
        return f'<span class="doubt">○ {escape(t("clue"))}</span>'
    return f'<span class="soft">● {escape(t("gap_closed"))}</span>'


def _share(value: float | None, unit: str) -> str:
    if value is None:
        return text.DASH
    if unit not in _PERCENT:
        return f"{text.figure(value, 1)} {escape(unit)}"
    return f"{value * 100:,.1f} %{'' if unit == '1' else ' ' + unit}"


def _amount(value: float | None) -> str:
    return text.DASH if value is None else text.figure(value, 1)
