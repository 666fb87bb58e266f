"""PURE. Frames as CSV that a person can read and a program reads back exactly."""

import io

import polars as pl

from collector.reading import UTC_US

_TIME = "%Y-%m-%dT%H:%M:%S%.6fZ"
_LIST_MARK = ";"


def to_csv(frame: pl.DataFrame) -> bytes:
    """Return the frame as CSV, UTF-8; columns that are null throughout are left out.

    Instants are ISO 8601 in UTC with microseconds, lists are joined by `;`, floats are written
    with as many digits as bring back the same number.
    """
    kept = [one.name for one in frame if one.null_count() < frame.height or not frame.height]
    lists = [name for name in kept if isinstance(frame.schema[name], pl.List)]
    plain = frame.select(kept).with_columns(pl.col(lists).list.join(_LIST_MARK))
    return plain.write_csv(datetime_format=_TIME).encode()


def from_csv(content: bytes, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """Read back what `to_csv` wrote, with every column of `schema` in order.

    Raises:
        polars.exceptions.PolarsError: it is not such a CSV.
        ValueError: it has a column that `schema` does not.
    """
    header = content.split(b"\n", 1)[0].decode().strip().split(",")
    unknown = [name for name in header if name not in schema]
    if unknown:
        raise ValueError(f"unknown column {unknown[0]!r}")
    raw = {name: _as_text(schema[name]) for name in header}
    frame = pl.read_csv(io.BytesIO(content), schema=raw)
    return frame.select(_typed(name, kind, given=name in raw) for name, kind in schema.items())


def _as_text(kind: pl.DataType) -> pl.DataType:
    textual = kind == UTC_US or isinstance(kind, pl.List | pl.Enum)
    return pl.String() if textual else kind


def _typed(name: str, kind: pl.DataType, *, given: bool) -> pl.Expr:
    if not given:
        absent: list[str] | None = [] if isinstance(kind, pl.List) else None
        return pl.lit(absent, dtype=kind).alias(name)
    if kind == UTC_US:
        return pl.col(name).str.to_datetime(_TIME, time_unit="us").dt.replace_time_zone("UTC")
    if isinstance(kind, pl.List):
        words = pl.col(name).fill_null("").str.split(_LIST_MARK)
        return words.list.eval(pl.element().filter(pl.element() != ""))
    return pl.col(name).cast(kind)
