"""What a quota account states: month or year, which, and from how much history. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from collector.dated import Dated
from collector.site import Site
from processors.calendar import Calendar
from processors.calibration import Ranges, history_from
from processors.yearbefore import days_before


class Span(StrEnum):
    """What a quota is for."""

    MONTH = "month"
    YEAR = "year"


def history_of(span: Span, first: date, until: date, lookback_days: int = 28) -> date:
    """Return the first local day whose DAY rows an account wants.

    Args:
        span: month or year.
        first: its first day.
        until: the day of the statement.
        lookback_days: history the projection rests on.
    """
    least = min(first, until - timedelta(days=lookback_days), history_from(until))
    return min(least, until - days_before(lookback_days)) if span is Span.YEAR else least


@dataclass(frozen=True, slots=True)
class Terms:
    """What is to be stated, and from how much history."""

    now: datetime
    """The instant of the statement."""
    lookback_days: int = 28
    """History the projection rests on."""
    first: date | None = None
    """First day of the month or year; None: the one running at each site."""
    span: Span = Span.MONTH
    calendar: Calendar | None = None
    """Day types the bureau tells."""
    ranges: Ranges | None = None
    """None: learned from the history in the rows given."""

    def begin(self, today: date) -> date:
        """Return the first day of the span."""
        first = (self.first or today).replace(day=1)
        return first if self.span is Span.MONTH else first.replace(month=1)

    def end(self, begin: date) -> date:
        """Return the first day after it."""
        if self.span is Span.YEAR:
            return begin.replace(year=begin.year + 1)
        return (begin + timedelta(days=31)).replace(day=1)

    def days(self, begin: date) -> int:
        """Return how many days the span that begins on a day has."""
        return (self.end(begin) - begin).days

    def history(self, first: date, until: date) -> date:
        """Return the first day whose rows a statement wants; see `history_of`."""
        return history_of(self.span, first, until, self.lookback_days)

    def quotas(self, site: Site) -> tuple[Dated, ...]:
        """Return the quotas meant."""
        return site.quota_month_kwh if self.span is Span.MONTH else site.quota_year_kwh
