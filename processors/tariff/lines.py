"""LINES: one row a line of a simulated bill, each with the factors it is made of. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

import polars as pl

from collector.reading import UTC_US
from processors.policy.header import Provenance
from processors.tariff.periods import PERIOD

CENT = Decimal("0.01")


class Item(StrEnum):
    """What a line charges."""

    ENERGY = "energy"
    """电度电费: kWh of one period × its price, government funds excluded."""
    FUNDS = "funds"
    """政府性基金及附加: all kWh × the same price."""
    CAPACITY = "capacity"
    """基本电费 by transformer capacity."""
    DEMAND = "demand"
    """基本电费 by contract or actual maximum demand."""
    DEMAND_EXCESS = "demand_excess"
    """基本电费 above the contract's threshold."""
    POWER_FACTOR = "power_factor"
    """力率调整电费."""
    TOTAL = "total"
    """Sum of the lines above that count."""
    SURCHARGE = "surcharge_simulated"
    """累进加价（测算）: a simulation, no part of the total."""


LINES: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "month": pl.Date(),
    "line": pl.Int32(),
    "item": pl.Enum([one.value for one in Item]),
    "period": PERIOD,
    "start": UTC_US,
    "end": UTC_US,
    "quantity": pl.Float64(),
    "unit": pl.String(),
    "price_yuan": pl.Float64(),
    "amount_yuan": pl.Float64(),
    "formula": pl.String(),
    "factors": pl.List(pl.String()),
    "factors_zh": pl.List(pl.String()),
    "provenance": pl.String(),
    "coverage": pl.Float64(),
    "estimated_share": pl.Float64(),
    "reason": pl.String(),
    "notes": pl.List(pl.String()),
}
"""`month` its first local day; `line` from 1; `start`/`end` of the span charged (a change of
contract, price or edition parts a month). `quantity` in `unit` (kWh, kW, kVA, yuan) × `price_yuan`
= `amount_yuan`, to the 分; `formula` the same in figures; `factors` each factor with its source,
`factors_zh` the same in Chinese; `provenance` the weakest of them. `coverage` 0..1 of the span that
has passed, `estimated_share` 0..1 of the energy. `reason` why there is no amount (a REASONS),
`notes` what to know of the figure (NOTES). Null, never 0, where something is not known."""

REASONS = {
    "no_supply": "no supply contract was in force",
    "no_tariff": "no edition of the tariff was in force",
    "no_ratios": "the edition has no ratios for this contract",
    "day_type_unknown": "the tariff needs the type of a day no notice is known for",
    "no_data": "no energy is known",
    "no_price": "no price is given for this time",
    "no_contract_demand": "no contract demand is declared",
    "no_demand": "no maximum demand is known",
    "no_reactive": "no reactive energy is known",
    "no_power_factor_pack": "no power-factor adjustment is in force or chosen",
    "amounts_missing": "a line above has no amount",
    "tier_not_published": "the tier has no published amount",
}

NOTES = {
    "month_not_over": "the month still runs",
    "incomplete": "blocks are missing: the quantity is a lower bound",
    "estimated": "part of the energy is estimated",
    "demand_lower_bound": "the true maximum demand may be higher",
    "hot_days_unknown": "days without a known maximum temperature are rated as not hot",
    "reactive_incomplete": "reactive energy is known for part of the energy only",
    "reactive_drawn_only": "no main meter tells reactive energy fed back, which counts too: the"
    " factor is an upper bound",
    "fed_back_incomplete": "reactive energy fed back is known in part: the factor is an upper"
    " bound",
    "simulation": "测算: never an amount owed",
}


@dataclass(frozen=True, slots=True)
class Known:
    """A factor of a line: its text and how well it is known; made by `facts.known`."""

    text: str
    """English."""
    zh: str
    provenance: Provenance | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line before it is numbered."""

    item: Item
    start: datetime
    end: datetime
    quantity: float | None
    unit: str
    price: Decimal | None
    factors: tuple[Known, ...] = ()
    period: str | None = None
    coverage: float | None = None
    estimated_share: float | None = None
    reason: str | None = None
    notes: tuple[str, ...] = ()
    told: Decimal | None = None
    """An amount that is not quantity × price: a total."""

    @property
    def amount(self) -> Decimal | None:
        """Quantity × price, to the 分, half up."""
        if self.told is not None:
            return self.told
        if self.quantity is None or self.price is None or self.reason is not None:
            return None
        return cents(Decimal(repr(self.quantity)) * self.price)

    @property
    def formula(self) -> str | None:
        """The multiplication in figures."""
        if self.amount is None or self.told is not None or self.quantity is None:
            return None
        return f"{self.quantity:,.2f} {self.unit} × {self.price} = {self.amount:,} yuan"


def cents(yuan: Decimal) -> Decimal:
    """Round to the 分, half up."""
    return yuan.quantize(CENT, ROUND_HALF_UP)


def weakest(factors: Iterable[Known]) -> Provenance | None:
    """Return the least provenance among factors that have one."""
    told = [one.provenance for one in factors if one.provenance is not None]
    return max(told, key=list(Provenance).index, default=None)


def frame_of(lines: Iterable[Line], site_id: str, month: object) -> pl.DataFrame:
    """Number the lines and return them as LINES rows."""
    rows = [
        {
            "site_id": site_id,
            "month": month,
            "line": number,
            "item": one.item.value,
            "period": one.period,
            "start": one.start,
            "end": one.end,
            "quantity": one.quantity,
            "unit": one.unit,
            "price_yuan": None if one.price is None else float(one.price),
            "amount_yuan": None if one.amount is None else float(one.amount),
            "formula": one.formula,
            "factors": [known.text for known in one.factors],
            "factors_zh": [known.zh for known in one.factors],
            "provenance": weakest(one.factors),  # a StrEnum
            "coverage": one.coverage,
            "estimated_share": one.estimated_share,
            "reason": one.reason,
            "notes": list(one.notes),
        }
        for number, one in enumerate(lines, start=1)
    ]
    return pl.DataFrame(rows, schema=LINES, orient="row")
