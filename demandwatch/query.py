"""`demandwatch query`: history and ledger as tables, beside a running system or without it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import polars as pl

from alerting.ledger import Ledger
from collector.clock import Clock
from collector.rejects import Rejects
from demandwatch import (
    query_anomalies,
    query_fleet,
    query_indices,
    query_quotas,
    query_raw,
    query_savings,
    query_sums,
)
from demandwatch.query_sums import Per
from demandwatch.query_words import Format, Table
from demandwatch.settings import Configuration
from demandwatch.table import encoded, show
from processors.book import Book
from processors.history.store import History
from processors.indices import Length
from processors.load_report import Wanted

__all__ = ["Format", "Table"]  # what commands ask with, beside what is defined here

MOST_REJECTS = 10_000
"""All that are kept."""

Otherwise = TypeVar("Otherwise", datetime, None)


@dataclass(frozen=True, slots=True)
class Question:
    """Which rows are wanted; None: no limit."""

    meters: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    start: str | None = None
    """Day or instant, in the first site's time zone if it has no offset; included."""
    end: str | None = None
    """Excluded."""
    as_of: str | None = None
    """Answer with what was known then."""
    period: Length = Length.MONTH
    """Of the tables told by period: load indices and their kin, power quality."""
    group: str = "district"
    """Of sums: park, district, industry, city, site, label:KEY or virtual."""
    per: Per = Per.BLOCK
    """Of sums and balances."""
    raw: bool = False
    """With intervals: what the register itself said, beside what is stated."""


class BadQuestionError(ValueError):
    """The question names what does not exist."""


def ask(table: Table, question: Question, config: Configuration) -> pl.DataFrame:
    """Return the rows asked for.

    Raises:
        BadQuestionError: an unknown meter or site, or a time that cannot be read.
    """
    return _Desk(question, config).answer(table)


