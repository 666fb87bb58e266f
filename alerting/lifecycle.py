"""PURE. The life of an alert: pending -> firing -> resolved, in event time, once each.

Rows are judged in the order of their `at`. A row whose condition is null (not known) is as good as
absent: it neither fires nor resolves. Rows older than the last judged one of their subject are left
to late.py, a row at that very instant is judged again (a revision): replaying changes nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import polars as pl

from alerting.rules import Compiled
from alerting.subjects import BLOCKS, conform
from collector.reading import UTC_US


class Phase(StrEnum):
    """Where a subject stands under one rule."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"


STATE: dict[str, pl.DataType] = {
    "subject_id": pl.String(),
    "phase": pl.String(),
    "since": UTC_US,
    "fired_at": UTC_US,
    "seen_at": UTC_US,
}
"""One row a subject under one rule. `since`: the breach began (a block: its start); `fired_at`: it
had held for the rule's `for`; `seen_at`: the last row judged. Null where the phase has none."""


class Change(StrEnum):
    """What happened to an alert."""

    FIRED = "fired"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Transition:
    """An alert fired or resolved."""

    change: Change
    subject_id: str
    site_id: str
    since: datetime
    fired_at: datetime
    """With rule and subject the identity of the alert."""
    at: datetime
    """Event time of the transition: the `at` of `row`."""
    row: Mapping[str, object]
    """The row that caused it, all columns of the subject."""


@dataclass(frozen=True, slots=True)
class Advance:
    """Result of one step under one rule."""

    state: pl.DataFrame
    """Schema STATE, all subjects seen so far."""
    transitions: tuple[Transition, ...]
    """In order of event time."""
    changed: pl.DataFrame
    """Rows of `state` whose phase changed: what must be stored to survive a restart."""


def empty() -> pl.DataFrame:
    """Return the state of a rule that has seen nothing."""
    return pl.DataFrame(schema=STATE)


def advance(state: pl.DataFrame, rule: Compiled, frame: pl.DataFrame) -> Advance:
    """Judge the rows of `frame` under one rule.

    Args:
        state: schema STATE, from the last step or the ledger.
        rule: the compiled rule.
        frame: rows of the rule's kind of subject, in any order.

    Returns:
        The new state and what fired or resolved. Cost is vectorised over subjects; Python touches
        only those in breach or pending.
    """
    judged = _judged(state, rule, frame)
    walked = [_walk(rule.rule.hold, rows) for rows in _of_interest(judged)]
    changed = pl.DataFrame([one.end for one in walked], schema=STATE, orient="row")
    transitions = sorted((each for one in walked for each in one.transitions), key=_when)
    return Advance(_merged(state, judged, changed), tuple(transitions), changed)


def _when(transition: Transition) -> tuple[datetime, str]:
    return transition.at, transition.subject_id


def _judged(state: pl.DataFrame, rule: Compiled, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that count, with `_when`, `_clear`, `_begun` and the state they meet."""
    begun = pl.coalesce("start", "at") if rule.rule.on in BLOCKS else pl.col("at")
    return (
        conform(rule.rule.on, frame)
        .drop_nulls(["subject_id", "at"])
        .with_columns(rule.when.alias("_when"), rule.clear.alias("_clear"), begun.alias("_begun"))
        .drop_nulls("_when")
        .join(state, on="subject_id", how="left")
        .filter(pl.col("seen_at").is_null() | (pl.col("at") >= pl.col("seen_at")))
        .sort("subject_id", "at", maintain_order=True)
    )


def _of_interest(judged: pl.DataFrame) -> Iterator[list[dict[str, object]]]:
    """Yield the rows of each subject whose phase may change, in order of time."""
    firing = pl.col("phase") == Phase.FIRING
    may = (
        pl.when(firing.fill_null(value=False))
        .then(pl.col("_clear").fill_null(value=False))
        .otherwise(pl.col("_when") | (pl.col("phase") == Phase.PENDING).fill_null(value=False))
    )
    rows = judged.filter(may.any().over("subject_id"))
    for part in rows.partition_by("subject_id", maintain_order=True):
        yield part.to_dicts()


@dataclass(slots=True)
class _Walked:
    """One subject walked through its rows."""

    end: tuple[object, ...]
    transitions: list[Transition]


def _walk(hold: timedelta, rows: list[dict[str, object]]) -> _Walked:
    subject = _Subject(hold, rows[0])
    for row in rows:
        subject.judge(row)
    return _Walked(subject.end(), subject.transitions)


class _Subject:
    """The small machine of one subject under one rule."""

    def __init__(self, hold: timedelta, first: dict[str, object]) -> None:
        self.transitions: list[Transition] = []
        self._hold = hold
        self._id = str(first["subject_id"])
        self._phase = Phase(str(first["phase"] or Phase.OK))
        self._since = _instant(first["since"])
        self._fired_at = _instant(first["fired_at"])
        self._seen_at = _instant(first["seen_at"])

    def judge(self, row: dict[str, object]) -> None:
        at = _instant(row["at"])
        if at is None:
            return
        if self._phase is Phase.FIRING:
            if row["_clear"]:
                self._tell(Change.RESOLVED, at, row)
                self._phase, self._since, self._fired_at = Phase.OK, None, None
        elif row["_when"]:
            self._breach(at, row)
        else:
            self._phase, self._since = Phase.OK, None
        self._seen_at = at

    def _breach(self, at: datetime, row: dict[str, object]) -> None:
        begun = _instant(row["_begun"]) or at
        if self._since is None or self._unobserved(row, begun):
            self._since = begun
        self._phase = Phase.PENDING
        if at - self._since >= self._hold:
            self._phase, self._fired_at = Phase.FIRING, at
            self._tell(Change.FIRED, at, row)

    def _unobserved(self, row: dict[str, object], begun: datetime) -> bool:
        """Return whether a stretch nobody saw lies before this row; it proves no duration."""
        if self._seen_at is None:
            return True
        allowed = timedelta(0) if row["_begun"] != row["at"] else self._hold
        return begun - self._seen_at > allowed

    def _tell(self, change: Change, at: datetime, row: dict[str, object]) -> None:
        since, fired_at = self._since or at, self._fired_at or at
        site = str(row["site_id"])
        self.transitions.append(
            Transition(change, self._id, site, since, fired_at, at, plain_row(row))
        )

    def end(self) -> tuple[object, ...]:
        return self._id, self._phase.value, self._since, self._fired_at, self._seen_at


def plain_row(row: Mapping[str, object]) -> dict[str, object]:
    """Return the subject's own columns of a row."""
    return {name: value for name, value in row.items() if name not in _INNER}


_INNER = frozenset({"_when", "_clear", "_begun", "phase", "since", "fired_at", "seen_at"})


def _instant(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _merged(state: pl.DataFrame, judged: pl.DataFrame, changed: pl.DataFrame) -> pl.DataFrame:
    """Return the new state: `changed` where something happened, else only `seen_at` moves on."""
    seen = judged.group_by("subject_id").agg(pl.col("at").max())
    quiet = (
        state.join(seen, on="subject_id", how="full", coalesce=True)
        .with_columns(
            pl.max_horizontal("seen_at", "at").alias("seen_at"),
            pl.col("phase").fill_null(Phase.OK.value),
        )
        .drop("at")
        .join(changed, on="subject_id", how="anti")
    )
    return pl.concat([quiet, changed]).sort("subject_id")
