"""Sums that follow their meters by delta: a late revision takes its old value out and its own in.

`(state, rows) -> (state, changed GROUP rows)`. The state holds, of each block still followed, what
each meter last said and the totals of all groups, in whole numbers (`groups.py`), so any order of
rows, first issues and revisions, gives exactly the sums computed from all rows at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import repeat

import numpy as np
import numpy.typing as npt
import polars as pl

from collector.reading import UTC_US
from processors.groups import COUNTS, ENERGIES, MOST_KWH, TOTALS, UNIT, stated
from processors.interval import Quality
from processors.places import KINDS, ROLES, Places

Ints = npt.NDArray[np.int64]
_NEVER = np.iinfo(np.int64).min
_PARTS = ("n", "e", "n_estimated", "e_estimated", "covered", "covered_kw", "revision", "at")
"""What is kept of a meter's row, columns of `Block.said`; `at` is `computed_at` in us of UTC."""
_NAMES = (*TOTALS, "revision")
_ESTIMATED = list(Quality).index(Quality.ESTIMATED)
_AT, _REVISION = _PARTS.index("at"), _PARTS.index("revision")


@dataclass(frozen=True, slots=True)
class Plan:
    """Who counts where, as numbers."""

    code: Mapping[str, int]
    """Meter -> its row."""
    role: Ints
    signed: Ints
    rated: npt.NDArray[np.float64]
    """kW; 0 where it is not told."""
    group: Ints
    """(kinds, meters): the group of each meter, counted over all kinds."""
    facts: pl.DataFrame
    """GROUP_FACTS, one row a group."""

    @classmethod
    def of(cls, places: Places, kinds: Sequence[str] = KINDS) -> "Plan":
        """Build the plan of some kinds of groups."""
        facts = pl.concat([places.facts(kind) for kind in kinds])
        place = facts.select("group_kind", "group_id").with_row_index("group")
        members = (
            places.members(kind).select("group_id", pl.lit(kind).alias("group_kind"))
            for kind in kinds
        )
        keys = ["group_kind", "group_id"]
        group = [one.join(place, on=keys, maintain_order="left")["group"] for one in members]
        meters = places.meters
        return cls(
            {name: row for row, name in enumerate(meters["meter_id"])},
            meters["role"].cast(pl.Int64).to_numpy(),
            meters["signed"].cast(pl.Int64).to_numpy(),
            meters["rated_power_kw"].fill_null(0.0).to_numpy(),
            np.stack([one.cast(pl.Int64).to_numpy() for one in group]),
            facts,
        )


@dataclass(frozen=True, slots=True)
class Block:
    """One block: what each meter last said, and the sums. Arrays are never written to again."""

    said: Ints
    """(meters, _PARTS); `at` is the least number where a meter has said nothing."""
    totals: Ints
    """(_NAMES, groups)."""
    at: Ints
    """Greatest `computed_at` of each group, us of UTC."""


@dataclass(frozen=True, slots=True)
class GroupState:
    """The blocks still followed; immutable."""

    plan: Plan
    blocks: Mapping[int, Block] = field(default_factory=dict)
    """Start (us of UTC) -> block; some 64 bytes a meter and block."""

    def forget(self, before: datetime) -> "GroupState":
        """Return the state without the blocks that start earlier: their sums follow no more."""
        first = _us(before)
        return replace(self, blocks={t: one for t, one in self.blocks.items() if t >= first})

    def sums(self) -> pl.DataFrame:
        """Return GROUP rows of all groups and blocks, sorted by kind, group and start."""
        every = np.arange(self.plan.facts.height)
        rows = [_rows(start, one, every) for start, one in self.blocks.items()]
        return _framed(rows, self.plan).sort("group_kind", "group_id", "start")


def update(state: GroupState, intervals: pl.DataFrame) -> tuple[GroupState, pl.DataFrame]:
    """Take INTERVAL rows, first issues and revisions, into the sums.

    Args:
        state: what was summed so far.
        intervals: INTERVAL rows in any order; one that is older than what its meter last said of
            the block changes nothing.

    Returns:
        The new state, and GROUP rows of the groups that changed; of a block that begins, of all.
    """
    plan = state.plan
    names = intervals["meter_id"].to_list()
    code = np.fromiter(map(plan.code.get, names, repeat(-1)), np.int64, len(names))
    start = intervals["start"].to_physical().to_numpy()
    if (code < 0).any():
        intervals, start, code = intervals.filter(code >= 0), start[code >= 0], code[code >= 0]
    said = _said(intervals, plan, code)
    blocks, rows = dict(state.blocks), []
    for one in _distinct(start):
        mine = np.flatnonzero(start == one)
        before = blocks.get(int(one))
        begun = _empty(plan) if before is None else before
        after, changed = _moved(plan, begun, code[mine], said[mine])
        blocks[int(one)] = after
        touched = np.arange(len(after.at)) if before is None else changed
        rows.append(_rows(int(one), after, touched))
    return replace(state, blocks=blocks), _framed(rows, plan)


