"""The facts a bill rests on, span by span: contract, tariff edition, ratios, prices. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise

import polars as pl

from collector.dated import in_force
from collector.site import Site, Supply
from processors.calendar import Calendar
from processors.policy.load import Packs
from processors.policy.pack import SurchargePack
from processors.policy.power_factor_pack import PowerFactorPack
from processors.policy.tariff_pack import PeriodName, Ratios, TariffPack
from processors.settings import Prices
from processors.tariff.facts import known
from processors.tariff.lines import Known


@dataclass(frozen=True, slots=True)
class Rates:
    """Everything of a bill that is not measured at the site."""

    packs: Packs
    prices: Mapping[str, tuple[Prices, ...]] = field(default_factory=dict)
    """Price lists by name."""
    hot: pl.DataFrame | None = None
    """HOT rows of the station the tariff names."""
    calendar: Calendar = field(default_factory=Calendar)
    power_factor: PowerFactorPack | None = None
    surcharge: SurchargePack | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """Days of a month under the same facts, `[first, end)`."""

    first: date
    end: date
    supply: Supply | None
    pack: TariffPack | None
    ratios: Ratios | None
    prices: Prices | None

    @property
    def missing(self) -> str | None:
        """Why no kWh of these days has a price ratio; None if it has."""
        if self.supply is None:
            return "no_supply"
        if self.pack is None:
            return "no_tariff"
        return "no_ratios" if self.ratios is None else None


def next_month(month: date) -> date:
    """Return the first day of the month after."""
    return (month.replace(day=1) + timedelta(days=31)).replace(day=1)


def segments(site: Site, month: date, rates: Rates) -> list[Segment]:
    """Part a month wherever a contract, an edition or a price begins or ends."""
    return spans(site, month, next_month(month), rates)


def spans(site: Site, first: date, end: date, rates: Rates) -> list[Segment]:
    """Part the days `[first, end)` wherever a contract, an edition or a price begins or ends."""
    supplies = [one for one in site.supply if one.since < end]
    cuts = {one.since for one in supplies}
    for supply in supplies:
        cuts |= {one.since for one in rates.prices.get(supply.prices or "", ())}
        for pack in rates.packs.tariffs:
            if pack.id == supply.tariff:
                cuts |= {pack.validity.begin, pack.validity.until or end}
    days = sorted({first, end} | {day for day in cuts if first < day < end})
    return [_segment(site, a, b, rates) for a, b in pairwise(days)]


def _segment(site: Site, first: date, end: date, rates: Rates) -> Segment:
    supply = in_force(site.supply, first)
    if supply is None:
        return Segment(first, end, None, None, None, None)
    pack = rates.packs.tariff(supply.tariff, first)
    ratios = pack.ratios_of(supply) if pack else None
    listed = rates.prices.get(supply.prices or "", ())
    return Segment(first, end, supply, pack, ratios, in_force(listed, first))


def ratio_of(segment: Segment, period: str) -> tuple[Decimal | None, tuple[Known, ...]]:
    """Return the multiple of the flat price a period costs, and where it stands."""
    ratios, pack = segment.ratios, segment.pack
    if ratios is None or pack is None:
        return None, ()
    row = " / ".join(filter(None, ratios.key))
    named = PeriodName.PEAK if period == PeriodName.SHARP.value else PeriodName(period)
    base = Decimal(str(getattr(ratios, named.value)))
    told = known(
        "ratio", ratios.provenance, period=named.value, ratio=base,
        where=f"{pack.id} {pack.edition}, {row}", source=ratios.source,
    )  # fmt: skip
    if period != PeriodName.SHARP.value or pack.sharp_on_peak is None:
        return base, (told,)
    sharp = pack.sharp_on_peak
    raised = known("sharp", sharp.provenance, ratio=sharp.value, source=sharp.source)
    return base * Decimal(str(sharp.value)), (told, raised)


def price_of(segment: Segment, period: str) -> tuple[Decimal | None, tuple[Known, ...]]:
    """Return the price of a kWh (yuan, funds excluded) rounded as the tariff says, and its factors.

    Flat price × ratio: 粤发改价格〔2021〕331号; None where either is not known.
    """
    ratio, factors = ratio_of(segment, period)
    told = flat(segment)
    if ratio is None or told is None or segment.pack is None:
        return None, factors
    step = Decimal(1).scaleb(-segment.pack.price_decimals)
    return (told * ratio).quantize(step, ROUND_HALF_UP), (price_fact(segment), *factors)


def flat(segment: Segment) -> Decimal | None:
    """Return the flat price without funds."""
    told = segment.prices.flat_yuan_per_kwh if segment.prices else None
    return None if told is None else Decimal(str(told))


def price_fact(segment: Segment, name: str = "flat_yuan_per_kwh") -> Known:
    """Return a price with its source, as a factor."""
    prices = segment.prices
    if prices is None:
        return known("no_price")
    return known(
        "price", prices.provenance, name=name, price=getattr(prices, name),
        since=prices.since, source=prices.source,
    )  # fmt: skip
