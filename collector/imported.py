"""What a reading's `source` says of an import: which one made it, how it stands, what withdraws it.

An import writes `KIND:ID:FILE`, where ID is that import's own seven hexadecimal digits:

- `import:` a register as a meter showed it; it continues with what other sources read.
- `import-interval:` the running sum of interval values at an interval's end. Between it and a
  register read from a meter nothing is stated.
- `import-start:` the same sum where a run of interval values begins, one microsecond after the
  interval's start, so that it and the end of the interval before never share a key. Between it and
  the reading before it nothing is stated.
- `import-undo:` the withdrawal of the reading of that import with the same key: an undone import
  stays in the journal and in history, and counts for nothing. What others told of that instant
  stands again.

Pure. The arithmetic knows a row's import as one number, its *origin*: 4 x the id plus the kind; 0
for every other source.
"""

from datetime import datetime, timedelta
from enum import IntEnum

import polars as pl

ORIGIN = pl.Int32()
START_AFTER = timedelta(microseconds=1)
"""How long after its interval's start a run's first reading lies."""
_ID_CHARS = 7
_KEY = ("meter_id", "measured_at")


class Form(IntEnum):
    """How a row of an import stands; the last two bits of its origin."""

    REGISTER = 0
    INTERVAL = 1
    START = 2
    UNDO = 3


_WORDS = {
    "import": Form.REGISTER,
    "import-interval": Form.INTERVAL,
    "import-start": Form.START,
    "import-undo": Form.UNDO,
}
_NAMES = {form: word for word, form in _WORDS.items()}


def source_of(form: Form, import_id: str, file: str) -> str:
    """Return the `source` of an import's rows; `import_id` has seven hexadecimal digits."""
    return f"{_NAMES[form]}:{import_id}:{file}"


def id_of(source: str) -> str:
    """Return the id of the import that made a row, empty if none did."""
    word, _, rest = source.partition(":")
    import_id = rest.partition(":")[0]
    return import_id if word in _WORDS and _number(import_id) else ""


def origins(sources: pl.Series) -> pl.Series | None:
    """Return the origin of each row, None if no row is an import's."""
    if not sources.str.starts_with("import").any():
        return None
    told = {one: _origin(one) for one in sources.unique().to_list()}
    return sources.replace_strict(told, return_dtype=ORIGIN).alias("origin")


def standing(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that count: without withdrawals and what they withdraw.

    Args:
        rows: `meter_id, measured_at` and `origin` or `source`, in any order.
    """
    origin = rows["origin"] if "origin" in rows.columns else origins(rows["source"])
    if origin is None or not (undo := origin % 4 == Form.UNDO).any():
        return rows
    marked = rows.with_columns((origin // 4).alias("_import"))
    key = [*_KEY, "_import"]
    gone = marked.filter(undo).select(key).unique()
    # A withdrawal has the key of what it withdraws, so it goes by the same join.
    return marked.join(gone, on=key, how="anti", maintain_order="left").drop("_import")


def _origin(source: str) -> int:
    number = _number(id_of(source))
    return 4 * number + _WORDS[source.partition(":")[0]] if number else 0


def _number(import_id: str) -> int:
    digits = len(import_id) == _ID_CHARS and all(one in "0123456789abcdef" for one in import_id)
    return int(import_id, 16) if digits else 0


def made_by(import_id: str) -> pl.Expr:
    """Return the condition that a row is a reading of this import, by its `source`."""
    return pl.col("source").str.contains(f"^import(-interval|-start)?:{import_id}:")


def withdrawals(keys: pl.DataFrame, import_id: str, file: str, now: datetime) -> pl.DataFrame:
    """Return the rows that withdraw an import's readings.

    Args:
        keys: `meter_id, measured_at` of the import's readings.
        import_id: the import's.
        file: its file's name.
        now: when it is undone.

    Returns:
        Rows of the key columns of READING, by meter, so that each meter is worked up at once.
    """
    return (
        keys.unique()
        .sort(_KEY)
        .with_columns(
            pl.lit(now, dtype=pl.Datetime("us", "UTC")).alias("received_at"),
            pl.lit(source_of(Form.UNDO, import_id, file)).alias("source"),
        )
    )
