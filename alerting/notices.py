"""PURE. What is said about an alert: identity, bilingual text, the JSON a channel receives."""

import hashlib
import json
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from alerting import acts
from alerting.acts import Act, Event
from alerting.lifecycle import Change, Transition
from alerting.rules import Rule
from collector.site import Site

UNKNOWN = "—"
"""Shown for a value that is not known; never 0."""


MARKS = {"illustrative": ("示例", "illustrative"), "unverified": ("未核实", "unverified")}
"""Provenance that no reader may miss, in both languages."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a text needs to know of the site."""

    name_zh: str
    name_en: str
    timezone: str

    @classmethod
    def of(cls, site: Site) -> "Place":
        """Return the place of `site`."""
        return cls(site.name.zh, site.name.en, site.timezone)


def alert_id(rule_id: str, subject_id: str, fired_at: datetime) -> str:
    """Return the id of the alert that this rule and subject fired at this event time.

    The same breach gives the same id however often its data is replayed.
    """
    key = acts.canonical([rule_id, subject_id, fired_at])
    moment = fired_at.astimezone(UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"


class _Words(string.Formatter):
    """Formats a row's values: instants in site time, an unknown value as a dash."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    def format_field(self, value: object, format_spec: str) -> str:
        if value is None or value != value:  # noqa: PLR0124 - only NaN differs from itself
            return UNKNOWN
        if isinstance(value, datetime):
            return f"{value.astimezone(self._zone):{format_spec or '%Y-%m-%d %H:%M'}}"
        try:
            return str(format(value, format_spec))
        except ValueError:  # a number's format on a text, say: the text matters more
            return str(value)


def text(template: str, row: Mapping[str, object], zone: str, site_name: str) -> str:
    """Return a rule's text with the row's values in it."""
    return _Words(ZoneInfo(zone)).vformat(template, (), {**row, "site_name": site_name})


def marked(template: str, row: Mapping[str, object], place: Place, *, zh: bool) -> str:
    """Return a rule's text, with a mark where a figure in it is no published one.

    The rule's author may forget the mark; whoever reads the text must not be misled by that.
    """
    told, language = dict(row), 0 if zh else 1
    needed: set[str] = set()
    for name in ("provenance", "surcharge_provenance"):
        words = [MARKS[one][language] for one in str(row.get(name)).split(", ") if one in MARKS]
        if words:
            told[name] = ", ".join(words)
            needed |= set(words) if name == "provenance" or "surcharge" in template else set()
    said = text(template, told, place.timezone, place.name_zh if zh else place.name_en)
    lacking = ", ".join(sorted(one for one in needed if one not in said))
    return f"{said}（{lacking}）" if lacking and zh else f"{said} ({lacking})" if lacking else said


def event(rule: Rule, transition: Transition, place: Place) -> Event:
    """Return what the ledger records, and the notices for the rule's channels."""
    identity = alert_id(rule.id, transition.subject_id, transition.fired_at)
    act = Act.FIRED if transition.change is Change.FIRED else Act.RESOLVED
    row = plain(transition.row)
    said = {
        "text_zh": marked(rule.text.zh, transition.row, place, zh=True),
        "text_en": marked(rule.text.en, transition.row, place, zh=False),
    }
    facts: dict[str, object] = {
        "rule_id": rule.id,
        "rule_digest": rule.digest(),
        "kind": str(rule.on),
        "severity": str(rule.severity),
        "subject_id": transition.subject_id,
        "site_id": transition.site_id,
        "since": transition.since,
        "fired_at": transition.fired_at,
        "labels": dict(rule.labels),
        "row": row,
        **said,
    }
    fired = facts | {"rule": rule.written()}  # the package must hold the rule as it was then
    detail = fired if act is Act.FIRED else {"at": acts.stamp(transition.at), "row": row}
    site = {"site_name_zh": place.name_zh, "site_name_en": place.name_en}
    payload = facts | site | {"alert_id": identity, "state": str(act), "at": transition.at}
    return Event(act, identity, detail, dict.fromkeys(rule.notify, acts.canonical(payload)))


def plain(row: Mapping[str, object]) -> dict[str, object]:
    """Return the row's values as JSON can hold them; NaN becomes null, instants ISO 8601."""
    known = {name: None if value != value else value for name, value in row.items()}  # noqa: PLR0124 - only NaN differs from itself
    loaded: dict[str, object] = json.loads(acts.canonical(known))
    return loaded
