"""What history holds of one import; for its withdrawal."""

from pathlib import Path

import polars as pl

from collector.imported import made_by
from collector.reading import KEY
from processors.history.tables import Tables


def keys_of_import(root: Path, import_id: str) -> pl.DataFrame:
    """Return `meter_id, measured_at` of an import's readings in the files of a history.

    Args:
        root: folder of the history's tables; another process may be writing it.
        import_id: the import's seven digits.
    """
    readings = Tables(root, readonly=True).readings
    return readings.read(readings.files(), made_by(import_id), KEY)
