"""The data folder belongs to one process at a time."""

import fcntl
import os
from pathlib import Path


class DataFolderInUseError(OSError):
    """Another process runs on this data folder."""


def lock(folder: Path) -> int:
    """Take the folder for this process; return the descriptor that holds it until closed.

    Raises:
        DataFolderInUseError: another process has it.
        OSError: it cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise DataFolderInUseError(
            f"another demandwatch runs on {path.parent}: stop it, or set another `data` folder"
        ) from error
    return handle
