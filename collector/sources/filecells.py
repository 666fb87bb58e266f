"""A piece of a table as rows of one meter and instant each, its figures as numbers. Pure."""

from collections.abc import Iterable

import polars as pl

from collector.mappings import FileMapping, ValueColumn
from collector.quantity import QUANTITIES
from collector.reason import Reason
from collector.sources.filefaults import FileError, Sieve
from collector.units import factor

_GROUPED = r"^[+-]?\d{1,3}(%s\d{3})+(%s\d*)?$"
_PLAIN = r"^[+-]?\d*(%s\d*)?([eE][+-]?\d+)?$"


def long(
    rows: pl.DataFrame,
    mapping: FileMapping,
    one_meter: str,
    known: Iterable[str] | None,
    sieve: Sieve,
) -> pl.DataFrame:
    """Return `line, meter_id, stamp` and one column a quantity, as the file has them.

    `clock` is there where the time of day has a column of its own, and `column`, the heading of the
    figure, where the columns are meters.

    Args:
        rows: a piece of the table.
        mapping: what its columns mean.
        one_meter: id for layout `one_meter`.
        known: meters that may be; None: all.
        sieve: takes what is refused; a column of an unknown meter is told once.

    Raises:
        FileError: a column is missing.
    """
    stamp, clock = mapping.time.column, mapping.time.clock_column
    wide = mapping.layout == "meter_a_column"
    wanted = [stamp, *([clock] if clock else []), *(v.column for v in mapping.values if not wide)]
    wanted += [mapping.meter_column] if mapping.layout == "meter_a_row" else []
    _present(rows, wanted)
    when = [
        pl.col(stamp).alias("stamp"),
        *([pl.col(clock).cast(pl.String).alias("clock")] if clock else []),
    ]
    if wide:
        names = _meters(rows, mapping, known, sieve)
        renamed = rows.select("line", *when, *names)
        index = [name for name in ("line", "stamp", "clock") if name in renamed.columns]
        tall = renamed.unpivot(
            names, index=index, variable_name="meter_id", value_name=mapping.values[0].quantity
        )
        return tall.with_columns(
            pl.col("meter_id").alias("column"), _named(pl.col("meter_id"), mapping)
        )
    meter = pl.col(mapping.meter_column) if mapping.meter_column else pl.lit(one_meter)
    values = (pl.col(one.column).alias(one.quantity) for one in mapping.values)
    named = _named(meter.cast(pl.String).str.strip_chars(), mapping)
    tall = rows.select("line", named, *when, *values)
    if known is None:
        return tall
    mine = pl.col("meter_id").is_in(pl.Series(list(known), dtype=pl.String).implode())
    heading = pl.lit(mapping.meter_column).alias("column")
    tall = tall.with_columns(heading)
    return sieve.keep(tall, mine, Reason.UNKNOWN_METER, pl.col("meter_id")).drop("column")


def _named(told: pl.Expr, mapping: FileMapping) -> pl.Expr:
    """Return the id of the meter of what the file calls it."""
    return told.replace(dict(mapping.meter_ids)).alias("meter_id")


def _present(rows: pl.DataFrame, wanted: list[str]) -> None:
    missing = [name for name in wanted if name not in rows.columns]
    if missing:
        has = ", ".join(name for name in rows.columns if name != "line")
        raise FileError(f"the file has no column {', '.join(missing)}; it has {has}")
    double = [n for n in wanted if any(one.startswith(f"{n} #") for one in rows.columns)]
    if double:
        raise FileError(f"the file has more than one column {', '.join(double)}: rename one")


def _meters(
    rows: pl.DataFrame, mapping: FileMapping, known: Iterable[str] | None, sieve: Sieve
) -> list[str]:
    """Return the columns that are meters; a column of an unknown one is refused as a whole."""
    other = {"line", mapping.time.column, mapping.time.clock_column, *mapping.ignore_columns}
    names = [name for name in rows.columns if name not in other]
    blank = [n for n in names if n.startswith("column #") and _blank(rows[n])]
    names = [name for name in names if name not in blank]
    ids = {name: mapping.meter_ids.get(name, name) for name in names}
    allowed = set(ids.values() if known is None else known)
    strange = [name for name in names if ids[name] not in allowed]
    if new := [name for name in strange if name not in sieve.headings]:
        sieve.headings.update(new)
        told = pl.DataFrame({"meter_id": new, "column": new}).with_columns(
            pl.lit(mapping.skip_lines + 1).alias("line"), pl.lit("").alias("stamp")
        )
        sieve.refuse(told, pl.lit(Reason.UNKNOWN_METER.value), pl.col("column"))
    return [name for name in names if ids[name] in allowed]


