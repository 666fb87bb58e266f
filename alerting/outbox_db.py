"""Notices waiting for delivery, in the ledger's file: queued in the transaction of their alert."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from alerting import acts
from alerting.acts import Act
from alerting.chain import Chain
from alerting.ledger_db import LedgerDb


@dataclass(frozen=True, slots=True)
class Notice:
    """A message for one channel."""

    notice_id: int
    """Ascending; lets a receiver drop what it was told twice."""
    alert_id: str
    channel: str
    payload: str
    """JSON object, see notices.py."""
    attempts: int
    """Tries so far, all failed."""


class OutboxDb:
    """The queue of each channel. Delivery is at least once, in order."""

    def __init__(self, db: LedgerDb, chain: Chain) -> None:
        self._db = db
        self._chain = chain

    @staticmethod
    def put(connection: sqlite3.Connection, alert_id: str, notices: Mapping[str, str]) -> None:
        """Queue one payload a channel; `connection` is in a write transaction."""
        connection.executemany(
            "INSERT INTO outbox (alert_id, channel, payload) VALUES (?,?,?)",
            [(alert_id, channel, text) for channel, text in notices.items()],
        )

    def waiting(self, channel: str, limit: int = 100) -> list[Notice]:
        """Return notices not yet delivered to `channel`, oldest first."""
        sql = (
            "SELECT notice_id, alert_id, channel, payload, attempts FROM outbox"
            " WHERE state = 'waiting' AND channel = ? ORDER BY notice_id LIMIT ?"
        )
        return [
            Notice(
                notice_id=int(str(row["notice_id"])),
                alert_id=str(row["alert_id"]),
                channel=str(row["channel"]),
                payload=str(row["payload"]),
                attempts=int(str(row["attempts"])),
            )
            for row in self._db.rows(sql, (channel, limit))
        ]

    def counts(self) -> dict[str, int]:
        """Return how many notices are waiting, delivered and failed."""
        rows = self._db.rows("SELECT state, count(*) AS n FROM outbox GROUP BY state")
        return {str(row["state"]): int(str(row["n"])) for row in rows}

    def delivered(self, notice: Notice) -> None:
        """Record that the channel took the notice."""
        with self._db.transaction() as connection:
            sql = "UPDATE outbox SET state = 'delivered', attempts = ? WHERE notice_id = ?"
            connection.execute(sql, (notice.attempts + 1, notice.notice_id))
            detail = {"channel": notice.channel, "attempts": notice.attempts + 1}
            self._chain.append(connection, Act.DELIVERED, notice.alert_id, acts.SYSTEM, detail)

    def failed(self, notice: Notice, problem: str, *, final: bool) -> None:
        """Record a failed attempt; an act is written for the first and for the final one."""
        with self._db.transaction() as connection:
            connection.execute(
                "UPDATE outbox SET attempts = ?, state = ? WHERE notice_id = ?",
                (notice.attempts + 1, "failed" if final else "waiting", notice.notice_id),
            )
            if final or notice.attempts == 0:
                detail = {"channel": notice.channel, "problem": problem, "given_up": final}
                self._chain.append(connection, Act.FAILED, notice.alert_id, acts.SYSTEM, detail)
