"""How far the forwarder has come: a live edge, and the holes left behind it to be filled. Pure.

Everything up to `live` has been forwarded except the holes. After an outage the backlog becomes a
hole and the live edge jumps to the newest reading, so that what is measured now goes first.
"""

import json
from dataclasses import dataclass, replace

MAX_HOLES = 64
"""More outages than this within one backlog are caught up with in order, without a jump."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Sequence numbers `after < seq <= through` that are still to be forwarded."""

    after: int
    through: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been forwarded of the journal."""

    live: int = 0
    holes: tuple[Hole, ...] = ()
    """Ascending, never empty ones, never touching."""

    def jump(self, last: int) -> "Progress":
        """Return progress whose live edge is `last`; what lies between becomes a hole."""
        return self if len(self.holes) >= MAX_HOLES else self._stretched(last)

    def _stretched(self, last: int) -> "Progress":
        if last <= self.live:
            return self
        if self.holes and self.holes[-1].through == self.live:
            before, hole = self.holes[:-1], Hole(self.holes[-1].after, last)
        else:
            before, hole = self.holes, Hole(self.live, last)
        return Progress(last, (*before, hole))

    def forwarded(self, after: int, through: int) -> "Progress":
        """Return progress once `after < seq <= through` has arrived upstream.

        Acknowledgements come in any order: what arrives ahead of the live edge leaves a hole.
        """
        if through <= after:
            return self
        ahead = self._stretched(through)
        holes: list[Hole] = []
        for one in ahead.holes:
            holes += [Hole(one.after, min(one.through, after))] if one.after < after else []
            holes += [Hole(max(one.after, through), one.through)] if one.through > through else []
        return replace(ahead, holes=tuple(holes))

    def pending(self, last: int) -> tuple[Hole, ...]:
        """Return everything not yet forwarded of a journal whose newest number is `last`."""
        fresh = (Hole(self.live, last),) if last > self.live else ()
        return (*self.holes, *fresh)

    def done(self) -> tuple[Hole, ...]:
        """Return the spans that have been forwarded."""
        edges = [0, *(edge for one in self.holes for edge in (one.after, one.through)), self.live]
        spans = zip(edges[::2], edges[1::2], strict=True)
        return tuple(Hole(after, through) for after, through in spans if through > after)

    def text(self) -> str:
        """Return this as JSON."""
        holes = [[one.after, one.through] for one in self.holes]
        return json.dumps({"live": self.live, "holes": holes})

    @classmethod
    def parse(cls, text: str) -> "Progress":
        """Return what `text` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            read = json.loads(text)
            holes = tuple(Hole(int(after), int(through)) for after, through in read["holes"])
            found = cls(int(read["live"]), holes)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a cursor: {text[:60]!r}") from error
        edges = [edge for one in holes for edge in (one.after, one.through)] + [found.live]
        if edges != sorted(edges) or edges[0] < 0 or any(h.after == h.through for h in holes):
            raise ValueError(f"not a cursor: {text[:60]!r}")
        return found
