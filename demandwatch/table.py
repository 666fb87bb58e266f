"""Frames as tables for people."""

import io
from datetime import datetime

import polars as pl
from rich.console import Console
from rich.table import Table

MOST_ROWS = 200


def show(frame: pl.DataFrame) -> None:
    """Print a frame; beyond 200 rows only the first, and how many there are."""
    console = Console()
    table = Table(header_style="bold", box=None, pad_edge=False)
    for name, kind in frame.schema.items():
        table.add_column(name, justify="right" if kind.is_numeric() else "left")
    for row in frame.head(MOST_ROWS).iter_rows():
        table.add_row(*(_cell(value) for value in row))
    console.print(table)
    if frame.height > MOST_ROWS:
        console.print(f"... {frame.height} rows; write all with --format csv")
    if frame.is_empty():
        console.print("no rows")


def _cell(value: object) -> str:
    if value is None:
        return "—"
    if isinstance(value, float):
        return f"{value:,.3f}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%MZ" if not value.second else "%Y-%m-%d %H:%M:%SZ")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def encoded(frame: pl.DataFrame, form: str) -> bytes:
    """Return rows as `parquet`, `json` or `csv`; in text instants are UTC and lists one cell."""
    buffer = io.BytesIO()
    if form == "parquet":
        frame.write_parquet(buffer)
        return buffer.getvalue()
    flat = frame.with_columns(pl.col(pl.List(pl.String)).list.join(" "))
    if form == "json":
        instants = pl.col(pl.Datetime).dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")
        flat.with_columns(instants).write_json(buffer)
    else:
        flat.write_csv(buffer, datetime_format="%Y-%m-%dT%H:%M:%S%.fZ")
    return buffer.getvalue()
