"""The step's state on disk, with the journal position it belongs to."""

import os
from pathlib import Path

from processors.step import State

_MAGIC = b"DWSTATE1"


def save(path: Path, state: State, seq: int) -> None:
    """Write the snapshot so that a crash leaves the old one or the new one, never a mixture.

    Raises:
        OSError: the disk failed; the old snapshot is intact.
    """
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(_MAGIC + seq.to_bytes(8, "little") + state.to_arrow())
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load(path: Path) -> tuple[State, int] | None:
    """Return the state and its journal position, or None if there is no snapshot.

    Raises:
        ValueError: the file is damaged or of another version.
    """
    if not path.exists():
        return None
    blob = path.read_bytes()
    if blob[: len(_MAGIC)] != _MAGIC:
        raise ValueError(f"{path}: not a state snapshot of this version")
    head = len(_MAGIC)
    return State.from_arrow(blob[head + 8 :]), int.from_bytes(blob[head : head + 8], "little")
