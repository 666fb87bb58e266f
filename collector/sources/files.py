"""File source: CSV and Parquet exports become readings, through the same journal as all others.

Interval values become a running register, as the meter that recorded them would have shown it: it
starts at zero and stands at the running sum at each interval's end. A missing interval leaves the
register unread until the end of the next one, so that a gap stays a gap and is never a zero.
Importing the same file twice makes the same readings.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from collector.intake import Desk
from collector.mappings import SITE, FileMapping
from collector.quantity import QUANTITIES
from collector.reading import KEY, UTC_US
from collector.reason import Reason
from collector.values import EARLIEST, FUTURE_TOLERANCE

CHUNK_ROWS = 50_000
REGISTER_DECIMALS = 6
"""A register has a last digit; without one, 0.1 + 0.2 would be read from it."""
BAD: dict[str, pl.DataType] = {
    "reason": pl.String(),
    "meter_id": pl.String(),
    "excerpt": pl.String(),
}
"""One row a figure or line of the file that was not taken; `excerpt` is as the file has it."""


class FileError(ValueError):
    """The file cannot be read with this mapping at all."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file held."""

    frame: pl.DataFrame
    """READING without the quantities the file does not have; by time, then meter."""
    bad: pl.DataFrame
    """Schema BAD."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    readings: int
    meters: int
    rejected: int


def import_file(
    path: Path,
    mapping: FileMapping,
    desk: Desk,
    zones: Mapping[str, str] | None = None,
    meter_id: str | None = None,
) -> Imported:
    """Read a file and journal it; returns when all of it is durable.

    Args:
        path: `.csv` or `.parquet`.
        mapping: what its columns mean.
        desk: journal and rejects. Meters not in `zones` are rejected if `zones` is given.
        zones: IANA zone of each known meter, for a mapping whose zone is `site`.
        meter_id: id for layout `one_meter`, over the mapping's.

    Raises:
        FileError: a column is missing, or the file is no table.
        JournalError: the disk refused.
    """
    now = desk.now()
    contents = read_file(path, mapping, now, zones, meter_id)
    for reason, meter, count, excerpt in _grouped(contents.bad).iter_rows():
        desk.rejects.add(Reason(reason), "import", meter or path.name, excerpt, now, count)
    frame = contents.frame
    futures = [
        desk.journal.append(frame.slice(first, CHUNK_ROWS))
        for first in range(0, frame.height, CHUNK_ROWS)
    ]
    for future in futures:
        future.result()
    desk.metrics.counter("readings", "Readings made durable in the journal", ("source",)).labels(
        "import"
    ).inc(frame.height)
    return Imported(frame.height, frame["meter_id"].n_unique(), contents.bad.height)


def read_file(
    path: Path,
    mapping: FileMapping,
    now: datetime,
    zones: Mapping[str, str] | None = None,
    meter_id: str | None = None,
) -> Contents:
    """Read a file without journalling it; arguments and errors as `import_file`."""
    long = _long(_table(path, mapping.encoding), mapping, meter_id or mapping.meter or path.stem)
    bad: list[pl.DataFrame] = []
    if zones is not None:
        long = _sift(long, pl.col("meter_id").is_in(list(zones)), Reason.UNKNOWN_METER, bad)
    long = _numbers(long, mapping, bad)
    long = long.filter(
        pl.any_horizontal(pl.col(one.quantity).is_not_null() for one in mapping.values)
    )
    long = _instants(long, mapping, zones or {}, now, bad)
    long = long.sort(*KEY, maintain_order=True)
    long = _sift(long, pl.struct(*KEY).is_first_distinct(), Reason.DUPLICATE_KEY, bad)
    if mapping.time.every_minutes:
        long = _registers(long, mapping, timedelta(minutes=mapping.time.every_minutes))
    frame = long.select(
        "meter_id",
        "measured_at",
        pl.lit(now, dtype=UTC_US).alias("received_at"),
        pl.lit(f"import:{path.name}").alias("source"),
        *(one.quantity for one in mapping.values),
    ).sort("measured_at", "meter_id")
    return Contents(frame, pl.concat([pl.DataFrame(schema=BAD), *bad]))


def _table(path: Path, encoding: str) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, infer_schema=False, encoding=encoding)
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise FileError(f"{path}: {error}") from error


def _long(table: pl.DataFrame, mapping: FileMapping, one_meter: str) -> pl.DataFrame:
    """Return `meter_id, stamp` and one column a quantity, as the file has them."""
    wide = mapping.layout == "meter_a_column"
    wanted = [mapping.time.column, *(one.column for one in mapping.values if not wide)]
    wanted += [mapping.meter_column] if mapping.layout == "meter_a_row" else []
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise FileError(
            f"the file has no column {', '.join(missing)}; it has {', '.join(table.columns)}"
        )
    stamp = pl.col(mapping.time.column).alias("stamp")
    if wide:
        renamed = table.rename({mapping.time.column: "stamp"})
        return renamed.unpivot(
            index="stamp", variable_name="meter_id", value_name=mapping.values[0].quantity
        )
    meter = pl.col(mapping.meter_column) if mapping.meter_column else pl.lit(one_meter)
    values = (pl.col(one.column).alias(one.quantity) for one in mapping.values)
    return table.select(meter.cast(pl.String).alias("meter_id"), stamp, *values)


def _numbers(long: pl.DataFrame, mapping: FileMapping, bad: list[pl.DataFrame]) -> pl.DataFrame:
    """Make numbers; a bad one is told and becomes null, the rest of its line is kept."""
    for one in mapping.values:
        name, quantity = one.quantity, QUANTITIES[one.quantity]
        raw = pl.col(name).cast(pl.String).str.strip_chars().replace("", None)
        number = raw.cast(pl.Float64, strict=False) * one.scale
        long = long.with_columns(raw.alias("raw"), number.alias(name))
        # What is used in an interval is bound as its counter is: never negative.
        plausible = pl.col(name).is_between(quantity.low, quantity.high)
        verdict = (
            pl.when(pl.col("raw").is_null() | (plausible & pl.col(name).is_finite()))
            .then(None)
            .when(pl.col(name).is_null())
            .then(pl.lit(Reason.NOT_A_NUMBER.value))
            .when(~pl.col(name).is_finite())
            .then(pl.lit(Reason.NOT_FINITE.value))
            .otherwise(pl.lit(Reason.OUT_OF_RANGE.value))
        )
        long = long.with_columns(verdict.alias("verdict"))
        wrong = long.filter(pl.col("verdict").is_not_null())
        bad.append(_bad(wrong, pl.col("verdict"), pl.col("raw")))
        kept = pl.when(pl.col("verdict").is_null()).then(pl.col(name))
        long = long.with_columns(kept.alias(name)).drop("raw", "verdict")
    return long


def _instants(
    long: pl.DataFrame,
    mapping: FileMapping,
    zones: Mapping[str, str],
    now: datetime,
    bad: list[pl.DataFrame],
) -> pl.DataFrame:
    """Add `measured_at`: the instant, or the end of the interval; drop lines without one."""
    time = mapping.time
    long = _sift(long, pl.col("stamp").is_not_null(), Reason.NO_TIME, bad)
    long = _sift(long.with_columns(_local(long, mapping)), pl.col("local").is_not_null(),
                 Reason.BAD_TIME, bad)  # fmt: skip
    zone = (
        pl.col("meter_id").replace_strict(dict(zones), default=None, return_dtype=pl.String)
        if time.zone == SITE
        else pl.lit(time.zone)
    )
    if time.zone == SITE and not zones:
        raise FileError("the mapping's zone is `site`, but no site is known: name a zone")
    parts = long.with_columns(zone.alias("zone")).partition_by("zone", as_dict=True)
    placed = [_placed(part, str(name), bad) for (name,), part in parts.items()]
    long = (
        pl.concat(placed)
        if placed
        else long.with_columns(pl.lit(None, UTC_US).alias("measured_at"))
    )
    if time.stamp == "start" and time.every_minutes:
        long = long.with_columns(pl.col("measured_at") + timedelta(minutes=time.every_minutes))
    recent = pl.col("measured_at") >= EARLIEST
    long = _sift(long, recent, Reason.TIME_BEFORE_2000, bad)
    past = pl.col("measured_at") <= now + FUTURE_TOLERANCE
    return _sift(long, past, Reason.TIME_IN_FUTURE, bad)


def _local(long: pl.DataFrame, mapping: FileMapping) -> pl.Expr:
    """Return the naive local time of `stamp`, null where it is none."""
    time = mapping.time
    if long.schema["stamp"] in (pl.Datetime, pl.Date):
        local = pl.col("stamp").cast(pl.Datetime("us"))
        ends_day = pl.lit(value=False)
    else:
        text = pl.col("stamp").cast(pl.String).str.strip_chars()
        ends_day = text.str.contains(r"\b24:00")
        read = text.str.replace(r"\b24:00", "00:00")
        local = read.str.to_datetime(time.format, time_unit="us", strict=False)
    if time.midnight_same_date:
        ends_day |= local.dt.time() == pl.time(0, 0)
    return pl.when(ends_day).then(local.dt.offset_by("1d")).otherwise(local).alias("local")


def _placed(part: pl.DataFrame, zone: str, bad: list[pl.DataFrame]) -> pl.DataFrame:
    """Place local times in their zone; what the zone lacks or has only one of two is told."""
    first, second = (
        pl.col("local").dt.replace_time_zone(zone, ambiguous=side, non_existent="null")
        for side in ("earliest", "latest")
    )
    nth = pl.int_range(pl.len()).over("meter_id", "local")
    twice = pl.len().over("meter_id", "local") == 2
    part = part.with_columns(first.alias("first"), second.alias("second"))
    part = _sift(part, pl.col("first").is_not_null(), Reason.BAD_TIME, bad)
    # The hour the clocks go back over: told twice, the first is the earlier; told once, who knows.
    clear = (pl.col("first") == pl.col("second")) | twice
    part = part.with_columns(nth.alias("nth"))
    part = _sift(part, clear, Reason.AMBIGUOUS_TIME, bad)
    at = pl.when(pl.col("nth") == 0).then(pl.col("first")).otherwise(pl.col("second"))
    return part.with_columns(at.dt.convert_time_zone("UTC").alias("measured_at")).drop(
        "first", "second", "nth"
    )


def _registers(long: pl.DataFrame, mapping: FileMapping, every: timedelta) -> pl.DataFrame:
    """Turn interval values, sorted by meter and end, into registers read at each end."""
    names = [one.quantity for one in mapping.values]
    sums = (pl.col(name).cum_sum().over("meter_id").round(REGISTER_DECIMALS) for name in names)
    ends = long.select("meter_id", "measured_at", *sums)
    starts = ends.group_by("meter_id").agg(pl.col("measured_at").min() - every)
    zeros = starts.with_columns(pl.lit(0.0).alias(name) for name in names)
    return pl.concat([zeros, ends])


def _sift(
    long: pl.DataFrame, good: pl.Expr, reason: Reason, bad: list[pl.DataFrame]
) -> pl.DataFrame:
    """Keep the good lines and tell the others."""
    marked = long.with_columns(good.fill_null(value=False).alias("good"))
    wrong = marked.filter(~pl.col("good"))
    if wrong.is_empty():
        return long
    bad.append(_bad(wrong, pl.lit(reason.value), pl.lit("")))
    return marked.filter("good").drop("good")


def _bad(wrong: pl.DataFrame, reason: pl.Expr, figure: pl.Expr) -> pl.DataFrame:
    stamp = pl.col("stamp").cast(pl.String).fill_null("(no time)")
    return wrong.select(
        reason.alias("reason"),
        pl.col("meter_id").cast(pl.String),
        (stamp + " " + figure.fill_null("")).str.strip_chars().alias("excerpt"),
    )


def _grouped(bad: pl.DataFrame) -> pl.DataFrame:
    return bad.group_by("reason", "meter_id", maintain_order=True).agg(
        pl.len().alias("count"), pl.col("excerpt").first()
    )
