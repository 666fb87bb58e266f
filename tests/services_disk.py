"""A disk that can be filled: a small file system or, without the right to mount, a limit."""

import os
import resource
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class SmallDisk:
    """A folder whose file system is full on request."""

    folder: Path
    mounted: bool
    """False: mounting is not allowed; the process may not enlarge a file instead (EFBIG)."""

    def fill(self, pid: int) -> None:
        """Leave no room for process `pid`."""
        if not self.mounted:
            largest = max(one.stat().st_size for one in self.folder.rglob("*") if one.is_file())
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
            return
        with (self.folder / "ballast").open("wb", buffering=0) as file:
            size = 65536
            while size:
                try:
                    file.write(bytes(size))
                except OSError:
                    size //= 2

    def free(self, pid: int) -> None:
        """Make room again."""
        if self.mounted:
            (self.folder / "ballast").unlink()
        else:
            unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """An empty disk of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    mounted = (
        os.getuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    )
    try:
        yield SmallDisk(folder, mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
