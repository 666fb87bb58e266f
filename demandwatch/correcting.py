"""What puts stored readings right by the maps and ratios in force now."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import polars as pl

from collector.multiplied import NOTE, multipliers
from collector.polls import Ratios
from collector.profiles import Profile
from collector.reading import READING, conform
from collector.redecode import corrected
from collector.rescale import Rescale
from collector.site import ModbusSource
from demandwatch.settings import Configuration
from processors.history.ratiobook import FILE, RatioBook


class RecomputeError(ValueError):
    """It cannot be computed anew; the text says why."""


def note_ratios(config: Configuration, now: Callable[[], datetime]) -> None:
    """Note what readers multiply by from now on; before the first of them is started.

    Raises:
        OSError: the book cannot be written. Without it a wrong ratio could never be put right.
    """
    try:
        with closing(RatioBook(config.data / FILE, now)) as book:
            book.note(multipliers(config.sites, config.profiles))
    except sqlite3.Error as error:
        raise OSError(f"{config.data / FILE}: {error}") from error


@dataclass(frozen=True, slots=True)
class Correction:
    """Decodes the words kept with readings anew, and scales readings without words."""

    now: datetime
    """Becomes `received_at` of what is corrected."""
    known: Mapping[str, tuple[Profile, Ratios]]
    """Register map and ratios of the Modbus meters."""
    rescale: Rescale

    @classmethod
    def of(cls, config: Configuration, now: datetime) -> Self:
        """Return it by the settings in force and what was noted."""
        known = {
            meter.id: (config.profiles[meter.source.profile], Ratios.of(site, meter))
            for site in config.sites
            for meter in site.meters
            if isinstance(meter.source, ModbusSource)
        }
        path, notes = config.data / FILE, pl.DataFrame(schema=NOTE)
        if path.exists():
            with closing(RatioBook(path, lambda: now)) as book:
                notes = book.notes()
        return cls(now, known, Rescale(notes, dict(multipliers(config.sites, config.profiles))))

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the corrected READING rows alone; `rows` in every version received.

        Raises:
            RecomputeError: words kept with readings do not fit the map in force now.
        """
        rows = conform(rows)
        worded = rows.filter(pl.col("register_words").is_not_null())
        found = [*self._decoded(worded), self.rescale.corrected(rows)]
        stamped = pl.concat(found).with_columns(
            pl.lit(self.now, READING["received_at"]).alias("at")
        )
        return conform(stamped.with_columns(received_at="at").select(list(READING)))

    def left(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the readings that may be wrong and cannot be corrected, schema LEFT."""
        return self.rescale.left(rows)

    def _decoded(self, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
        for (meter,), part in rows.partition_by("meter_id", as_dict=True).items():
            if meter not in self.known:
                continue
            profile, ratios = self.known[str(meter)]
            try:
                yield corrected(part, profile, ratios)
            except ValueError as error:
                raise RecomputeError(
                    f"meter {meter}: the words kept with its readings do not fit its profile"
                    f" {profile.id}: {error}"
                ) from error
