"""Dated changes of meter and ratio: where a register ends, another begins, and what was declared.

A declared final register is put 1 microsecond before the change, a declared start register at it,
as if they had been read; between the two nothing is gained. So energy before a change is the old
register's, energy after it the new one's, and the time between the last reading before and the
first one after is bridged by declared registers or not at all.
"""

from dataclasses import dataclass, field

import numpy as np

from processors.book import Book
from processors.limits import NOISE_KWH, Bools, Floats, Ints

KINDS = ("meter", "ratio")
_NONE: Ints = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes sorted by (code, time)."""

    code: Ints
    t: Ints
    kind: Ints
    """Index into KINDS."""
    final: Floats
    """Declared register (kWh) of the old meter or ratio, NaN if nobody read it."""
    start: Floats
    """The same of the new one."""

    @classmethod
    def of(cls, book: Book) -> "Changes":
        """Return the book's changes."""
        rows = book.changes
        if rows.is_empty():
            nothing = np.empty(0)
            return cls(_NONE, _NONE, _NONE, nothing, nothing)
        final, start = (
            rows[name].fill_null(float("nan")).to_numpy() for name in ("final_kwh", "start_kwh")
        )
        kind = (rows["kind"] == "ratio").cast(int).to_numpy()
        return cls(rows["code"].to_numpy(), rows["at"].to_physical().to_numpy(), kind, final, start)

    def after(self, code: Ints, t: Ints) -> Bools:
        """Return which readings are the first of their meter at or after a change.

        A meter's first reading is never one. Readings are sorted by (code, time).
        """
        first: Bools = np.zeros(len(t), dtype=bool)
        if len(self.t) and len(t):
            keys, mine = _keys(code, t, self.code, self.t)
            count = np.searchsorted(mine, keys, "right")
            first[1:] = (count[1:] != count[:-1]) & (code[1:] == code[:-1])
        return first


@dataclass(frozen=True, slots=True)
class Series:
    """Accepted readings of registers, sorted by (code, time), with what was declared among them."""

    code: Ints
    t: Ints
    v: Floats
    rows: Ints
    """Index of each reading among those offered; -1: declared."""
    broken: Bools
    """The reading shows another register than the one before it."""
    events: tuple[Ints, Ints, Ints] = field(default_factory=lambda: (_NONE, _NONE, _NONE))
    """(code, t, 0 or 1 by KINDS) of each change between two readings."""
    unlike: tuple[Ints, Ints] = field(default_factory=lambda: (_NONE, _NONE))
    """(code, t) of declared start registers that a reading of that instant contradicts."""


def with_declared(series: Series, changes: Changes) -> Series:
    """Return accepted readings with the declared registers of the changes that lie among them.

    Args:
        series: without any; `broken` for other causes than these changes.
        changes: of all meters.
    """
    code, t, v, rows = series.code, series.t, series.v, series.rows
    keys, mine = _keys(code, t, changes.code, changes.t)
    place = np.searchsorted(keys, mine, "left")
    before, at = np.maximum(place - 1, 0), np.minimum(place, len(t) - 1)
    inside = (place > 0) & (code[before] == changes.code) & (code[at] == changes.code)
    inside &= place < len(t)
    told, last, first = np.flatnonzero(inside), before[inside], at[inside]
    owner, when = changes.code[told], changes.t[told]
    final, start = changes.final[told], changes.start[told]
    read = t[first] == when
    ends = ~np.isnan(final) & (t[last] != when - 1)
    begins = ~np.isnan(start) & ~read
    unlike = read & (np.abs(v[first] - start) > NOISE_KWH)
    extra = int(ends.sum() + begins.sum())
    all_code = np.concatenate((code, owner[ends], owner[begins]))
    all_t = np.concatenate((t, when[ends] - 1, when[begins]))
    order = np.lexsort((all_t, all_code))
    out_code, out_t = all_code[order], all_t[order]
    otherwise = np.concatenate((series.broken, np.zeros(extra, dtype=bool)))[order]
    return Series(
        code=out_code,
        t=out_t,
        v=np.concatenate((v, final[ends], start[begins]))[order],
        rows=np.concatenate((rows, np.full(extra, -1)))[order],
        broken=otherwise | changes.after(out_code, out_t),
        events=(owner, when, changes.kind[told]),
        unlike=(owner[unlike], when[unlike]),
    )


def _keys(code: Ints, t: Ints, other: Ints, at: Ints) -> tuple[Ints, Ints]:
    """Return one sort key for each reading and each change."""
    base, span = int(t.min()), int(t.max() - t.min()) + 2
    return code * span + (t - base), other * span + np.clip(at - base, 0, span - 1)
