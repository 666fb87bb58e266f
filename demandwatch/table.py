"""Frames as tables for people."""

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
