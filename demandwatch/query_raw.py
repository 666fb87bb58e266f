"""What the register itself said beside what is stated, and whether a day's sum agrees."""

from datetime import datetime, timedelta

import polars as pl

from collector import reading
from processors.book import Book
from processors.history.store import History
from processors.raw import sum_check, with_raw


def plain(rows: pl.DataFrame, history: History, book: Book) -> pl.DataFrame:  # noqa: ARG001 - as the others
    """Return INTERVAL rows as they are."""
    return rows


def beside(rows: pl.DataFrame, history: History, book: Book) -> pl.DataFrame:
    """Return INTERVAL rows with the columns of `processors.raw.RAW`, from the readings stored."""
    low, high = rows["start"].min(), rows["end"].max()
    if not isinstance(low, datetime) or not isinstance(high, datetime):
        return with_raw(rows, reading.empty(), book)
    meters = rows["meter_id"].unique().to_list()
    inside = history.readings(low, high + timedelta(microseconds=1), meters)
    around = history.neighbours(meters, low, high, 1)
    return with_raw(rows, pl.concat([inside, around]).unique(), book)


def daily(rows: pl.DataFrame, history: History, book: Book) -> pl.DataFrame:
    """Return SUM_CHECK rows of INTERVAL rows."""
    return sum_check(beside(rows, history, book), book)
