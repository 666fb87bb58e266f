"""The blocks asked for, laid out as consecutive rows meter by meter."""

from dataclasses import dataclass

import numpy as np

from processors.limits import Bools, Ints

BLOCK_US = 900_000_000


def floor_block(t: Ints) -> Ints:
    """Return the start of the block that holds each instant (microseconds)."""
    return t - t % BLOCK_US


@dataclass(frozen=True, slots=True)
class Span:
    """The blocks asked for: meter codes with the first block's start and the last one's end."""

    code: Ints
    """Ascending, distinct."""
    start: Ints
    """Microseconds, on a block boundary."""
    end: Ints

    def take(self, rows: Bools) -> "Span":
        """Return the spans where `rows` is true."""
        return Span(self.code[rows], self.start[rows], self.end[rows])


@dataclass(frozen=True, slots=True)
class Grid:
    """One row a block; each meter's rows are led by the block before its span.

    The leading row is there for windows that slide in from it; `wanted` are the rows asked for.
    """

    span: Span
    lead: Ints
    """Row of the leading block of each meter of the span."""
    code: Ints
    start: Ints
    wanted: Ints

    @classmethod
    def of(cls, span: Span) -> "Grid":
        """Lay out `span`."""
        rows = (span.end - span.start) // BLOCK_US + 1
        lead = np.cumsum(rows) - rows
        offset = np.arange(int(rows.sum())) - np.repeat(lead, rows)
        start = np.repeat(span.start, rows) + (offset - 1) * BLOCK_US
        return cls(span, lead, np.repeat(span.code, rows), start, np.flatnonzero(offset > 0))

    def rows_of(self, code: Ints, t: Ints) -> Ints:
        """Return the row of the wanted block that holds each instant, -1 where none does."""
        size = int(max(code.max(initial=0), self.span.code[-1])) + 1
        start, end, lead = (np.zeros(size, dtype=np.int64) for _ in range(3))
        start[self.span.code], end[self.span.code] = self.span.start, self.span.end
        lead[self.span.code] = self.lead
        since = t - start[code]  # a code outside the span begins and ends at 0: nothing is inside
        inside = (since >= 0) & (t < end[code])
        return np.where(inside, lead[code] + 1 + since // BLOCK_US, -1)
