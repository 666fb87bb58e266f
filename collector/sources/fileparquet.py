"""Parquet files: first decoded in a process of their own, which a damaged one may end.

Polars takes the lengths in a file as they are: flipped bits ask it for memory no machine has, and
then it ends the process (found by fuzzing: one damaged file in some thousands). A trial costs about
half a second, and the time to decode the file once more.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from collector.sources.filefaults import FileError

_MARK = b"PAR1"
_LEAST_MEMORY = 4 << 30
"""Address space of the trial where the machine has less memory than that."""
_FAULTS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""A panic is an exception beside `Exception`."""
_REFUSED = 3
"""Exit status of a trial that says why; any other than 0 is a decoder that was ended."""


def rows_of(path: Path, at_once: int) -> Iterator[tuple[pl.DataFrame, int, int]]:
    """Yield some rows at a time, the number of the first, from 0, and how many there are in all.

    Args:
        path: the file.
        at_once: about how many cells.

    Raises:
        FileError: it cannot be decoded.
        OSError: it cannot be read.
    """
    _tried(path, at_once)
    yield from _decoded(path, at_once)


def _decoded(path: Path, at_once: int) -> Iterator[tuple[pl.DataFrame, int, int]]:
    try:
        lazy = pl.scan_parquet(path)
        names = lazy.collect_schema().names()
        total = lazy.select(pl.len()).collect().item()
        size = max(at_once // max(len(names), 1), 1)
        for first in range(0, max(total, 1), size):
            yield lazy.slice(first, size).collect(), first, total
    except _FAULTS as error:
        raise FileError(_sentence(path, str(error))) from error


def _tried(path: Path, at_once: int) -> None:
    with path.open("rb") as file:
        if file.read(len(_MARK)) != _MARK:
            raise FileError(_sentence(path, "it does not begin as one"))
    trial = [sys.executable, "-P", "-m", "collector.sources.fileparquet", str(path), str(at_once)]
    done = subprocess.run(  # noqa: S603 - this interpreter and this module
        trial,
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    if done.returncode == _REFUSED:
        raise FileError(done.stdout.decode(errors="replace").strip())
    if done.returncode:
        raise FileError(_sentence(path, f"decoding it ends with status {done.returncode}"))


def _sentence(path: Path, reason: str) -> str:
    first = reason.strip().partition("\n")[0] or "it is damaged"
    return f"{path} is no Parquet file that can be read: {first}"


def _trial(path: Path, at_once: int) -> int:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    most = max(memory, _LEAST_MEMORY)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    if sys.platform == "linux":  # elsewhere such a limit is refused, or means nothing
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        for _ in _decoded(path, at_once):
            pass
    except (FileError, OSError) as error:
        sys.stdout.write(str(error))
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(_trial(Path(sys.argv[1]), int(sys.argv[2])))
