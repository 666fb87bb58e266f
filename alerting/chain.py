"""Appending to the ledger's hash chain, inside the caller's transaction."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from alerting import acts
from alerting.acts import Act, Link
from alerting.alert import ALERT


@dataclass(frozen=True, slots=True)
class Position:
    """The end of the chain: what an evidence package pins itself to."""

    seq: int
    hash: str


class Chain:
    """Writes acts and keeps each alert's row equal to its acts folded."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    @staticmethod
    def head(connection: sqlite3.Connection) -> Position:
        """Return the last position; seq 0 and the genesis hash if nothing happened yet."""
        last = connection.execute("SELECT seq, hash FROM acts ORDER BY seq DESC LIMIT 1").fetchone()
        return Position(last["seq"], last["hash"]) if last else Position(0, acts.GENESIS)

    def append(
        self,
        connection: sqlite3.Connection,
        act: Act,
        alert_id: str,
        actor: str,
        detail: Mapping[str, object],
    ) -> Link:
        """Write one act and the alert it changes; `connection` is in a write transaction."""
        head = self.head(connection)
        at, text = acts.stamp(self._now()), acts.canonical(detail)
        link = Link(head.seq + 1, at, actor, act, alert_id, text, head.hash).sealed()
        connection.execute(
            "INSERT INTO acts VALUES (?,?,?,?,?,?,?,?)",
            (link.seq, at, actor, str(act), alert_id, text, link.prev_hash, link.hash),
        )
        sql = "SELECT * FROM alerts WHERE alert_id = ?"
        row = connection.execute(sql, (alert_id,)).fetchone()
        alert = acts.fold(dict(row) if row else None, link)
        connection.execute(_STORE, tuple(alert[name] for name in ALERT))
        return link


_STORE = (
    f"INSERT OR REPLACE INTO alerts ({','.join(ALERT)}) "  # noqa: S608 - names of our own schema
    f"VALUES ({','.join('?' * len(ALERT))})"
)


def link_of(row: Mapping[str, object]) -> Link:
    """Return a row of the table `acts` as a link."""
    text = {name: str(row[name]) for name in ("at", "actor", "alert_id", "detail")}
    hashes = {name: str(row[name]) for name in ("prev_hash", "hash")}
    return Link(seq=int(str(row["seq"])), act=Act(str(row["act"])), **text, **hashes)
