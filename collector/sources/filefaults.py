"""What of a file is not taken, line by line and with its reason. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from collector.reason import Reason

BAD: dict[str, pl.DataType] = {
    "line": pl.Int64(),
    "meter_id": pl.String(),
    "column": pl.String(),
    "at": pl.String(),
    "value": pl.String(),
    "reason": pl.String(),
}
"""One row a figure or line of the file that was not taken. `line` as in the file, headings and
blank lines counted (in Parquet files: the row, from 1); `column` its heading, empty where the whole
line is meant; `at` and `value` as the file has them."""
MOST_KEPT = 100_000
"""Refused rows kept to be shown; all are counted."""


class FileError(ValueError):
    """The file cannot be read with this mapping at all; says what to do."""


@dataclass(slots=True)
class Sieve:
    """Keeps the good rows of one file and remembers the others."""

    frames: list[pl.DataFrame] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """All refused rows, by reason."""
    stamp: str = ""
    """Heading of the column of times."""
    figure: str = ""
    """Heading of the first column of figures."""
    headings: set[str] = field(default_factory=set)
    """Columns that were refused as a whole."""

    def keep(
        self, rows: pl.DataFrame, good: pl.Expr, reason: Reason, value: pl.Expr | None = None
    ) -> pl.DataFrame:
        """Return the rows where `good` is true; the others, or where it is null, are refused.

        Args:
            rows: with `line, meter_id, stamp`; `clock` and `column` if there are any.
            good: a condition over their columns.
            reason: why the others are refused.
            value: what the file has in the place; the stamp if it is the stamp that is refused.
        """
        mask = rows.select(good.fill_null(value=False).alias("good")).to_series()
        if len(mask) == 1 and rows.height != 1:
            mask = pl.repeat(bool(mask[0]), rows.height, dtype=pl.Boolean, eager=True)
        if mask.all():
            return rows
        self.refuse(rows.filter(~mask), pl.lit(reason.value), value)
        return rows.filter(mask)

    def refuse(self, rows: pl.DataFrame, reason: pl.Expr, value: pl.Expr | None = None) -> None:
        """Remember rows that are not taken; arguments as `keep`'s."""
        names = rows.columns
        told = shown(rows, "stamp")
        if "clock" in names:
            told = pl.concat_str(told, pl.col("clock").cast(pl.String), separator=" ")
        blank = pl.lit("", dtype=pl.String)
        wrong = rows.select(
            pl.col("line").cast(pl.Int64),
            pl.col("meter_id").cast(pl.String),
            pl.lit(self.stamp).alias("column") if value is None
            else pl.col("column") if "column" in names else pl.lit(self.figure).alias("column"),
            told.fill_null("").str.strip_chars().alias("at"),
            (blank if value is None else value.cast(pl.String)).fill_null("").alias("value"),
            reason.alias("reason"),
        )  # fmt: skip
        for name, count in wrong["reason"].value_counts().iter_rows():
            self.counts[name] += count
        room = MOST_KEPT - sum(frame.height for frame in self.frames)
        if room > 0:
            self.frames.append(wrong.head(room).cast(pl.Schema(BAD)))

    def bad(self) -> pl.DataFrame:
        """Return what was refused, schema BAD, by line."""
        return pl.concat([pl.DataFrame(schema=BAD), *self.frames]).sort(
            "line", "column", maintain_order=True
        )


def plausible(rows: pl.DataFrame, name: str) -> pl.Expr:
    """Return where a column can be shown: of dates, in the years Python and Polars can reckon."""
    kind = rows.schema[name]
    if not isinstance(kind, pl.Datetime | pl.Date):
        return pl.lit(value=True)
    edges = pl.Series([date(1000, 1, 1), date(9000, 1, 1)]).cast(pl.Date)
    unit = kind.time_unit if isinstance(kind, pl.Datetime) else None
    if unit == "ns":
        return pl.lit(value=True)
    low, high = (edges if unit is None else edges.cast(pl.Datetime(unit))).to_physical().to_list()
    return pl.col(name).to_physical().is_between(low, high)


def shown(rows: pl.DataFrame, name: str) -> pl.Expr:
    """Return a column as text, a date that cannot be reckoned with as its number."""
    told = pl.when(plausible(rows, name)).then(pl.col(name)).cast(pl.String)
    if not isinstance(rows.schema[name], pl.Datetime | pl.Date):
        return told
    return pl.coalesce(told, pl.col(name).to_physical().cast(pl.String))