def _distinct(start: Ints) -> Ints:
    return start[:1] if len(start) and (start == start[0]).all() else np.unique(start)


def _empty(plan: Plan) -> Block:
    said = np.zeros((len(plan.role), len(_PARTS)), np.int64)
    said[:, _AT] = _NEVER
    groups = plan.facts.height
    return Block(said, np.zeros((len(_NAMES), groups), np.int64), np.full(groups, _NEVER))


def _said(intervals: pl.DataFrame, plan: Plan, code: Ints) -> Ints:
    """Return what each row adds, shape (rows, _PARTS)."""
    told = intervals["energy_kwh"].to_numpy()  # null is NaN
    known = np.abs(told) <= MOST_KWH  # no NaN is
    energy = _whole(np.where(known, told, 0.0))
    main = plan.role[code] == ROLES.index("main")
    quality = intervals["quality"].to_physical().fill_null(0).to_numpy()
    estimated = known & main & (quality == _ESTIMATED)
    coverage = np.where(main, np.nan_to_num(intervals["coverage"].to_numpy()), 0.0)
    parts = (
        known,
        energy,
        estimated,
        np.where(estimated, energy, 0),
        _whole(coverage),
        _whole(coverage * plan.rated[code]),
        intervals["revision"].to_numpy(),
        intervals["computed_at"].to_physical().to_numpy(),
    )
    return np.stack(parts, axis=1).astype(np.int64)


def _whole(value: npt.NDArray[np.float64]) -> Ints:
    return np.floor(value * UNIT + 0.5).astype(np.int64)


def _moved(plan: Plan, block: Block, code: Ints, said: Ints) -> tuple[Block, Ints]:
    """Return the block after these rows, and the groups they changed."""
    if (np.diff(code) <= 0).any():
        order = np.lexsort((said[:, _REVISION], said[:, _AT], code))
        last = np.append(code[order][1:] != code[order][:-1], True)
        code, said = code[order][last], said[order][last]
    old = block.said[code]
    newer = (said[:, _AT] > old[:, _AT]) | (
        (said[:, _AT] == old[:, _AT]) & (said[:, _REVISION] > old[:, _REVISION])
    )
    code, said, old = code[newer], said[newer], old[newer]
    delta = _columns(plan, code, said - old)
    totals, at, kept = block.totals.copy(), block.at.copy(), block.said.copy()
    kept[code] = said
    for group in plan.group[:, code]:
        for column, value in delta.items():
            np.add.at(totals[column], group, value)
        np.maximum.at(at, group, said[:, _AT])
    touched = np.zeros(len(at), bool)
    touched[plan.group[:, code].ravel()] = True
    return Block(kept, totals, at), np.flatnonzero(touched)


def _columns(plan: Plan, code: Ints, change: Ints) -> dict[int, Ints]:
    """Return what each row changes, by column of the totals that is touched at all."""
    part = dict(zip(_PARTS, change.T, strict=True))
    found: dict[str, Ints] = {name: part[name] for name in TOTALS if name in part}
    found["revision"] = part["revision"]
    found["heard_signed"] = part["n"] * plan.signed[code]
    for place, (count, energy) in enumerate(zip(COUNTS, ENERGIES, strict=True)):
        mine = plan.role[code] == place
        found[count], found[energy] = part["n"] * mine, part["e"] * mine
    return {_NAMES.index(name): value for name, value in found.items() if value.any()}


def _rows(start: int, block: Block, groups: Ints) -> Ints:
    """Return, shape (_NAMES and group, start, at; groups), what `_framed` needs."""
    return np.vstack(
        [block.totals[:, groups], groups, np.full(len(groups), start), block.at[groups]]
    )


def _framed(rows: Sequence[Ints], plan: Plan) -> pl.DataFrame:
    names = (*_NAMES, "group", "start", "computed_at")
    whole = np.concatenate([np.zeros((len(names), 0), np.int64), *rows], axis=1)
    group, start, at = whole[len(_NAMES) :]
    columns = [pl.Series(name, one) for name, one in zip(_NAMES, whole, strict=False)]
    said = pl.Series("computed_at", at).cast(UTC_US)
    if (at == _NEVER).any():
        said = said.set(pl.Series(at == _NEVER), None)
    columns += [pl.Series("start", start).cast(UTC_US), said]
    return stated(plan.facts[group].hstack(columns))


def _us(when: datetime) -> int:
    return int(pl.Series([when], dtype=UTC_US).to_physical()[0])
