"""The health of the meters on disk: what another process, and the next one, know of it."""

import io
from datetime import datetime
from pathlib import Path

import polars as pl

from collector.healthrow import HEALTH
from collector.reading import UTC_US

_AT = "written_at"


def save(path: Path, health: pl.DataFrame, at: datetime) -> None:
    """Write a snapshot so that a reader finds the old one or the new one, never a mixture.

    Raises:
        OSError: the disk failed; the old snapshot is intact.
    """
    part = path.with_suffix(".part")
    stamped = health.with_columns(pl.lit(at, dtype=UTC_US).alias(_AT))
    stamped.write_ipc(part, compression="lz4")
    part.replace(path)


def load(path: Path) -> tuple[pl.DataFrame, datetime | None]:
    """Return the last snapshot (schema HEALTH) and when it was written; empty and None if none.

    A file of another version tells nothing: it is written anew within seconds.
    """
    nothing = pl.DataFrame(schema=HEALTH)
    try:
        found = pl.read_ipc(io.BytesIO(path.read_bytes()))
    except (FileNotFoundError, pl.exceptions.ComputeError):
        return nothing, None
    if found.schema != pl.Schema(HEALTH | {_AT: UTC_US}):
        return nothing, None
    at = found[_AT].max()
    return found.drop(_AT), at if isinstance(at, datetime) else None