class _Desk:
    def __init__(self, question: Question, config: Configuration) -> None:
        self._q, self._config = question, config
        self._zone = ZoneInfo(config.sites[0].timezone)
        self._now = Clock.real().now
        self._meters = self._chosen()

    def answer(self, table: Table) -> pl.DataFrame:
        answers: dict[Table, Callable[[], pl.DataFrame]] = {
            Table.INTERVALS: lambda: self._raw(
                query_raw.beside if self._q.raw else query_raw.plain
            ),
            Table.DAYS: lambda: self._by_day(self._history().days),
            Table.MONTHS: lambda: self._by_day(self._history().months),
            Table.VALIDATION: lambda: self._raw(query_raw.daily),
            Table.VERDICTS: self._verdicts,
            Table.ALERTS: self._alerts,
            Table.FLEET: self._fleet,
            Table.REJECTS: self._rejects,
            Table.GAPS: self._gaps,
            Table.QUALITY: self._quality,
            Table.SUMS: self._sums,
            Table.BALANCE: self._balance,
            Table.QUOTAS: self._quotas,
            Table.ANOMALIES: lambda: self._anomalies()[0],
            Table.ANOMALIES_SOUGHT: lambda: self._anomalies()[1],
            Table.TARGETS: lambda: self._saved(query_savings.tracked),
            Table.CARBON: lambda: self._saved(query_savings.emitted),
            Table.CARBON_LABELS: lambda: self._saved(query_savings.labelled),
        }
        return answers[table]() if table in answers else self._load(table)

    def _load(self, table: Table) -> pl.DataFrame:
        least = self._config.settings.processors.indices.min_coverage
        asked, named = self._wanted(least), (self._q.meters, self._q.sites)
        return query_indices.load(table.value, asked, *named, self._history(), self._config)

    def _quality(self) -> pl.DataFrame:
        least = self._config.settings.processors.indices.min_quality_coverage
        asked = self._wanted(least)
        return query_indices.quality(asked, self._meters, self._history(), self._config)

    def _wanted(self, least: float) -> Wanted:
        start = self._day(self._q.start, date(2000, 1, 1))
        end = self._day(self._q.end, date(2200, 1, 1))
        if end <= start:
            raise BadQuestionError("--to must be later than --from")
        as_of = self._instant(self._q.as_of, None)
        return Wanted(start, end, self._q.period, as_of or self._now(), least, as_of)

    def _history(self) -> History:
        root = self._config.data / "history"
        return History.open_readonly(root, self._config.book, self._now)

    def _raw(self, told: Callable[[pl.DataFrame, History, Book], pl.DataFrame]) -> pl.DataFrame:
        return told(self._intervals(), self._history(), self._config.book)

    def _intervals(self) -> pl.DataFrame:
        start = self._instant(self._q.start, datetime(2000, 1, 1, tzinfo=UTC))
        end = self._instant(self._q.end, datetime(2200, 1, 1, tzinfo=UTC))
        as_of = self._instant(self._q.as_of, None)
        return self._history().intervals(start, end, self._meters, as_of)

    def _sums(self) -> pl.DataFrame:
        if self._meters is not None:
            raise BadQuestionError("sums are of whole groups: leave out --meter and --site")
        return query_sums.sums(self._intervals(), self._config, self._q.group, self._q.per)

    def _balance(self) -> pl.DataFrame:
        found = query_sums.balances(self._intervals(), self._config, self._q.per)
        return found.filter(pl.col("site_id").is_in(self._sites()))

    def _by_day(self, read: Callable[..., pl.DataFrame]) -> pl.DataFrame:
        start = self._day(self._q.start, date(2000, 1, 1))
        end = self._day(self._q.end, date(2200, 1, 1))
        return read(start, end, self._meters, self._instant(self._q.as_of, None))

    def _verdicts(self) -> pl.DataFrame:
        rows = self._history().verdicts()
        as_of = self._instant(self._q.as_of, None)
        if as_of is not None:
            rows = rows.filter(pl.col("computed_at") <= as_of)
        return rows.filter(pl.col("site_id").is_in(self._sites())).unique(
            "verdict_id", keep="last", maintain_order=True
        )

    def _alerts(self) -> pl.DataFrame:
        ledger = Ledger(self._config.data / "ledger.db", self._now)
        try:
            rows = ledger.alerts()
        finally:
            ledger.close()
        return self._between(rows.filter(pl.col("site_id").is_in(self._sites())), "fired_at")

    def _fleet(self) -> pl.DataFrame:
        return self._of_meters(query_fleet.fleet(self._config)).sort("meter_id")

    def _quotas(self) -> pl.DataFrame:
        as_of = self._instant(self._q.as_of, None)
        day = None if self._q.start is None else self._day(self._q.start, date(2000, 1, 1))
        history, sites = self._history(), self._sites()
        return query_quotas.quotas(self._config, history, sites, as_of or self._now(), day, as_of)

    def _saved(self, told: Callable[..., pl.DataFrame]) -> pl.DataFrame:
        asked = self._wanted(self._config.settings.processors.indices.min_coverage)
        return told(self._config, self._history(), asked, self._sites())

    def _anomalies(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        q, at = self._q, self._instant
        start, end, as_of = at(q.start, None), at(q.end, None), at(q.as_of, None)
        asked = query_anomalies.Span(start, end, as_of, as_of or self._now())
        return query_anomalies.anomalies(self._config, self._history(), self._meters, asked)

    def _gaps(self) -> pl.DataFrame:
        start, end = self._instant(self._q.start, None), self._instant(self._q.end, None)
        rows = self._of_meters(query_fleet.gaps(self._config))
        if start is not None:
            rows = rows.filter(pl.col("end").is_null() | (pl.col("end") > start))
        return rows if end is None else rows.filter(pl.col("start") < end)

    def _of_meters(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows if self._meters is None else rows.filter(pl.col("meter_id").is_in(self._meters))

    def _rejects(self) -> pl.DataFrame:
        rejects = Rejects(self._config.data / "rejects.db")
        try:
            rows = rejects.latest(MOST_REJECTS)
        finally:
            rejects.close()
        if self._meters is not None:  # the subject is a meter, or the topic it speaks on
            names = pl.col("subject").str.split("/")
            rows = rows.filter(names.list.set_intersection(self._meters).list.len() > 0)
        return self._between(rows, "at")

    def _between(self, rows: pl.DataFrame, column: str) -> pl.DataFrame:
        start, end = self._instant(self._q.start, None), self._instant(self._q.end, None)
        kept = rows if start is None else rows.filter(pl.col(column) >= start)
        return kept if end is None else kept.filter(pl.col(column) < end)

    def _sites(self) -> list[str]:
        if self._meters is None:
            return [site.id for site in self._config.sites]
        book = self._config.book.meters
        return book.filter(pl.col("meter_id").is_in(self._meters))["site_id"].to_list()

    def _chosen(self) -> list[str] | None:
        """Return the meters asked for, None for all."""
        book = self._config.book.meters
        known, sites = set(book["meter_id"]), set(book["site_id"])
        for name, given, allowed in (
            ("meter", self._q.meters, known),
            ("site", self._q.sites, sites),
        ):
            if unknown := sorted(set(given) - allowed):
                raise BadQuestionError(f"no {name} {', '.join(unknown)} in {self._config.path}")
        if not self._q.meters and not self._q.sites:
            return None
        mine = book.filter(
            pl.col("meter_id").is_in(self._q.meters) | pl.col("site_id").is_in(self._q.sites)
        )
        return mine["meter_id"].to_list()

    def _instant(self, text: str | None, otherwise: Otherwise) -> datetime | Otherwise:
        if text is None:
            return otherwise
        try:
            told = datetime.fromisoformat(text)
        except ValueError as error:
            raise BadQuestionError(
                f"{text!r} is not a time: write 2026-11-22 or 2026-11-22T08:15:00+08:00"
            ) from error
        return (told if told.tzinfo else told.replace(tzinfo=self._zone)).astimezone(UTC)

    def _day(self, text: str | None, otherwise: date) -> date:
        if text is None:
            return otherwise
        instant = self._instant(text, datetime.combine(otherwise, time(), UTC))
        local = instant.astimezone(self._zone)
        whole = local.time() == time()
        return local.date() if whole or text != self._q.end else local.date() + timedelta(days=1)


TO_PEOPLE: dict[Table, tuple[str, ...]] = {
    Table.FLEET: ("meter_id", "state", "heard_at", "success_hour", "response_ms", "reasons_en"),
    Table.SUMS: (
        *("group_id", "start", "energy_kwh", "demand_kw", "max_demand_kw"),
        *("consumption_kwh", "coverage_count", "coverage_kw", "estimated_share"),
        *("meter_id", "coverage", "quality"),
    ),
    Table.QUOTAS: query_quotas.SHOWN,
    Table.ANOMALIES: query_anomalies.SHOWN,
    **query_savings.SHOWN,
    Table.VERDICTS: (
        *("site_id", "row_id", "period_start", "period_end", "outcome", "grade_zh", "standing"),
        *("reason", "actual", "threshold", "unit", "declared_by", "coverage", "estimated_share"),
        *("edition", "provenance"),
    ),
    Table.GAPS: ("gap_id", "meter_id", "start", "end", "cause", "energy_kwh", "method"),
    **{Table(name): columns for name, columns in query_indices.TO_PEOPLE.items()},
}
"""Columns that fit a terminal, of the tables that have many; files carry all."""


def write(frame: pl.DataFrame, form: Format, out: Path | None, table: Table | None = None) -> None:
    """Write rows to a file, or to standard output; for people, TO_PEOPLE's columns of `table`.

    Raises:
        OSError: the file cannot be written.
    """
    if form is Format.TABLE and out is None:
        chosen = TO_PEOPLE.get(table) if table else None
        show(frame.select(one for one in chosen if one in frame.columns) if chosen else frame)
        return
    content = encoded(frame, form.value)
    if out is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        out.write_bytes(content)
