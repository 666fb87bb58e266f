"""A month's bill of a site, simulated line by line. Pure.

Energy by tariff period × (flat price × ratio), funds added flat, basic charge of the two-part
tariff, power-factor adjustment of 1983: reference-data/tariff-guangdong.yaml and
power-factor-adjustment.yaml. The prices are facts of the contract; where one is absent the line
shows its quantity and ratio and no amount.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from collector.dated import in_force
from collector.site import Site
from processors.book import Book
from processors.history.days import bounded
from processors.intensity import mains
from processors.policy.header import Provenance
from processors.subjects import site_blocks
from processors.surcharge import tier_kwh
from processors.tariff.basic import basic_lines
from processors.tariff.contract import Rates, Segment, next_month, price_fact, price_of, segments
from processors.tariff.facts import known
from processors.tariff.fedback import with_fed_back
from processors.tariff.lines import Item, Line, frame_of, weakest
from processors.tariff.powerfactor import (
    factor_facts,
    fed_back_notes,
    month_factor,
    percent_of,
)
from processors.tariff.split import by_period, grid


def bill(
    site: Site,
    month: date,
    intervals: pl.DataFrame,
    rates: Rates,
    now: datetime,
    fed_back: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """State the bill of a site's month.

    Args:
        site: its main meters, supply contracts, contract demand and quota.
        month: its first local day.
        intervals: latest INTERVAL rows of the main meters over the month; more does no harm.
        rates: tariffs, prices, hot days, calendar.
        now: what has ended is expected.
        fed_back: FED_BACK rows of the main meters; None: not asked for, told as not known.

    Returns:
        LINES rows: energy by span and period, funds, basic charge, power factor, their total, and
        beside it the simulated surcharge (测算) if a pack is given and the site has a quota.
    """
    held = _Month.of(site, month.replace(day=1), intervals, rates, now)
    if fed_back is None:
        return held.lines()
    mine = fed_back.filter(pl.col("meter_id").is_in(mains(site)))
    return replace(held, blocks=with_fed_back(held.blocks, mine, len(mains(site)))).lines()


def month_periods(
    site: Site, month: date, intervals: pl.DataFrame, rates: Rates, now: datetime
) -> pl.DataFrame:
    """Return energy and maximum demand of a site's month by tariff period.

    Arguments as of `bill`. BY_PERIOD rows whose `meter_id` is the site's id: the figures the bill
    charges, whatever contracts and editions part the month.
    """
    held = _Month.of(site, month.replace(day=1), intervals, rates, now)
    return by_period(held.blocks, held.grid, now)


@dataclass(frozen=True, slots=True)
class _Month:
    """One site and month."""

    site: Site
    month: date
    rates: Rates
    now: datetime
    segments: list[Segment]
    grid: pl.DataFrame
    """`start`, `period`, `segment`, `month` of every block of the month."""
    blocks: pl.DataFrame
    """The site's blocks inside it; one without figures where there are none."""

    @classmethod
    def of(
        cls, site: Site, month: date, intervals: pl.DataFrame, rates: Rates, now: datetime
    ) -> "_Month":
        parted = segments(site, month, rates)
        hot, told, zone = rates.hot, rates.calendar, site.timezone
        blocks = pl.concat(
            grid(one.first, one.end, one.pack, zone, hot, told).with_columns(segment=pl.lit(n))
            for n, one in enumerate(parted)
        ).with_columns(month=pl.lit(month))
        mine = site_blocks(intervals, Book.of([site]))
        inside = mine.join(blocks.select("start"), on="start", how="semi")
        if inside.is_empty():
            nothing = blocks.head(1).select("start", meter_id=pl.lit(site.id))
            inside = pl.concat([inside, nothing], how="diagonal")
        return cls(site, month, rates, now, parted, blocks, inside)

    def lines(self) -> pl.DataFrame:
        energy = self._energy()
        whole = self._split("month")[0]
        last = next_month(self.month) - timedelta(days=1)
        basic = basic_lines(self.segments[-1], self.site, whole, self._bounds(), last)
        adjusted = self._power_factor([*energy, *basic])
        counted = [*energy, *self._funds(), *basic, *adjusted]
        every = [*counted, self._total(counted), *self._surcharge(whole["energy_kwh"])]
        return frame_of([self._noted(one, whole) for one in every], self.site.id, self.month)

    def _split(self, *by: str) -> list[dict[str, Any]]:
        """Return BY_PERIOD rows over the month, by columns of the grid."""
        return by_period(self.blocks, self.grid, self.now, by).rows(named=True)

    def _bounds(self, segment: Segment | None = None) -> tuple[datetime, datetime]:
        """Return the first instants of a span's first day and of the day after it."""
        first = segment.first if segment else self.month
        end = segment.end if segment else next_month(self.month)
        days = pl.DataFrame({"day": [first, end], "timezone": self.site.timezone})
        start, stop = bounded(days).sort("day")["start"]
        return start, stop

    def _energy(self) -> list[Line]:
        rows = self._split("segment", "period")
        begun = [row for row in rows if row["blocks_expected"] or row["energy_kwh"] is not None]
        return [self._energy_line(row) for row in begun]

    def _energy_line(self, row: dict[str, Any]) -> Line:
        segment, period = self.segments[row["segment"]], row["period"]
        price, factors = price_of(segment, period) if period else (None, ())
        missing = segment.missing or (None if period else "day_type_unknown")
        empty = None if row["energy_kwh"] is not None else "no_data"
        lacking = missing or empty or ("no_price" if price is None else None)
        notes = _quality_notes(row)
        if period in {"peak", "sharp"} and (days := self._hot_unknown(segment)):
            factors = (*factors, known("heat_unknown", days=days))
            notes = (*notes, "hot_days_unknown")
        return Line(
            Item.ENERGY, *self._bounds(segment), row["energy_kwh"], "kWh", price, factors,
            period, row["coverage"], row["estimated_share"], lacking, notes,
        )  # fmt: skip

    def _hot_unknown(self, segment: Segment) -> int:
        """Count days that are over, whose heat would decide on sharp hours and is not known."""
        rules = [one for one in segment.pack.periods if one.or_hot] if segment.pack else []
        if not any(self.month.month not in one.months for one in rules):
            return 0
        over = min(segment.end, self.now.astimezone(ZoneInfo(self.site.timezone)).date())
        if self.rates.hot is None:
            return max((over - segment.first).days, 0)
        told = self.rates.hot.filter(
            (pl.col("day") >= segment.first) & (pl.col("day") < over) & pl.col("hot").is_not_null()
        )
        return max((over - segment.first).days, 0) - told.height

    def _funds(self) -> list[Line]:
        """Return the funds of each span; a span without a contract has none to tell."""
        lines = []
        for row in self._split("segment"):
            segment = self.segments[row["segment"]]
            if segment.supply is None or not row["blocks_expected"]:
                continue
            told = segment.prices.funds_yuan_per_kwh if segment.prices else None
            price = None if told is None else Decimal(str(told))
            factors = () if price is None else (price_fact(segment, "funds_yuan_per_kwh"),)
            empty = "no_data" if row["energy_kwh"] is None else None
            lacking = empty or ("no_price" if price is None else None)
            lines.append(
                Line(
                    Item.FUNDS, *self._bounds(segment), row["energy_kwh"], "kWh", price, factors,
                    None, row["coverage"], row["estimated_share"], lacking, _quality_notes(row),
                )
            )  # fmt: skip
        return lines

    def _power_factor(self, base: list[Line]) -> list[Line]:
        supply, pack = self.segments[-1].supply, self.rates.power_factor
        if supply is None or supply.power_factor_standard is None:
            return []
        span = self._bounds()
        standard = pack.standards.get(supply.power_factor_standard) if pack else None
        if pack is None or standard is None:
            return [
                Line(Item.POWER_FACTOR, *span, None, "yuan", None, reason="no_power_factor_pack")
            ]
        found = month_factor(self.blocks)
        if found is None:
            return [Line(Item.POWER_FACTOR, *span, None, "yuan", None, reason="no_reactive")]
        percent, provenance = percent_of(standard, found.factor)
        where = known(
            "standard", document=pack.legal.document, standard=supply.power_factor_standard
        )
        factors = (
            known("base", _weakest(base)),
            *factor_facts(found),
            known("percent", provenance, percent=percent, where=where),
        )
        partly = ("reactive_incomplete",) if found.known_share < 1.0 else ()
        notes = (*fed_back_notes(found), *partly)
        told = [one.amount for one in base if one.amount is not None]
        yuan = float(sum(told)) if len(told) == len(base) else None
        lacking = "amounts_missing" if yuan is None else None
        return [
            Line(
                Item.POWER_FACTOR, *span, yuan, "yuan", percent / 100, factors,
                None, found.known_share, None, lacking, notes,
            )
        ]  # fmt: skip

    def _total(self, counted: list[Line]) -> Line:
        amounts = [one.amount for one in counted]
        told = [one for one in amounts if one is not None]
        whole = counted and len(told) == len(amounts)
        factors = (known("sum", _weakest(counted), count=len(counted)),)
        return Line(
            Item.TOTAL, *self._bounds(), None, "yuan", None, factors,
            reason=None if whole else "amounts_missing",
            notes=tuple(dict.fromkeys(note for one in counted for note in one.notes)),
            told=sum(told, Decimal(0)) if whole else None,
        )  # fmt: skip

    def _surcharge(self, energy: float | None) -> list[Line]:
        """Return the tiers the month's energy reaches (测算), each by the kWh inside it."""
        pack = self.rates.surcharge
        quota = in_force(self.site.quota_month_kwh, next_month(self.month) - timedelta(days=1))
        if pack is None or quota is None or energy is None:
            return []
        inside = tier_kwh(pack, np.array([quota.value]), np.array([energy]))
        lines = []
        for tier, kwh in zip(pack.tiers, inside, strict=True):
            if kwh[0] <= 0.0:
                continue
            told = tier.add_yuan_per_kwh
            bounds = known(
                "tier", tier.provenance, share=tier.ratio_gt, quota=quota.value,
                where=f"{pack.id} {pack.edition}",
            )  # fmt: skip
            price = None if told is None else Decimal(str(told))
            lines.append(
                Line(
                    Item.SURCHARGE, *self._bounds(), float(kwh[0]), "kWh", price,
                    (bounds,),
                    reason="tier_not_published" if price is None else None,
                    notes=("simulation",),
                )
            )  # fmt: skip
        return lines

    def _noted(self, line: Line, whole: dict[str, Any]) -> Line:
        """Add what holds of the whole month: that it still runs, and its coverage."""
        running = self.now < self._bounds()[1]
        notes = (*line.notes, "month_not_over") if running else line.notes
        coverage = whole["coverage"] if line.coverage is None else line.coverage
        return replace(line, notes=tuple(dict.fromkeys(notes)), coverage=coverage)


def _weakest(lines: Iterable[Line]) -> Provenance | None:
    return weakest(one for line in lines for one in line.factors)


def _quality_notes(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the NOTES that a BY_PERIOD row deserves."""
    lacks = row["blocks"] < row["blocks_expected"]
    guessed = (row["estimated_share"] or 0.0) > 0.0
    return (*(["incomplete"] if lacks else []), *(["estimated"] if guessed else []))
