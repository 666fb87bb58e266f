"""A tariff pack: periods of use by month, day type and hour, and the ratios of their prices."""

from collections import Counter
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from collector.site import Strict, Supply
from processors.calendar import DayType
from processors.policy.header import Header, Provenance

Month = Annotated[int, Field(ge=1, le=12)]
Ratio = Annotated[float, Field(gt=0, lt=10)]


class PeriodName(StrEnum):
    """尖峰平谷."""

    SHARP = "sharp"
    PEAK = "peak"
    FLAT = "flat"
    VALLEY = "valley"


class PeriodRule(Strict):
    """Hours of one period; the first rule that holds decides."""

    period: PeriodName
    hours: Annotated[tuple[tuple[str, str], ...], Field(min_length=1)]
    """Half-open local clock times `[from, to)`, "HH:MM" on quarter hours, up to "24:00"."""
    months: tuple[Month, ...] = ()
    """Months it holds in; empty: all."""
    or_hot: bool = False
    """It also holds in the other months, on hot days."""
    day_types: tuple[DayType, ...] = ()
    """Day types it holds on; empty: all."""
    provenance: Provenance
    clause: str = ""
    note: str = ""

    @field_validator("hours")
    @classmethod
    def _quarters(cls, hours: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        spans = [(minute_of(start), minute_of(end)) for start, end in hours]
        if any(start >= end for start, end in spans):
            raise ValueError("each pair needs from < to; split what passes midnight")
        if any(before[1] > after[0] for before, after in pairwise(sorted(spans))):
            raise ValueError("the hours of a rule must not overlap")
        return hours

    @field_validator("day_types")
    @classmethod
    def _decided(cls, types: tuple[DayType, ...]) -> tuple[DayType, ...]:
        if DayType.UNKNOWN in types:
            raise ValueError("`unknown` is no day type a tariff can name")
        return types

    @property
    def minutes(self) -> list[tuple[int, int]]:
        """The hours in minutes of the day."""
        return [(minute_of(start), minute_of(end)) for start, end in self.hours]


def minute_of(clock: str) -> int:
    """Return the minute of the day of "HH:MM"; ValueError unless on a quarter hour."""
    hour, _, minute = clock.partition(":")
    if not (hour.isdigit() and minute.isdigit() and len(minute) == 2):
        raise ValueError(f'{clock!r}: write "HH:MM"')
    whole = int(hour) * 60 + int(minute)
    if whole > 1440 or int(minute) > 59 or whole % 15:
        raise ValueError(f"{clock!r} is no quarter hour from 00:00 to 24:00")
    return whole


class HotRule(Strict):
    """When a day is hot: the day's maximum at the named place reaches `min_c`."""

    place: str
    min_c: float
    provenance: Provenance
    clause: str = ""


class Multiple(Strict):
    """One number of the tariff with its source."""

    value: Annotated[float, Field(gt=0)]
    provenance: Provenance
    source: str = ""
    note: str = ""


class Ratios(Strict):
    """Prices of the periods as multiples of the flat price, government funds excluded."""

    area: str
    user_class: str = ""
    voltage: str = ""
    metering: str = ""
    """Metering side: 高供高计 `high` or 高供低计 `low`."""
    name: str = ""
    """As the document words the row."""
    peak: Ratio
    flat: Ratio = 1.0
    valley: Ratio
    provenance: Provenance
    source: str = ""
    note: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What a supply contract names."""
        return (self.area, self.user_class, self.voltage, self.metering)


class OverContract(Strict):
    """超合同需量: what is above `threshold_pct` of the contract is billed `multiplier` times."""

    threshold_pct: Annotated[float, Field(ge=100)]
    multiplier: Annotated[float, Field(ge=1)]
    provenance: Provenance
    note: str = ""


class TariffPack(Header):
    """One edition of a time-of-use tariff."""

    kind: Literal["tariff"]
    periods: Annotated[tuple[PeriodRule, ...], Field(min_length=1)]
    otherwise: PeriodName = PeriodName.FLAT
    """The period of all other hours."""
    hot: HotRule | None = None
    sharp_on_peak: Multiple | None = None
    """Sharp price = peak price × this."""
    price_decimals: Annotated[int, Field(ge=0, le=8)] = 4
    """Decimals of a price in yuan/kWh: 分/kWh with two decimals."""
    ratios: Annotated[tuple[Ratios, ...], Field(min_length=1)]
    over_contract: OverContract | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        twice = [key for key, n in Counter(row.key for row in self.ratios).items() if n > 1]
        if twice:
            raise ValueError(f"two rows of ratios for {' / '.join(twice[0])}")
        if self.hot is None and any(rule.or_hot for rule in self.periods):
            raise ValueError("`or_hot` needs `hot`: the place and the temperature")
        sharp = any(rule.period is PeriodName.SHARP for rule in self.periods)
        if sharp and self.sharp_on_peak is None:
            raise ValueError("a sharp period needs `sharp_on_peak`")
        return self

    def ratios_of(self, supply: Supply) -> Ratios | None:
        """Return the row a supply contract names; None if there is none."""
        wanted = (supply.area, supply.user_class, supply.voltage, supply.metering)
        return next((row for row in self.ratios if row.key == wanted), None)
