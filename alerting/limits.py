"""States the accounts of quotas and load caps that rules and screens speak about."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from collector.site import Site
from processors.calibration import Range, history_from
from processors.cap import CAP_STATE, cap_states
from processors.history.store import History
from processors.intensity import mains
from processors.policy.load import Packs
from processors.quota import ACCOUNT, accounts, first_day
from processors.ranges import learn
from processors.settings import QuotaSettings
from processors.terms import Span, history_of

_SITES_AT_ONCE = 500
_FURTHEST_BEHIND = timedelta(hours=14)
"""No zone's day begins later after UTC's."""


class Limits:
    """Accounts of months at every call, of caps once a block and of years once an hour."""

    def __init__(
        self, history: History, sites: Sequence[Site], packs: Packs, settings: QuotaSettings
    ) -> None:
        """Prepare; nothing is stated before the first call."""
        self._history, self._packs, self._settings = history, packs, settings
        self._sites = tuple(sites)
        self._lock = threading.Lock()
        self._stated = {
            Span.MONTH.value: pl.DataFrame(schema=ACCOUNT),
            Span.YEAR.value: pl.DataFrame(schema=ACCOUNT),
            "cap": pl.DataFrame(schema=CAP_STATE),
        }
        self._at: dict[str, datetime] = {}
        self._ranges: tuple[frozenset[date], dict[str, Range]] | None = None

    def stated(self, kind: str) -> pl.DataFrame:
        """Return what was last stated of kind month, year (ACCOUNT) or cap (CAP_STATE).

        Safe from any thread.
        """
        with self._lock:
            return self._stated[kind]

    def look(self, now: datetime) -> dict[str, pl.DataFrame]:
        """State anew what is due; return it by kind of subject (alerting.subjects)."""
        found = {"quota": self._keep(Span.MONTH.value, self._months(now))}
        if self._due("cap", now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)):
            found["cap"] = self._keep("cap", self._caps(now))
        if self._due("year", now.replace(minute=0, second=0, microsecond=0)):
            found["quota_year"] = self._keep(Span.YEAR.value, self._years(now))
        return found

    def _due(self, kind: str, slot: datetime) -> bool:
        due = self._at.get(kind) != slot
        self._at[kind] = slot
        return due

    def _keep(self, kind: str, rows: pl.DataFrame) -> pl.DataFrame:
        with self._lock:
            self._stated[kind] = rows
        return rows

    def _months(self, now: datetime) -> pl.DataFrame:
        held = [one for one in self._sites if one.quota_month_kwh]
        lookback = self._settings.lookback_days
        month = (now - _FURTHEST_BEHIND).date().replace(day=1)
        since = first_day(month, lookback) - timedelta(days=1)
        meters = [meter for site in held for meter in mains(site)]
        days = self._history.days(since, now.date() + timedelta(days=2), meters)
        tiers = self._settings.surcharge
        pack = self._packs.surcharge(tiers, now.date()) if tiers else None
        return accounts(days, held, now, lookback, None, pack, ranges=self._learned(now))

    def _learned(self, now: datetime) -> dict[str, Range]:
        """Return the ranges learned today; a part of the sites at a time: half a year is long."""
        today = frozenset(now.astimezone(ZoneInfo(one.timezone)).date() for one in self._sites)
        if self._ranges is None or self._ranges[0] != today:
            found: dict[str, Range] = {}
            for some, meters in _parts(one for one in self._sites if one.quota_month_kwh):
                since = history_from(now.date()) - timedelta(days=1)
                days = self._history.days(since, now.date() + timedelta(days=1), meters)
                found |= learn(days, some, now, self._settings.lookback_days)
            self._ranges = (today, found)
        return self._ranges[1]

    def _years(self, now: datetime) -> pl.DataFrame:
        """State the years; two years of days are long, so a part of the sites at a time."""
        lookback, today = self._settings.lookback_days, now.date()
        first = (now - _FURTHEST_BEHIND).date().replace(month=1, day=1)
        since = history_of(Span.YEAR, first, today, lookback) - timedelta(days=1)
        parts = [pl.DataFrame(schema=ACCOUNT)]
        for some, meters in _parts(one for one in self._sites if one.quota_year_kwh):
            days = self._history.days(since, today + timedelta(days=2), meters)
            parts.append(accounts(days, some, now, lookback, span=Span.YEAR))
        return pl.concat(parts)

    def _caps(self, now: datetime) -> pl.DataFrame:
        month = (now - _FURTHEST_BEHIND).date().replace(day=1)
        since = datetime(month.year, month.month, 1, tzinfo=UTC) - _FURTHEST_BEHIND
        parts = [pl.DataFrame(schema=CAP_STATE)]
        for some, meters in _parts(one for one in self._sites if one.cap_kw):
            parts.append(cap_states(self._history.intervals(since, now, meters), some, now))
        return pl.concat(parts)


def _parts(sites: Iterable[Site]) -> Iterator[tuple[list[Site], list[str]]]:
    """Yield some of the sites, and their main meters, at a time."""
    held = list(sites)
    for n in range(0, len(held), _SITES_AT_ONCE):
        some = held[n : n + _SITES_AT_ONCE]
        yield some, [meter for site in some for meter in mains(site)]
