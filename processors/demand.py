"""Sliding maximum demand on a minute grid.

Maximum demand (最大需量): greatest mean power over a window of 15 minutes that slips by 1 minute
(DL/T 645-2007 meter parameters 4100/4101: demand period and slip). A window is as long as a block,
so a window ending at minute k of a block began at minute k of the block before: with the register's
value at each minute of each block as a row, sliding energy is the row minus the row before it.
"""

import numpy as np

from processors.grid import BLOCK_US, Grid
from processors.limits import Floats, Ints
from processors.register import Register, evaluate

MINUTE_US = 60_000_000
SLIPS = 15
"""Windows that end in a block: one a minute."""
DENSE = 7
"""Fewer readings than this cannot put each minute of a block within a straddle of 2 minutes."""
LONGEST_STRADDLE_US = 120_000_000


def sliding_maximum(register: Register, grid: Grid) -> tuple[Floats, Ints, Ints]:
    """Return the greatest sliding demand ending in each wanted block of the grid.

    Returns:
        kW (NaN where no window is stated), the end of that window (microseconds; the earliest if
        several are equal), and how many of the block's 15 windows are stated.
    """
    wanted = grid.wanted
    top = np.full(len(wanted), np.nan)
    at = grid.start[wanted] + BLOCK_US
    stated = np.zeros(len(wanted), dtype=np.int64)
    dense = np.flatnonzero(_readings_in(register, grid) >= DENSE)
    if dense.size:
        kw = _windows_kw(register, grid, wanted[dense])
        stated[dense] = np.count_nonzero(~np.isnan(kw), axis=1)
        filled = np.where(np.isnan(kw), -np.inf, kw)
        column = np.argmax(filled, axis=1)
        best = filled[np.arange(len(kw)), column]
        top[dense] = np.where(np.isneginf(best), np.nan, best)
        at[dense] = grid.start[wanted[dense]] + (column + 1) * MINUTE_US
    return top, at, stated


def _readings_in(register: Register, grid: Grid) -> Ints:
    """Return how many accepted readings lie in each wanted block."""
    code, start = grid.code[grid.wanted], grid.start[grid.wanted]
    low, high = (
        np.searchsorted(
            register.key, code * register.span + np.clip(t - register.base, 0, register.span)
        )
        for t in (start, start + BLOCK_US)
    )
    return high - low


def _windows_kw(register: Register, grid: Grid, wanted: Ints) -> Floats:
    """Return the sliding demand of the 15 windows ending in each block, shape (blocks, 15).

    NaN where a window's ends are not both known to two minutes, or the register jumped inside it.
    """
    rows, place = np.unique(np.concatenate((wanted, wanted - 1)), return_inverse=True)
    ends = grid.start[rows][:, None] + MINUTE_US * np.arange(1, SLIPS + 1)
    value, jumps = _minutes(register, grid.code[rows], ends)
    now, before = place[: len(wanted)], place[len(wanted) :]
    kw: Floats = (value[now] - value[before]) * 4.0
    kw[jumps[now] != jumps[before]] = np.nan
    return kw


def _minutes(register: Register, code: Ints, t: Ints) -> tuple[Floats, Ints]:
    """Return register values (NaN where unknown) and jump counts at `t`, shape (blocks, 15)."""
    first = register.t[np.searchsorted(register.code, code, "left")][:, None]
    last = register.t[np.searchsorted(register.code, code, "right") - 1][:, None]
    inside = (t >= first) & (t <= last)
    points = evaluate(register, np.repeat(code, SLIPS), np.clip(t, first, last).ravel())
    known = inside.ravel() & points.stated & (points.straddle_us <= LONGEST_STRADDLE_US)
    value = np.where(known, points.v, np.nan)
    return value.reshape(-1, SLIPS), register.jumps[points.at].reshape(-1, SLIPS)
