"""What the earlier pieces of a file have told: so that no piece tells it again. Pure."""

from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from collector.reading import UTC_US
from collector.reason import Reason
from collector.sources.filefaults import Sieve

_SEEN: dict[str, pl.DataType] = {"code": pl.Int32(), "measured_at": UTC_US}


@dataclass(slots=True)
class Seen:
    """The instants of one file, 12 bytes each; looked through only where it runs back in time."""

    every: timedelta
    """Length of the file's intervals; zero for registers and momentary values."""
    _codes: dict[str, int] = field(default_factory=dict)
    _told: list[pl.DataFrame] = field(default_factory=list)
    _newest: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"code": pl.Int32(), "newest": UTC_US})
    )

    def fresh(self, rows: pl.DataFrame, sieve: Sieve, figure: str) -> pl.DataFrame:
        """Return the rows no earlier piece has told, and remember them.

        Args:
            rows: `meter_id, measured_at` (of intervals, the end) and more; no instant twice.
            sieve: takes those told again, and intervals that overlap an earlier piece's.
            figure: column to show of a row that is refused.
        """
        if rows.is_empty():
            return rows
        for name in rows["meter_id"].unique(maintain_order=True):
            self._codes.setdefault(name, len(self._codes))
        code = rows["meter_id"].replace_strict(self._codes, return_dtype=pl.Int32)
        coded = rows.with_columns(code.alias("code"))
        known = coded.join(self._newest, on="code", how="left", maintain_order="left")
        at, newest = known["measured_at"], known["newest"]
        if (at <= newest).any() or (at - self.every < newest).any():
            coded = self._sifted(coded, sieve, figure)
        self._told.append(coded.select(list(_SEEN)))
        both = pl.concat(
            [self._newest, coded.select("code", pl.col("measured_at").alias("newest"))]
        )
        self._newest = both.group_by("code").agg(pl.col("newest").max())
        return coded.drop("code")

    def _sifted(self, coded: pl.DataFrame, sieve: Sieve, figure: str) -> pl.DataFrame:
        told = pl.concat(self._told).sort("measured_at").with_columns(told=pl.col("measured_at"))
        here = coded.with_row_index("row").select("row", *_SEEN).sort("measured_at")
        nearest = here.select("row")
        for side in ("backward", "forward"):
            found = here.join_asof(
                told, on="measured_at", by="code", strategy=side, check_sortedness=False
            )
            gap = (pl.col("measured_at") - pl.col("told")).abs().alias(side)
            nearest = nearest.join(found.select("row", gap), on="row")
        least = nearest.sort("row").select(pl.min_horizontal("backward", "forward").alias("gap"))
        coded = coded.with_columns(least["gap"])
        again = pl.col("gap").is_null() | (pl.col("gap") > timedelta())
        coded = sieve.keep(coded, again, Reason.DUPLICATE_KEY, pl.col(figure))
        apart = pl.col("gap").is_null() | (pl.col("gap") >= self.every)
        return sieve.keep(coded, apart, Reason.OVERLAPPING_INTERVAL, pl.col(figure)).drop("gap")
