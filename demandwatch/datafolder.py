"""The data folder belongs to one process at a time."""

import fcntl
import os
from pathlib import Path


class DataFolderInUseError(OSError):
    """Another process runs on this data folder."""


def lock(folder: Path, settings: str = "") -> int:
    """Take the folder for this process; return the descriptor that holds it until closed.

    Args:
        folder: made if it is not there.
        settings: digest of the settings in force; others may ask for it with `in_force`.

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
    os.ftruncate(handle, 0)
    os.write(handle, settings.encode())
    return handle


def in_force(folder: Path) -> str | None:
    """Return the digest of the settings a process runs on this folder with; None: there is none."""
    path = folder / "lock"
    if not path.exists():
        return None
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return file.read().decode()
    return None
