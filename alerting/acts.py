"""PURE. Acts: what happened to alerts and who did it, as links of a hash chain.

Each act's SHA-256 covers its own content and the hash of the act before it, so an act changed,
removed or inserted later breaks every hash after it. Alerts are nothing but their acts folded.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum

GENESIS = "0" * 64
"""`prev_hash` of the first act."""
SYSTEM = "demandwatch"
"""The actor of what the software does by itself."""


class Act(StrEnum):
    """What can happen to an alert."""

    FIRED = "fired"
    RESOLVED = "resolved"
    NOTIFIED = "notified"
    """Notices were put into the outbox."""
    DELIVERED = "delivered"
    FAILED = "failed"
    """A notice could not be delivered: the first time, and when it is given up."""
    ACKNOWLEDGED = "acknowledged"
    DISPUTED = "disputed"
    DISPUTE_ACCEPTED = "dispute_accepted"
    DISPUTE_REJECTED = "dispute_rejected"
    CLOSED = "closed"
    EVIDENCE_EXPORTED = "evidence_exported"


OPEN = "open"
HANDLING: Mapping[Act, frozenset[str]] = {
    Act.ACKNOWLEDGED: frozenset({OPEN}),
    Act.DISPUTED: frozenset({OPEN, Act.ACKNOWLEDGED}),
    Act.DISPUTE_ACCEPTED: frozenset({Act.DISPUTED}),
    Act.DISPUTE_REJECTED: frozenset({Act.DISPUTED}),
    Act.CLOSED: frozenset(
        {OPEN, Act.ACKNOWLEDGED, Act.DISPUTE_ACCEPTED, Act.DISPUTE_REJECTED},
    ),
}
"""Each act of people, and the handling an alert must be in for it."""


@dataclass(frozen=True, slots=True)
class Link:
    """One act as recorded."""

    seq: int
    """Position in the chain, from 1, without holes."""
    at: str
    """When it was recorded: ISO 8601, UTC, microseconds."""
    actor: str
    act: Act
    alert_id: str
    detail: str
    """Canonical JSON object; its keys depend on the act."""
    prev_hash: str
    hash: str = ""

    def sealed(self) -> "Link":
        """Return the link with its hash."""
        return replace(self, hash=self.digest())

    def digest(self) -> str:
        """Return the SHA-256 over all fields but the hash itself, in this order."""
        who = [self.seq, self.at, self.actor, str(self.act), self.alert_id]
        content = [*who, self.detail, self.prev_hash]
        return hashlib.sha256(canonical(content).encode()).hexdigest()

    def facts(self) -> dict[str, object]:
        """Return the detail as data."""
        loaded = json.loads(self.detail)
        return loaded if isinstance(loaded, dict) else {}


@dataclass(frozen=True, slots=True)
class Event:
    """Something a rule found: an alert fired or resolved, and who must be told."""

    act: Act
    alert_id: str
    detail: Mapping[str, object]
    """FIRED_FACTS for `fired`; `at` and `row` for `resolved`."""
    notices: Mapping[str, str]
    """Payload (JSON text) by channel."""


def canonical(value: object) -> str:
    """Return JSON with sorted keys and no spaces; instants as ISO 8601 in UTC, NaN refused."""
    return json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
        default=_plain,
    )


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in an act")


def stamp(instant: datetime) -> str:
    """Return an aware instant as ISO 8601 in UTC with microseconds."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


def broken(links: Iterable[Link], prev_hash: str = GENESIS, first: int = 1) -> str:
    """Return what is wrong with a run of links that follows `prev_hash`; empty if nothing."""
    expected = first
    for link in links:
        if link.seq != expected:
            return f"act {expected} is missing"
        if link.prev_hash != prev_hash:
            return f"act {link.seq} does not follow act {link.seq - 1}"
        if link.digest() != link.hash:
            return f"act {link.seq} was changed after it was recorded"
        prev_hash, expected = link.hash, link.seq + 1
    return ""


def fold(alert: dict[str, object] | None, link: Link) -> dict[str, object]:
    """Return the alert after one more act.

    Raises:
        ValueError: the act does not fit, e.g. it is for an alert that never fired.
    """
    facts = link.facts()
    if link.act is Act.FIRED:
        return _fired(link, facts)
    if alert is None:
        raise ValueError(f"alert {link.alert_id} never fired")
    if link.act is Act.RESOLVED:
        return alert | {"state": "resolved", "resolved_at": facts["at"]}
    if link.act in HANDLING:
        handled = {"handling": str(link.act), "handled_by": link.actor, "handled_at": link.at}
        return alert | handled | {"note": facts.get("note", "")}
    return alert


def _fired(link: Link, facts: dict[str, object]) -> dict[str, object]:
    return {
        "alert_id": link.alert_id,
        **{name: facts[name] for name in FIRED_FACTS},
        "labels": canonical(facts["labels"]),
        "row": canonical(facts["row"]),
        "state": "firing",
        "resolved_at": None,
        "handling": OPEN,
        "handled_by": "",
        "handled_at": None,
        "note": "",
    }


FIRED_FACTS = (
    "rule_id", "rule_digest", "kind", "severity", "subject_id", "site_id", "since", "fired_at",
    "text_zh", "text_en", "labels", "row",
)  # fmt: skip
"""Keys of a `fired` act's detail."""
