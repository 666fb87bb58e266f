"""Claims: the denominators that were declared, and the meters whose energy each divides; pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

from collector.dated import Dated
from collector.site import BASES, Production, Site

YEAR_DAYS = 365
MEAN = "mean"
"""`annualised` of what was scaled by its plain daily mean."""


class Span(StrEnum):
    """A statistics period by name."""

    ROLLING = "rolling"
    """The 12 months that ended yesterday."""
    MONTH = "month"
    QUARTER = "quarter"
    YEAR_TO_DATE = "year-to-date"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Period:
    """A statistics period of whole local days, half-open."""

    start: date
    end: date

    @classmethod
    def year(cls, year: int) -> "Period":
        """Return a calendar year."""
        return cls(date(year, 1, 1), date(year + 1, 1, 1))

    @classmethod
    def of(cls, span: Span, today: date) -> "Period":
        """Return the last whole month, quarter or year, or the 12 months or year so far."""
        month = today.replace(day=1)
        if span is Span.MONTH:
            return cls(_back(month, 1), month)
        if span is Span.QUARTER:
            quarter = month.replace(month=3 * ((month.month - 1) // 3) + 1)
            return cls(_back(quarter, 3), quarter)
        if span is Span.YEAR:
            return cls.year(today.year - 1)
        if span is Span.YEAR_TO_DATE:
            yesterday = today - timedelta(days=1)
            return cls(date(yesterday.year, 1, 1), today)
        leap = (today.month, today.day) == (2, 29)
        return cls(today.replace(year=today.year - 1, day=28 if leap else today.day), today)

    @property
    def span(self) -> Span | None:
        """What it is by name; None: a part of a year that is none of them."""
        whole = self.start.day == self.end.day == 1
        months = 12 * (self.end.year - self.start.year) + self.end.month - self.start.month
        if self.days >= YEAR_DAYS:
            return Span.YEAR if whole and self.start.month == 1 else Span.ROLLING
        if whole and months in (1, 3):
            return Span.MONTH if months == 1 else Span.QUARTER
        return Span.YEAR_TO_DATE if (self.start.month, self.start.day) == (1, 1) else None

    @property
    def days(self) -> int:
        """Length in days."""
        return (self.end - self.start).days

    @property
    def year_days(self) -> int:
        """Days a year has for this period: its own length if it is one, else 365."""
        return self.days if self.days in (365, 366) else YEAR_DAYS


@dataclass(frozen=True, slots=True)
class Claim:
    """One denominator somebody declared, and the meters whose energy it divides."""

    site: Site
    period: Period
    product: str
    """A product or a name of BASES; empty: floor area, per year."""
    denominator: float
    """m2 (mean over the period) or output, in `unit`."""
    unit: str
    declared_by: str
    """Empty if any part of it has no declarer on record."""
    meters: tuple[str, ...]
    """Every meter the figure rests on."""
    segments: tuple[tuple[date, date, float], ...]
    """Half-open spans of days and the denominator of one day in each, m2.a or output."""
    other_energy_kgce: float | None = None
    shared: bool = False
    """Another declaration claims the energy of the same meters and days, and nothing parts it."""
    shares: tuple[float | None, ...] = ()
    """Of each segment, the declared share of the energy products have in common."""
    series: tuple[str, ...] = ()
    """The names under which its energy stands among the DAY rows; empty: its meters'."""
    allocation: str = ""
    """How its energy was parted from that of other products; empty: it was not."""
    annualised: str = ""
    """How a part of a year was scaled to a year; empty: it was not."""
    crosses: bool = False
    """All that is declared of it reaches beyond the period; it has no segments."""
    count_coverage: float | None = None
    """0..1 of the days its counters support (`processors.counted`); None: none counts it."""

    @property
    def days_expected(self) -> int:
        """Days the claim is about."""
        if not self.product:
            return self.period.days
        return sum((end - start).days for start, end, _ in self.segments)

    @property
    def rows(self) -> tuple[str, ...]:
        """The names under which its energy stands among the DAY rows."""
        return self.series or self.meters


def mains(site: Site) -> tuple[str, ...]:
    """Return the meters that add up to the site."""
    return tuple(one.id for one in site.meters if one.role == "main")


