"""Tables out of CSV, Excel and Parquet files, piece by piece; each row with its line."""

import csv
import io
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import fastexcel
import polars as pl

from collector.mappings import FileMapping
from collector.sources import fileparquet
from collector.sources.filefaults import FileError

PIECE_CELLS = 2_000_000
"""Cells worked on at a time; bounds the memory of an import whatever the file's size."""
CHARS_A_CELL = 4
"""Of a text file: 2 million cells are read as 8 million characters."""
_LONGEST_RECORD = 64_000_000  # characters; a quotation mark that is never closed ends here
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_BOM = "\ufeff"
_UTF8_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive rows of a table."""

    rows: pl.DataFrame
    """The file's columns, text but in Parquet files, and `line`: 1 is the file's first line; in
    Parquet files, its first row."""
    torn: pl.DataFrame
    """`line, value` of lines that have not as many columns as the headings."""
    done: float
    """Share of the file read so far, 0..1."""
    whole: bool = False
    """This piece is the whole file."""


def pieces(path: Path, mapping: FileMapping, cells: int = PIECE_CELLS) -> Generator[Piece]:
    """Read a table; at least one piece, which may have no rows.

    Args:
        path: the file; its ending says what it is.
        mapping: how a text is set, or which sheet is meant.
        cells: about how many are read at a time.

    Raises:
        FileError: it is no table, or none of this mapping's.
    """
    kind = path.suffix.lower()
    try:
        if kind == ".parquet":
            yield from _told(_parquet(path, cells))
        elif kind in WORKBOOKS:
            yield from _told(_workbook(path, mapping, cells))
        else:
            yield from _told(_text(path, mapping, CHARS_A_CELL * cells))
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error


def _told(read: Iterator[Piece]) -> Iterator[Piece]:
    """Say of a lone piece that it is the whole file."""
    first = next(read)
    second = next(read, None)
    if second is None:
        yield Piece(first.rows, first.torn, 1.0, whole=True)
        return
    yield first
    del first  # a piece that is worked up must not stay in memory
    yield second
    del second
    yield from read


def _parquet(path: Path, at_once: int) -> Iterator[Piece]:
    for rows, first, total in fileparquet.rows_of(path, at_once):
        line = pl.int_range(first + 1, first + rows.height + 1, dtype=pl.Int64)
        done = min((first + rows.height) / max(total, 1), 1.0)
        yield Piece(rows.with_columns(line.alias(_free("line", rows.columns))), _no_torn(), done)


def _free(name: str, taken: list[str]) -> str:
    if name in taken:
        raise FileError(f"the column {name!r} has a name this reader keeps for itself: rename it")
    return name


def _workbook(path: Path, mapping: FileMapping, at_once: int) -> Iterator[Piece]:
    try:
        book = fastexcel.read_excel(path)
        sheet = _sheet(book.sheet_names, mapping.sheet, path)
        loaded = book.load_sheet(sheet, header_row=None, skip_rows=0, dtypes="string")
        cells = loaded.to_polars()
    except fastexcel.FastExcelError as error:
        reason = str(error).splitlines()[0]
        raise FileError(f"{path} is no workbook that can be read: {reason}") from error
    cells = cells.cast(pl.String).fill_null("").with_row_index("line", 1).cast({"line": pl.Int64})
    body = cells.slice(mapping.skip_lines)
    blank = pl.all_horizontal(pl.exclude("line").str.strip_chars() == "")
    body = body.filter(~blank) if body.width > 1 else body.clear()
    if body.is_empty():
        raise FileError(f"{path}, sheet {sheet}: there are no headings; see skip_lines")
    named = _headed([str(one) for one in body.row(0)[1:]])
    rows = body.slice(1).rename(dict(zip(body.columns[1:], named, strict=True)))
    size = max(at_once // rows.width, 1)
    for first in range(0, max(rows.height, 1), size):
        yield Piece(rows.slice(first, size), _no_torn(), min((first + size) / (rows.height + 1), 1))


def _sheet(names: list[str], wanted: str, path: Path) -> str:
    if wanted in names:
        return wanted
    if wanted or len(names) != 1:
        fault = f"no sheet {wanted!r}" if wanted else "more than one sheet"
        raise FileError(
            f"{path} has {fault}: it has {', '.join(names)}; name one in the mapping's `sheet`"
        )
    return names[0]


def _text(path: Path, mapping: FileMapping, chars: int) -> Iterator[Piece]:
    """Read a CSV file in pieces cut between lines."""
    with path.open("rb") as raw:
        size = max(path.stat().st_size, 1)
        encoding = "utf-8" if raw.peek(3).startswith(_UTF8_BOM) else mapping.encoding
        text = io.TextIOWrapper(raw, encoding=encoding)
        line, rest, names, last = 1, "", None, False
        try:
            part = text.read(chars).removeprefix(_BOM)
            while not last:
                ahead = text.read(chars)
                last = not ahead
                whole, rest = _cut(rest + part, last=last, line=line)
                part = ahead
                records = _records(whole, mapping.separator, line)
                line += whole.count("\n")
                if names is None:
                    names, records = _headings(records, mapping, path, last=last)
                if names is not None:
                    yield _piece(records, names, raw.tell() / size)
        except UnicodeError as error:  # UTF-16 without its mark is no UnicodeDecodeError
            raise FileError(
                f"{path} is not {encoding} text: set the mapping's `encoding`"
                " (gb18030 for Chinese GBK exports, utf-16 or utf-16-le for some of Excel's)"
            ) from error
        except csv.Error as error:
            raise FileError(f"{path}, near line {line}: {error}") from error


def _cut(text: str, *, last: bool, line: int) -> tuple[str, str]:
    """Cut after the last line end that lies outside quotation marks; all of it if `last`."""
    if last:
        return text, ""
    at = text.rfind("\n")
    while at >= 0 and text.count('"', 0, at) % 2:
        at = text.rfind("\n", 0, text.rfind('"', 0, at))
    if at < 0 and len(text) > _LONGEST_RECORD:
        raise FileError(f"line {line} has no end: no text table, or a quotation mark is not closed")
    return text[: at + 1], text[at + 1 :]


def _records(text: str, separator: str, first: int) -> pl.DataFrame:
    """Return `line, cells` (a list) of each line that is not blank."""
    if '"' in text:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        found, begins = [], []
        ended = 0
        for cells in reader:
            found.append(cells)
            begins.append(first + ended)
            ended = reader.line_num
        frame = pl.DataFrame(
            {"line": begins, "cells": found},
            schema={"line": pl.Int64, "cells": pl.List(pl.String)},
        )
    else:
        lines = pl.DataFrame({"text": text.split("\n")}, schema={"text": pl.String})
        frame = lines.select(
            pl.int_range(first, first + pl.len(), dtype=pl.Int64).alias("line"),
            pl.col("text").str.split(separator).alias("cells"),
        )
    blank = (pl.col("cells").list.len() <= 1) & (
        pl.col("cells").list.join("").str.strip_chars() == ""
    )
    return frame.filter(~blank)


def _headings(
    records: pl.DataFrame, mapping: FileMapping, path: Path, *, last: bool
) -> tuple[list[str] | None, pl.DataFrame]:
    """Return the headings and the records behind them; None if they are still to come."""
    body = records.filter(pl.col("line") > mapping.skip_lines)
    if body.is_empty():
        if last:
            raise FileError(f"{path} has no line of headings: it is empty, or see skip_lines")
        return None, body
    return _headed(body["cells"][0].to_list()), body.slice(1)


def _headed(cells: list[str]) -> list[str]:
    """Return distinct column names; a heading that comes again gets its place added."""
    names: list[str] = []
    for place, cell in enumerate(cells, 1):
        name = cell.strip().removeprefix(_BOM)
        taken = name in names or name in {"", "line"}
        names.append(f"{name or 'column'} #{place}" if taken else name)
    return names


def _piece(records: pl.DataFrame, names: list[str], done: float) -> Piece:
    """Set the cells under their headings; blank cells beyond the last heading do not count."""
    count = pl.col("cells").list.len()
    beyond = pl.col("cells").list.slice(len(names)).list.join("").str.strip_chars() == ""
    fits = (count >= len(names)) & beyond
    torn = records.filter(~fits).select(
        "line", pl.col("cells").list.join(" | ").str.slice(0, 200).alias("value")
    )
    cells = pl.col("cells").list
    rows = records.filter(fits).select(
        "line", *(cells.get(place, null_on_oob=True).alias(n) for place, n in enumerate(names))
    )
    return Piece(rows, torn, min(done, 1.0))


def _no_torn() -> pl.DataFrame:
    return pl.DataFrame(schema={"line": pl.Int64, "value": pl.String})
