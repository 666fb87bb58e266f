"""What a running system knows of anomalies, on disk: its state, and points to go back to."""

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import structlog

from collector.reading import UTC_US
from processors.anomaly import ANOMALY, SOUGHT
from processors.anomaly_arrivals import Mark
from processors.anomaly_carry import FRAMES, Carry, joined

ENDED: dict[str, pl.DataType] = ANOMALY | {"decided": UTC_US}
"""An anomaly that ended, and the end of the span in which that was seen."""

_HEAD: dict[str, pl.DataType] = {
    "at": UTC_US,
    "since": UTC_US,
    "begun": pl.Boolean(),
    "seq": pl.Int64(),
    "computed_at": UTC_US,
}


class PointError(OSError):
    """A point to go back to is damaged or gone."""


@dataclass(frozen=True, slots=True)
class State:
    """What is known after a look."""

    at: datetime
    """Up to here it is settled; the rest is looked at again each time."""
    since: datetime
    """Where looking began."""
    carry: Carry | None
    """What is known at `at`; None: looking begins there."""
    mark: Mark
    ended: pl.DataFrame
    """Schema ENDED, settled."""
    known: pl.DataFrame
    """Schema ANOMALY: all of it."""
    active: pl.DataFrame
    """Schema ANOMALY: what rules were told."""
    sought: pl.DataFrame
    """Schema SOUGHT, of the last look."""

    @classmethod
    def beginning(cls, at: datetime, mark: Mark) -> "State":
        """Return the state before anything was looked at."""
        ended, nothing = pl.DataFrame(schema=ENDED), pl.DataFrame(schema=ANOMALY)
        return cls(at, at, None, mark, ended, nothing, nothing, pl.DataFrame(schema=SOUGHT))


_TABLES = {"ended": ENDED, "known": ANOMALY, "active": ANOMALY, "sought": SOUGHT}


def save(path: Path, state: State) -> None:
    """Write the state so that a crash leaves the old one or the new one."""
    mark = state.mark
    head = (state.at, state.since, state.carry is not None, mark.seq, mark.computed_at)
    frames = {name: getattr(state, name) for name in _TABLES}
    _write(path, head, frames, state.carry)


def load(path: Path) -> State | None:
    """Return the state; None: there is none, or of another version."""
    found = _read(path, _TABLES)
    if found is None:
        return None
    head, frames, carry = found
    at, since, _, seq, computed_at = head
    return State(at, since, carry, Mark(seq, computed_at), **frames)


class Points:
    """What was known at the midnights of UTC, and where looking began: a file each."""

    def __init__(self, folder: Path) -> None:
        """Use the folder; it is made with the first point."""
        self._folder = folder

    def put(self, at: datetime, carry: Carry | None) -> None:
        """Keep a point."""
        self._folder.mkdir(parents=True, exist_ok=True)
        _write(self._path(at), (at, at, carry is not None, 0, at), {}, carry)

    def get(self, at: datetime) -> Carry | None:
        """Return what was known at a point; None: looking began there.

        Raises:
            PointError: its file is damaged or gone.
        """
        found = _read(self._path(at), {})
        if found is None:
            raise PointError(f"{self._path(at)}: not a point of this version")
        return found[2]

    def replace(self, at: datetime, some: Carry, names: pl.DataFrame) -> None:
        """Put what is known of some meters (column `meter_id`) into a point."""
        whole = self.get(at)
        if whole is not None:
            self.put(at, joined([whole.of(names, others=True), some]))

    def before(self, instant: datetime) -> datetime | None:
        """Return the last point before an instant, else the first one; None: there is none."""
        known = self.all()
        return max((at for at in known if at < instant), default=known[0] if known else None)

    def all(self) -> list[datetime]:
        """Return all points, the first one first."""
        stems = (path.stem for path in self._folder.glob("*.arrow"))
        return sorted(datetime.strptime(one, _STEM).replace(tzinfo=UTC) for one in stems)

    def forget(self, before: datetime) -> None:
        """Remove the points before an instant but the last of them."""
        for at in [one for one in self.all() if one < before][:-1]:
            self._path(at).unlink()

    def clear(self) -> None:
        """Remove all points."""
        for at in self.all():
            self._path(at).unlink()

    def _path(self, at: datetime) -> Path:
        return self._folder / f"{at.astimezone(UTC).strftime(_STEM)}.arrow"


_STEM = "%Y-%m-%dT%H"


def next_point(after: datetime) -> datetime:
    """Return the first midnight of UTC after an instant."""
    day = after.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1)


_Head = tuple[datetime, datetime, bool, int, datetime]


def _write(
    path: Path, head: _Head, frames: Mapping[str, pl.DataFrame], carry: Carry | None
) -> None:
    whole = {"head": pl.DataFrame([head], schema=_HEAD, orient="row")} | dict(frames)
    whole |= {name: getattr(carry, name) for name in FRAMES} if carry else {}
    file = pl.DataFrame({"name": list(whole), "data": [_bytes(one) for one in whole.values()]})
    part = path.with_suffix(".part")
    with part.open("wb") as opened:
        file.write_ipc(opened)
        opened.flush()
        os.fsync(opened.fileno())
    part.replace(path)


def _bytes(frame: pl.DataFrame) -> bytes:
    kept = io.BytesIO()
    frame.write_ipc(kept, compression="zstd")
    return kept.getvalue()


def _read(
    path: Path, tables: Mapping[str, Mapping[str, pl.DataType]]
) -> tuple[_Head, dict[str, pl.DataFrame], Carry | None] | None:
    try:
        file = pl.read_ipc(io.BytesIO(path.read_bytes()))
        frames = {name: pl.read_ipc(io.BytesIO(data)) for name, data in file.iter_rows()}
    except FileNotFoundError:
        return None
    except (pl.exceptions.PolarsError, ValueError, TypeError):
        _refused(path)
        return None
    wanted = {"head": _HEAD} | dict(tables) | (FRAMES if "signals" in frames else {})
    if {name: one.schema for name, one in frames.items()} != {
        name: pl.Schema(schema) for name, schema in wanted.items()
    }:
        _refused(path)
        return None
    head = frames.pop("head").row(0)
    at, begun = head[0], head[2]
    parts: Sequence[pl.DataFrame] = [frames.pop(name) for name in FRAMES] if begun else []
    return head, frames, Carry(at, *parts) if begun else None


def _refused(path: Path) -> None:
    structlog.get_logger().warning(
        "the file is damaged or of another version: anomalies are looked for as on the first start",
        path=str(path),
    )