def area_claim(site: Site, period: Period) -> Claim | None:
    """Return the claim of a site's floor area over a period; None if none was in force."""
    spans = list(_spans(site.floor_area_m2, period))
    if not spans:
        return None
    days = [(end - start).days for start, end, _ in spans]
    area = sum(n * one.value for n, (_, _, one) in zip(days, spans, strict=True)) / sum(days)
    return Claim(
        site=site,
        period=period,
        product="",
        denominator=area,
        unit="m2",
        declared_by=_declarers([one.declared_by for _, _, one in spans]),
        meters=mains(site),
        segments=tuple((s, e, one.value / period.year_days) for s, e, one in spans),
        annualised="" if period.days >= YEAR_DAYS else MEAN,
    )


def by_season(claim: Claim, shares: Sequence[float], year: int) -> Claim:
    """Return a floor area's claim whose days weigh as the same months did in a past year.

    Args:
        claim: of floor area.
        shares: of January to December in the site's energy of `year`, together 1.
        year: the year they are of.
    """
    parts = []
    for start, end, per_day in claim.segments:
        area = per_day * claim.period.year_days
        for first, after in _months(start, end):
            begin = first.replace(day=1)
            length = (_next(begin) - begin).days
            parts.append((first, after, area * shares[first.month - 1] / length))
    return replace(claim, segments=tuple(parts), annualised=f"shape of {year}")


def _months(start: date, end: date) -> Iterator[tuple[date, date]]:
    while start < end:
        after = min(_next(start), end)
        yield start, after
        start = after


def _back(day: date, months: int) -> date:
    count = day.year * 12 + day.month - 1 - months
    return date(count // 12, count % 12 + 1, 1)


def _next(day: date) -> date:
    """Return the first day of the month after that of `day`."""
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)


def _spans(values: Sequence[Dated], period: Period) -> Iterator[tuple[date, date, Dated]]:
    for n, one in enumerate(values):
        until = values[n + 1].since if n + 1 < len(values) else period.end
        start, end = max(one.since, period.start), min(until, period.end)
        if start < end:
            yield start, end, one


def _declarers(names: Iterable[str]) -> str:
    given = list(dict.fromkeys(names))
    return "" if "" in given else "; ".join(given)


def output_claims(site: Site, period: Period) -> list[Claim]:
    """Return one claim for each product, and each of BASES, declared within the period.

    Declarations that reach beyond the period are left out: their output cannot be split. What they
    alone are about is in `crossing_claims`.
    """
    inside = [
        one for one in site.production if period.start <= one.since and one.until <= period.end
    ]
    keys = dict.fromkeys((one.product, one.unit, one.meters) for one in inside)
    groups = [[one for one in inside if (one.product, one.unit, one.meters) == k] for k in keys]
    return [_output_claim(site, group, inside) for group in groups]


def crossing_claims(site: Site, period: Period) -> list[Claim]:
    """Return one claim without segments for each product whose declarations all cross the period.

    Nobody declared how much of their output was made inside, and no share of it is invented.
    """
    met = [one for one in site.production if one.since < period.end and one.until > period.start]
    across = [one for one in met if one.since < period.start or one.until > period.end]
    inside = {one.product for one in met if one not in across}
    units = {one.product: one.unit for one in across if one.product not in inside}
    return [
        Claim(site, period, name, 0.0, unit, _declarers(_by(across, name)), (), (), crosses=True)
        for name, unit in units.items()
    ]


def _by(made: Iterable[Production], product: str) -> Iterator[str]:
    return (one.declared_by for one in made if one.product == product)


def _output_claim(site: Site, group: list[Production], everyone: list[Production]) -> Claim:
    others = [one.other_energy_kgce for one in group]
    known = [one for one in others if one is not None]
    return Claim(
        site=site,
        period=Period(min(one.since for one in group), max(one.until for one in group)),
        product=group[0].product,
        denominator=sum(one.output for one in group),
        unit=group[0].unit,
        declared_by=_declarers(one.declared_by for one in group),
        meters=group[0].meters or mains(site),
        segments=tuple(
            (one.since, one.until, one.output / (one.until - one.since).days) for one in group
        ),
        other_energy_kgce=sum(known) if len(known) == len(others) else None,
        shared=any(_clash(site, mine, other) for mine in group for other in everyone),
        shares=tuple(one.share for one in group),
    )


def _clash(site: Site, mine: Production, other: Production) -> bool:
    if mine is other or mine.until <= other.since or other.until <= mine.since:
        return False
    if mine.product != other.product and (mine.product in BASES or other.product in BASES):
        return False  # output value counts what all products are worth
    return bool(set(mine.meters or mains(site)) & set(other.meters or mains(site)))