def _blank(column: pl.Series) -> bool:
    return bool((column.cast(pl.String).fill_null("").str.strip_chars() == "").all())


def numbers(
    rows: pl.DataFrame, mapping: FileMapping, sieve: Sieve, *, workbook: bool
) -> pl.DataFrame:
    """Make numbers; a bad one is told and becomes null, the rest of its line is kept.

    Rows without any value are left out: what is missing is no fault.
    """
    for one in mapping.values:
        rows = _number(rows, one, mapping, sieve, workbook=workbook)
    return rows.filter(
        pl.any_horizontal(pl.col(one.quantity).is_not_null() for one in mapping.values)
    )


def _number(
    rows: pl.DataFrame, one: ValueColumn, mapping: FileMapping, sieve: Sieve, *, workbook: bool
) -> pl.DataFrame:
    name, quantity = one.quantity, QUANTITIES[one.quantity]
    typed = rows.schema[name].is_numeric()
    raw = pl.col(name) if typed else _raw(name, mapping.missing)
    told = raw if typed else _decimal(raw, mapping, workbook=workbook)
    minutes = mapping.time.every_minutes if one.gives == "interval" else None
    scale = one.scale * factor(name, one.unit, minutes)
    rows = rows.with_columns(
        raw.alias("raw"), (told.cast(pl.Float64, strict=False) * scale).alias(name)
    )
    number = pl.col(name)
    # What is used in an interval is bound as its counter is: never negative.
    good = number.is_finite() & number.is_between(quantity.low, quantity.high)
    wrong = rows.filter(pl.col("raw").is_not_null() & ~good.fill_null(value=False))
    if wrong.height:
        reason = (
            pl.when(number.is_null())
            .then(pl.lit(Reason.NOT_A_NUMBER.value))
            .when(~number.is_finite())
            .then(pl.lit(Reason.NOT_FINITE.value))
            .otherwise(pl.lit(Reason.OUT_OF_RANGE.value))
        )
        if "column" not in wrong.columns:
            wrong = wrong.with_columns(pl.lit(one.column).alias("column"))
        sieve.refuse(wrong, reason, pl.col("raw"))
    return rows.with_columns(pl.when(good).then(number).alias(name)).drop("raw")


def _raw(name: str, missing: tuple[str, ...]) -> pl.Expr:
    text = pl.col(name).cast(pl.String).str.strip_chars()
    nothing = pl.Series(["", *missing], dtype=pl.String).implode()
    return pl.when(~text.is_in(nothing)).then(text)


def _decimal(raw: pl.Expr, mapping: FileMapping, *, workbook: bool) -> pl.Expr:
    """Return figures with a decimal point and no groups; null where the signs do not fit.

    A figure grouped otherwise than by threes is refused, not guessed: 1,23 is not 123.
    """
    point = "," if mapping.decimal_comma else "."
    group = mapping.thousands
    if point == "." and not group:
        return raw
    plain = raw.str.contains(_PLAIN % _escaped(point)) | raw.str.contains(r"(?i)^[+-]?(nan|inf)")
    text: pl.Expr = pl.when(plain).then(raw.str.replace(point, ".", literal=True))
    if group:
        fits = raw.str.contains(_GROUPED % (_escaped(group), _escaped(point)))
        bare = raw.str.replace_all(group, "", literal=True).str.replace(point, ".", literal=True)
        text = pl.when(fits).then(bare).otherwise(text)
    if workbook and point == "," and group != ".":  # cells that are numbers come with a point
        text = pl.coalesce(text, pl.when(raw.str.contains(_PLAIN % r"\.")).then(raw))
    return text


def _escaped(sign: str) -> str:
    return f"\\{sign}" if sign == "." else sign
