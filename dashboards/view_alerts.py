"""What the Alerts page shows: rows, counts and one alert's timeline; pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from collector.site import Site, Text

SEVERITIES = ("critical", "warning", "info")
"""From the most to the least urgent."""


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert as lists show it."""

    alert_id: str
    rule_id: str
    severity: str
    """critical, warning or info."""
    state: str
    """firing or resolved."""
    subject_id: str
    site_id: str
    site_name: Text
    fired_at: datetime
    """When it fired, event time, UTC."""
    resolved_at: datetime | None
    """When it was resolved; None while it is active."""
    text: Text
    handling: str
    """open, acknowledged, disputed, dispute_accepted, dispute_rejected or closed."""
    handled_by: str
    """Who did that; empty while it is open."""

    @property
    def active(self) -> bool:
        """Whether it is firing still."""
        return self.state == "firing"

    @property
    def open(self) -> bool:
        """Whether nobody has acknowledged it yet."""
        return self.handling == "open"


@dataclass(frozen=True, slots=True)
class Act:
    """One entry of the ledger."""

    at: datetime
    act: str
    """fired, resolved, notified, delivered, failed, acknowledged, disputed, ..."""
    actor: str
    note: str


@dataclass(frozen=True, slots=True)
class AlertDetail:
    """One alert with its acts and the figures it fired on."""

    alert: AlertRow
    acts: tuple[Act, ...]
    figures: tuple[tuple[str, object], ...]
    """Column name and value of the subject's row that fired."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which alerts to list; empty fields let everything pass."""

    state: str = "active"
    """active, resolved or all."""
    severity: str = ""
    site_id: str = ""

    def passes(self, row: AlertRow) -> bool:
        """Whether `row` belongs on the list."""
        in_state = self.state == "all" or (row.active == (self.state == "active"))
        in_severity = self.severity in ("", row.severity)
        return in_state and in_severity and self.site_id in ("", row.site_id)


def chosen(rows: Iterable[AlertRow], wanted: Filter) -> tuple[AlertRow, ...]:
    """Return the rows that pass: active, open and urgent ones first, then the newest."""
    return tuple(sorted((row for row in rows if wanted.passes(row)), key=_urgency))


def _urgency(row: AlertRow) -> tuple[bool, bool, int, float]:
    rank = SEVERITIES.index(row.severity) if row.severity in SEVERITIES else len(SEVERITIES)
    newest = -row.fired_at.timestamp()
    return (False, not row.open, rank, newest) if row.active else (True, False, 0, newest)


def rows_of(alerts: pl.DataFrame, sites: Mapping[str, Site]) -> tuple[AlertRow, ...]:
    """Return the list rows of ALERT `alerts`."""
    return tuple(row_of(one, sites) for one in alerts.iter_rows(named=True))


def row_of(alert: Mapping[str, Any], sites: Mapping[str, Site]) -> AlertRow:
    """Return the list row of one alert (a row of ALERT); a site no longer known shows its id."""
    site = sites.get(alert["site_id"])
    return AlertRow(
        alert_id=alert["alert_id"],
        rule_id=alert["rule_id"],
        severity=alert["severity"],
        state=alert["state"],
        subject_id=alert["subject_id"],
        site_id=alert["site_id"],
        site_name=site.name if site else Text(zh=alert["site_id"], en=alert["site_id"]),
        fired_at=alert["fired_at"],
        resolved_at=alert["resolved_at"],
        text=Text(zh=alert["text_zh"], en=alert["text_en"]),
        handling=alert["handling"],
        handled_by=alert["handled_by"],
    )


def detail_of(
    alert: Mapping[str, Any], timeline: pl.DataFrame, sites: Mapping[str, Site]
) -> AlertDetail:
    """Return one alert (a row of ALERT) with its TIMELINE."""
    acts = tuple(
        Act(one["at"], one["act"], one["actor"], _told(json.loads(one["detail"])))
        for one in timeline.iter_rows(named=True)
    )
    figures = {k: v for k, v in json.loads(alert["row"]).items() if k not in _WHO}
    return AlertDetail(row_of(alert, sites), acts, tuple(figures.items()))


_WHO = ("subject_id", "site_id")


def _told(detail: Mapping[str, Any]) -> str:
    """What an act's detail says to people: a note, a problem, who was told, a package's hash."""
    if "sha256" in detail:
        return f"SHA-256 {detail['sha256']}"
    named = [detail.get("note"), detail.get("channel"), *detail.get("channels", ())]
    return " · ".join(str(one) for one in [*named, detail.get("problem")] if one)


def by_severity(rows: Sequence[AlertRow]) -> dict[str, int]:
    """Count the active rows of each severity."""
    active = [row.severity for row in rows if row.active]
    return {one: active.count(one) for one in SEVERITIES}


def by_site(rows: Sequence[AlertRow]) -> Mapping[str, str]:
    """Return the most urgent active severity of each site that has one."""
    worst: dict[str, str] = {}
    for row in sorted((one for one in rows if one.active), key=_urgency):
        worst.setdefault(row.site_id, row.severity)
    return worst
