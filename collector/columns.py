"""Arrays that grow together, one row a meter."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

_FIRST = 64


class Columns:
    """Named arrays of one length, doubled when a row beyond their end is needed.

    Args:
        kinds: name -> (value of a new row, type, shape of a row).
    """

    def __init__(self, kinds: Mapping[str, tuple[Any, Any, tuple[int, ...]]]) -> None:
        self._kinds = kinds
        self._length = 0
        self._arrays = {
            name: np.full((0, *shape), fill, dtype=kind)
            for name, (fill, kind, shape) in kinds.items()
        }

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._arrays[name]

    def __len__(self) -> int:
        return self._length

    def reach(self, length: int) -> None:
        """Have at least `length` rows."""
        if length <= self._length:
            return
        self._length = max(length, 2 * self._length, _FIRST)
        for name, (fill, kind, shape) in self._kinds.items():
            longer = np.full((self._length, *shape), fill, dtype=kind)
            longer[: len(self._arrays[name])] = self._arrays[name]
            self._arrays[name] = longer
