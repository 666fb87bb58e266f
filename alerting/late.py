"""PURE. Breaches found late: blocks older than what their subject was already judged on.

A gateway that was offline delivers days afterwards, and the site's sum for those days is then
revised. Such a breach is over by the time it is known, so it fires and resolves at once. Whether an
alert already tells of it, only the ledger can say (`Ledger.tells_of`).
"""

from collections.abc import Iterator

import polars as pl

from alerting.lifecycle import Change, Transition, plain_row
from alerting.rules import Compiled
from alerting.subjects import BLOCKS, conform


def late_breaches(
    state: pl.DataFrame, rule: Compiled, frame: pl.DataFrame
) -> list[tuple[Transition, Transition]]:
    """Return what fires and resolves because of late rows.

    Args:
        state: schema lifecycle.STATE, before the frame is judged.
        rule: the compiled rule; kinds of subject without blocks have no late rows.
        frame: rows of the rule's kind of subject, in any order.

    Returns:
        A pair (fired, resolved) for each unbroken run of blocks in breach that lasts the rule's
        `for`, in order of subject and time. The alert resolves at the end of its last such block.
    """
    if rule.rule.on not in BLOCKS:
        return []
    late = (
        conform(rule.rule.on, frame)
        .join(state.select("subject_id", "seen_at"), on="subject_id")
        .filter(pl.col("at") < pl.col("seen_at"))
        .filter(rule.when)
        .unique(["subject_id", "at"], keep="last", maintain_order=True)
        .sort("subject_id", "at")
    )
    return [pair for run in _runs(late) for pair in _told(rule, run)]


def _runs(late: pl.DataFrame) -> Iterator[list[dict[str, object]]]:
    """Yield each subject's stretches of blocks that follow one another without a break."""
    before = pl.col("at").shift().over("subject_id")
    begins = (pl.col("start") > before).fill_null(value=True)
    for part in late.with_columns(_run=begins.cum_sum()).partition_by("_run", maintain_order=True):
        yield part.drop("_run", "seen_at").to_dicts()


def _told(rule: Compiled, run: list[dict[str, object]]) -> Iterator[tuple[Transition, Transition]]:
    since = run[0]["start"]
    fired = next((row for row in run if row["at"] - since >= rule.rule.hold), None)  # type: ignore[operator] # both are instants
    if fired is not None:
        yield (
            _transition(Change.FIRED, fired, fired, since),
            _transition(Change.RESOLVED, run[-1], fired, since),
        )


def _transition(
    change: Change, row: dict[str, object], fired: dict[str, object], since: object
) -> Transition:
    return Transition(
        change=change,
        subject_id=str(row["subject_id"]),
        site_id=str(row["site_id"]),
        since=since,  # type: ignore[arg-type] # a column of type UTC_US
        fired_at=fired["at"],  # type: ignore[arg-type] # same
        at=row["at"],  # type: ignore[arg-type] # same
        row=plain_row(row),
    )
