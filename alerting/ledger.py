"""The ledger: alerts, every act upon them in a hash chain, rule states and the outbox.

One SQLite transaction covers what belongs together: an alert that fired, its act, the state that
remembers it and the notices to send are stored all or not at all.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from alerting import acts, lifecycle
from alerting.acts import Act, Event, Link
from alerting.alert import ALERT, TIMELINE, typed
from alerting.chain import Chain, Position, link_of
from alerting.ledger_db import LedgerDb
from alerting.outbox_db import OutboxDb


class LedgerError(ValueError):
    """The act does not fit the alert; the text says why."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert with its acts."""

    facts: dict[str, object]
    """One row of ALERT."""
    links: tuple[Link, ...]
    """Its acts, oldest first."""


class Ledger:
    """Append-only record of alerts. Thread-safe; several processes may open one file."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self._db = LedgerDb(path)
        self._chain = Chain(now)
        self.outbox = OutboxDb(self._db, self._chain)
        """Notices waiting for delivery; the couriers work from it."""

    def record(self, rule_id: str, events: Iterable[Event], states: pl.DataFrame) -> list[str]:
        """Store what a rule found and the states (schema STATE) that changed, in one transaction.

        An alert that is already known is not fired again, one already resolved not resolved again.

        Returns:
            Ids of the alerts that fired or resolved now.
        """
        told = []
        with self._db.transaction() as connection:
            for event in events:
                if self._fits(connection, event):
                    self._chain.append(
                        connection, event.act, event.alert_id, acts.SYSTEM, event.detail
                    )
                    self._enqueue(connection, event)
                    told.append(event.alert_id)
            connection.executemany(
                "INSERT OR REPLACE INTO states VALUES (?,?,?,?,?,?)",
                [(rule_id, *map(_text, row)) for row in states.iter_rows()],
            )
        return told

    @staticmethod
    def _fits(connection: sqlite3.Connection, event: Event) -> bool:
        sql = "SELECT state FROM alerts WHERE alert_id = ?"
        known = connection.execute(sql, (event.alert_id,)).fetchone()
        if event.act is Act.FIRED:
            return known is None
        return known is not None and known["state"] == "firing"

    def _enqueue(self, connection: sqlite3.Connection, event: Event) -> None:
        if not event.notices:
            return
        self.outbox.put(connection, event.alert_id, event.notices)
        detail = {"of": str(event.act), "channels": sorted(event.notices)}
        self._chain.append(connection, Act.NOTIFIED, event.alert_id, acts.SYSTEM, detail)

    def states(self, rule_id: str) -> pl.DataFrame:
        """Return the stored states of a rule, schema STATE."""
        sql = (
            "SELECT subject_id, phase, since, fired_at, seen_at FROM states"
            " WHERE rule_id = ? ORDER BY subject_id"
        )
        return typed(self._db.rows(sql, (rule_id,)), lifecycle.STATE)

    def alerts(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        sites: Sequence[str] | None = None,
        state: str | None = None,
        handling: str | None = None,
        rule_id: str | None = None,
        limit: int = 1000,
    ) -> pl.DataFrame:
        """Return alerts fired in `[since, until)`, newest first, schema ALERT."""
        wanted: list[tuple[str, object]] = [
            ("fired_at >= ?", acts.stamp(since) if since else None),
            ("fired_at < ?", acts.stamp(until) if until else None),
            ("state = ?", state),
            ("handling = ?", handling),
            ("rule_id = ?", rule_id),
        ]
        clauses = [clause for clause, value in wanted if value is not None]
        values = [value for _, value in wanted if value is not None]
        if sites is not None:
            clauses.append(f"site_id IN ({','.join('?' * len(sites))})")
            values.extend(sites)
        where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
        sql = f"SELECT * FROM alerts {where} ORDER BY fired_at DESC, alert_id LIMIT ?"  # noqa: S608 - fixed clauses
        return typed(self._db.rows(sql, (*values, limit)), ALERT)

    def tells_of(self, rule_id: str, subject_id: str, start: datetime, end: datetime) -> bool:
        """Return whether an alert of this rule and subject overlaps `[start, end)`."""
        sql = (
            "SELECT 1 FROM alerts WHERE rule_id = ? AND subject_id = ? AND since < ?"
            " AND (resolved_at IS NULL OR resolved_at > ?) LIMIT 1"
        )
        span = acts.stamp(end), acts.stamp(start)
        return bool(self._db.rows(sql, (rule_id, subject_id, *span)))

    def alert(self, alert_id: str) -> Alert:
        """Return one alert with its acts.

        Raises:
            LedgerError: there is no such alert.
        """
        rows = self._db.rows("SELECT * FROM alerts WHERE alert_id = ?", (alert_id,))
        if not rows:
            raise LedgerError(f"there is no alert {alert_id!r}")
        facts = typed(rows, ALERT).row(0, named=True)
        return Alert(facts, tuple(self._links("WHERE alert_id = ?", (alert_id,))))

    def timeline(self, alert_id: str) -> pl.DataFrame:
        """Return the acts upon one alert, oldest first, schema TIMELINE."""
        sql = "SELECT * FROM acts WHERE alert_id = ? ORDER BY seq"
        return typed(self._db.rows(sql, (alert_id,)), TIMELINE)

    def _links(self, where: str = "", values: tuple[object, ...] = ()) -> list[Link]:
        sql = f"SELECT * FROM acts {where} ORDER BY seq"  # noqa: S608 - fixed clauses
        return [link_of(row) for row in self._db.rows(sql, values)]

    def acknowledge(self, alert_id: str, actor: str, note: str = "") -> None:
        """Record that `actor` has seen the alert and deals with it.

        Raises:
            LedgerError: unknown alert, no actor, or the alert is not open.
        """
        self._handle(Act.ACKNOWLEDGED, alert_id, actor, note)

    def dispute(self, alert_id: str, actor: str, reason: str) -> None:
        """Record that the enterprise contests the alert; a reason is required.

        Raises:
            LedgerError: see acknowledge.
        """
        self._handle(Act.DISPUTED, alert_id, actor, reason, reason_required=True)

    def settle(self, alert_id: str, actor: str, *, accepted: bool, reason: str) -> None:
        """Accept or reject a dispute; a reason is required.

        Raises:
            LedgerError: the alert is not disputed; see acknowledge.
        """
        act = Act.DISPUTE_ACCEPTED if accepted else Act.DISPUTE_REJECTED
        self._handle(act, alert_id, actor, reason, reason_required=True)

    def close_alert(self, alert_id: str, actor: str, note: str = "") -> None:
        """Record that nothing more is to be done about the alert.

        Raises:
            LedgerError: it is closed already or its dispute is not settled; see acknowledge.
        """
        self._handle(Act.CLOSED, alert_id, actor, note)

    def _handle(
        self, act: Act, alert_id: str, actor: str, note: str, *, reason_required: bool = False
    ) -> None:
        if not actor.strip():
            raise LedgerError("an act needs the name of who does it")
        if reason_required and not note.strip():
            raise LedgerError(f"{act} needs a reason")
        with self._db.transaction() as connection:
            sql = "SELECT handling FROM alerts WHERE alert_id = ?"
            row = connection.execute(sql, (alert_id,)).fetchone()
            if row is None:
                raise LedgerError(f"there is no alert {alert_id!r}")
            if row["handling"] not in acts.HANDLING[act]:
                raise LedgerError(f"alert {alert_id} is {row['handling']}: cannot be {act}")
            self._chain.append(connection, act, alert_id, actor.strip(), {"note": note.strip()})

    def exported(self, alert_id: str, actor: str, sha256: str) -> Position:
        """Record that `actor` exported the alert's evidence; returns where in the chain."""
        with self._db.transaction() as connection:
            detail = {"sha256": sha256}
            link = self._chain.append(connection, Act.EVIDENCE_EXPORTED, alert_id, actor, detail)
        return Position(link.seq, link.hash)

    def head(self) -> Position:
        """Return the end of the chain; seq 0 and the genesis hash if nothing happened yet."""
        with self._db.transaction() as connection:
            return self._chain.head(connection)

    def verify_chain(self) -> str:
        """Recompute every hash and fold every alert; returns what is wrong, empty if nothing."""
        links = self._links()
        problem = acts.broken(links)
        if problem:
            return problem
        folded: dict[str, dict[str, object]] = {}
        for link in links:
            folded[link.alert_id] = acts.fold(folded.get(link.alert_id), link)
        stored = {str(row["alert_id"]): row for row in self._db.rows("SELECT * FROM alerts")}
        differing = sorted(
            one for one in folded.keys() | stored if folded.get(one) != stored.get(one)
        )
        return f"alert {differing[0]} is not what its acts say" if differing else ""

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _text(value: object) -> object:
    return acts.stamp(value) if isinstance(value, datetime) else value
