"""The stamps of a file's rows as instants: formats, day ends, zones and the changes of the clocks.

Pure. Rows come with `stamp` (and `clock`, the time of day in a column of its own) as the file has
them; what cannot be placed leaves by `Sieve` with its reason.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import polars as pl

from collector.mappings import SITE, FileMapping, TimeColumn
from collector.reading import UTC_US
from collector.reason import Reason
from collector.sources.filefaults import FileError, Sieve, plausible
from collector.values import EARLIEST, FUTURE_TOLERANCE

_DAY_END = r"(^|[ T])24:00(:00)?($|[^:\d])"
_DAY_END_DIGITS = r"^(\d{8})( ?)2400(00)?$"
_EXCEL_FIRST, _EXCEL_LAST = 25_569.0, 73_051.0
"""1970 and 2100 as days since 1899-12-30: other numbers are no dates."""
_EXCEL_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - the serial day zero of local stamps
_CELL = "%Y-%m-%d %H:%M:%S%.f"
"""How a workbook's date cells read once they are text."""


def instants(
    rows: pl.DataFrame,
    mapping: FileMapping,
    zones: Mapping[str, str],
    now: datetime,
    sieve: Sieve,
    *,
    workbook: bool,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows with `measured_at`, and the rows whose hour the zone has twice.

    The latter have `local` and `zone` too, and are for `twice`.
    """
    rows = sieve.keep(rows, _told(rows), Reason.NO_TIME)
    rows = sieve.keep(rows, plausible(rows, "stamp"), Reason.BAD_TIME)
    rows = rows.with_columns(_read(rows, mapping.time, workbook=workbook))
    if "measured_at" in rows.columns:
        rows = sieve.keep(rows, pl.col("measured_at").is_not_null(), Reason.BAD_TIME)
        return _bounded(rows, mapping.time, now, sieve), rows.clear()
    rows = sieve.keep(rows, pl.col("local").is_not_null(), Reason.BAD_TIME)
    rows = rows.with_columns(_zone(mapping.time, zones).alias("zone"), _falling())
    parts = rows.partition_by("zone", as_dict=True)
    placed = [_place(part, str(name), sieve) for (name,), part in parts.items()]
    whole = pl.concat(placed) if placed else rows.with_columns(_nothing().alias("measured_at"))
    unclear = whole.filter(pl.col("measured_at").is_null()).drop("measured_at")
    clear = whole.filter(pl.col("measured_at").is_not_null())
    return _bounded(clear, mapping.time, now, sieve), unclear


def twice(rows: pl.DataFrame, mapping: FileMapping, now: datetime, sieve: Sieve) -> pl.DataFrame:
    """Place rows of the hour the clocks go back over: told twice, the first in time comes first."""
    if rows.is_empty():
        return rows.with_columns(_nothing().alias("measured_at")).drop(
            "zone", "local", "falling", strict=False
        )
    place = ("meter_id", "local")
    rows = sieve.keep(rows, pl.len().over(place) == 2, Reason.AMBIGUOUS_TIME)
    nth = pl.int_range(pl.len()).over(place)
    # Told of each piece by itself; one with a single line of the meter cannot tell.
    second = (nth == 1) != pl.col("falling").any().over("meter_id")
    rows = rows.with_columns(second.alias("second"))
    parts = [
        _ambiguous(part, str(z)) for (z,), part in rows.partition_by("zone", as_dict=True).items()
    ]
    whole = pl.concat(parts) if parts else rows.with_columns(_nothing().alias("measured_at"))
    return _bounded(whole.drop("second"), mapping.time, now, sieve)


def _ambiguous(part: pl.DataFrame, zone: str) -> pl.DataFrame:
    first, last = (
        pl.col("local").dt.replace_time_zone(zone, ambiguous=side, non_existent="null")
        for side in ("earliest", "latest")
    )
    at = pl.when("second").then(last).otherwise(first)
    return part.with_columns(at.dt.convert_time_zone("UTC").alias("measured_at"))


def _told(rows: pl.DataFrame) -> pl.Expr:
    told = pl.lit(value=True)
    for name in ("stamp", "clock"):
        if name in rows.columns:
            text = rows.schema[name] == pl.String
            blank = pl.col(name).str.strip_chars() == "" if text else pl.lit(value=False)
            told &= pl.col(name).is_not_null() & ~blank
    return told


def _read(rows: pl.DataFrame, time: TimeColumn, *, workbook: bool) -> pl.Expr:
    """Return `local` (naive) or, where the stamps carry their offset, `measured_at`."""
    kind = rows.schema["stamp"]
    if kind == pl.Datetime and getattr(kind, "time_zone", None):
        return (
            pl.col("stamp").dt.convert_time_zone("UTC").dt.cast_time_unit("us").alias("measured_at")
        )
    if kind in (pl.Datetime, pl.Date) and "clock" not in rows.columns:
        return _shown(pl.col("stamp").cast(pl.Datetime("us")), pl.lit(value=False), time)
    text = _joined(rows)
    if time.format in {"epoch_s", "epoch_ms"}:
        factor = 1_000_000 if time.format == "epoch_s" else 1_000
        micros = (text.cast(pl.Float64, strict=False) * factor).round()
        return micros.cast(pl.Int64, strict=False).cast(UTC_US).alias("measured_at")
    ends_day = text.str.contains(_DAY_END) | text.str.contains(_DAY_END_DIGITS)
    text = text.str.replace(_DAY_END, "${1}00:00${2}${3}").str.replace(
        _DAY_END_DIGITS, "${1}${2}0000${3}"
    )
    if any(sign in time.format for sign in ("%z", "%#z", "%:z", "%+")):
        at = text.str.to_datetime(time.format, time_unit="us", time_zone="UTC", strict=False)
        return pl.when(ends_day).then(at.dt.offset_by("1d")).otherwise(at).alias("measured_at")
    formats = [time.format] * (time.format != "excel") + [_CELL] * workbook
    tried = [text.str.to_datetime(one, time_unit="us", strict=False) for one in formats]
    if workbook or time.format == "excel":
        tried.append(_serial(text))
    return _shown(pl.coalesce(tried), ends_day, time)


def _joined(rows: pl.DataFrame) -> pl.Expr:
    """Return the text of the stamp; a time of day in its own column comes after the date."""
    text = pl.col("stamp").cast(pl.String).str.strip_chars()
    if "clock" not in rows.columns:
        return text
    clock = pl.col("clock").cast(pl.String).str.strip_chars()
    day = text.str.replace(r" 00:00:00(\.0+)?$", "")  # a date cell of a workbook
    hour = clock.str.replace(r"^1899-12-3[01] ", "")  # a time cell of a workbook
    return pl.concat_str(day, hour, separator=" ")


def _serial(text: pl.Expr) -> pl.Expr:
    """Return the local time of an Excel serial number, to the second; null if it is none."""
    days = text.cast(pl.Float64, strict=False)
    seconds = (days * 86_400).round().cast(pl.Int64, strict=False)
    at = pl.lit(_EXCEL_EPOCH).cast(pl.Datetime("us")) + pl.duration(seconds=seconds)
    return pl.when(days.is_between(_EXCEL_FIRST, _EXCEL_LAST)).then(at)


def _shown(local: pl.Expr, ends_day: pl.Expr, time: TimeColumn) -> pl.Expr:
    if time.midnight_same_date:
        ends_day = ends_day | (local.dt.time() == pl.time(0, 0))
    return pl.when(ends_day).then(local.dt.offset_by("1d")).otherwise(local).alias("local")


def _zone(time: TimeColumn, zones: Mapping[str, str]) -> pl.Expr:
    if time.zone != SITE:
        return pl.lit(time.zone)
    if not zones:
        raise FileError("the mapping's zone is `site`, but no site is known: name a zone")
    return pl.col("meter_id").replace_strict(dict(zones), default=None, return_dtype=pl.String)


def _falling() -> pl.Expr:
    """Return whether a meter's rows run back in time: then the later of two like hours is first."""
    local = pl.col("local")
    return (local.first() > local.last()).over("meter_id").alias("falling")


def _place(part: pl.DataFrame, zone: str, sieve: Sieve) -> pl.DataFrame:
    """Place local times in their zone; null where the zone has two such hours."""
    first, last = (
        pl.col("local").dt.replace_time_zone(zone, ambiguous=side, non_existent="null")
        for side in ("earliest", "latest")
    )
    part = part.with_columns(first.alias("first"), last.alias("last"))
    part = sieve.keep(part, pl.col("first").is_not_null(), Reason.NONEXISTENT_TIME)
    at = pl.when(pl.col("first") == pl.col("last")).then("first").dt.convert_time_zone("UTC")
    return part.with_columns(at.alias("measured_at")).drop("first", "last")


def _bounded(rows: pl.DataFrame, time: TimeColumn, now: datetime, sieve: Sieve) -> pl.DataFrame:
    """Move interval stamps to the interval's end; leave out what lies too far off."""
    if time.stamp == "start" and time.every_minutes:
        rows = rows.with_columns(pl.col("measured_at") + timedelta(minutes=time.every_minutes))
    rows = sieve.keep(rows, pl.col("measured_at") >= EARLIEST, Reason.TIME_BEFORE_2000)
    soon = pl.col("measured_at") <= now + FUTURE_TOLERANCE
    rows = sieve.keep(rows, soon, Reason.TIME_IN_FUTURE)
    return rows.drop("zone", "local", "falling", strict=False)


def _nothing() -> pl.Expr:
    return pl.lit(None, dtype=UTC_US)
