"""The newest intervals in memory: what is not on disk yet, and the last days by data time.

Screens, sinks and the folding of days read from here, so they never wait for a file. Frames are
kept in slots of six hours of block start; a slot is dropped whole once it is on disk and either
older than `span` behind the newest block or beyond `max_rows`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import polars as pl

from processors.interval import INTERVAL, empty

FIRST = datetime(1, 1, 1, tzinfo=UTC)
"""Before every block: a floor here means that memory holds all."""
LAST = datetime(9999, 1, 1, tzinfo=UTC)
"""After every block: a floor here means that memory holds nothing."""
SLOT = timedelta(hours=6)
_SLOT_US = int(SLOT / timedelta(microseconds=1))


@dataclass(slots=True)
class Recent:
    """Interval rows held in memory; not locked, its owner is."""

    span: timedelta
    """Data time kept behind the newest block; 3 days show today, yesterday and a late gateway."""
    max_rows: int
    """Most rows kept that are on disk too; about 140 bytes each."""
    floor: datetime = FIRST
    """Every row with `start` from here on is in memory."""
    evicted: datetime = FIRST
    """Every row with `computed_at` after this is in memory."""
    pending: list[pl.DataFrame] = field(default_factory=list)
    """Frames not on disk yet, in the order they came."""
    _slots: dict[int, list[pl.DataFrame]] = field(default_factory=dict)

    def frames(self, start: datetime, end: datetime) -> list[pl.DataFrame]:
        """Return the frames that may hold rows with `start` in [start, end)."""
        first, last = _slot(start), _slot(end)
        held = [f for slot, fs in self._slots.items() if first <= slot <= last for f in fs]
        return [*held, *self.pending]

    def all(self) -> list[pl.DataFrame]:
        """Return every frame in memory."""
        return self.frames(FIRST, LAST)

    def settle(self, count: int) -> None:
        """Take the first `count` pending frames as on disk, and drop what need not stay."""
        done, self.pending = self.pending[:count], self.pending[count:]
        if done:
            self.hold(pl.concat(done))

    def hold(self, rows: pl.DataFrame) -> None:
        """Keep rows that are on disk, as far as they are recent."""
        slotted = rows.with_columns(_slot=pl.col("start").dt.epoch("us") // _SLOT_US)
        for (slot,), part in slotted.partition_by("_slot", include_key=False, as_dict=True).items():
            _merge(self._slots.setdefault(int(slot), []), part)
        self._evict()

    def _evict(self) -> None:
        if not self._slots:
            return
        keep = max(max(self._slots) - self.span // SLOT, _slot(self.floor))
        sizes = {slot: sum(f.height for f in self._slots[slot]) for slot in self._slots}
        total = sum(sizes.values())
        for slot in sorted(self._slots):
            newest = slot == max(self._slots)
            if slot >= keep and (total <= self.max_rows or newest):
                break
            total -= sizes[slot]
            self._drop(slot)

    def _drop(self, slot: int) -> None:
        newest = max(_latest(frame) for frame in self._slots.pop(slot))
        self.evicted = max(self.evicted, newest)
        self.floor = max(self.floor, _start(slot + 1))


def joined(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return the frames as one, without copying."""
    listed = list(frames)
    return pl.concat(listed, rechunk=False) if listed else empty()


def nothing_held() -> Recent:
    """Return a memory that stays empty: for a reader of another process's history."""
    return Recent(span=SLOT, max_rows=0, floor=LAST, evicted=LAST)


def conformed(frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with the INTERVAL columns, in order and type."""
    return frame.select(pl.col(name).cast(kind) for name, kind in INTERVAL.items())


def _merge(frames: list[pl.DataFrame], part: pl.DataFrame) -> None:
    """Add `part`, joining frames of like size: few frames, each row copied few times."""
    while frames and frames[-1].height <= 2 * part.height:
        part = pl.concat([frames.pop(), part], rechunk=True)
    frames.append(part)


def _slot(at: datetime) -> int:
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) // _SLOT_US


def _start(slot: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + slot * SLOT


def _latest(frame: pl.DataFrame) -> datetime:
    newest = frame["computed_at"].max()
    return newest if isinstance(newest, datetime) else FIRST
