"""The basic charge (基本电费) of a two-part tariff: capacity, contract or actual demand. Pure."""

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from collector.dated import in_force
from collector.site import Site
from processors.policy.tariff_pack import OverContract
from processors.tariff.contract import Segment, price_fact
from processors.tariff.facts import known
from processors.tariff.lines import Item, Known, Line


def basic_lines(
    segment: Segment,
    site: Site,
    whole: dict[str, object],
    bounds: tuple[datetime, datetime],
    last: date,
) -> list[Line]:
    """Return the basic charge of a month; none for a one-part tariff.

    Args:
        segment: the facts in force on the month's last day decide the whole month.
        site: with its contract demand.
        whole: BY_PERIOD figures of the whole month.
        bounds: of the month, UTC.
        last: its last day.
    """
    supply = segment.supply
    if supply is None or supply.basic == "none":
        return []
    if supply.basic == "transformer_capacity":
        price, factors = _price(segment, "capacity_yuan_per_kva")
        kva = supply.transformer_kva
        size = known("transformer", kva=kva, by=supply.declared_by or "site")
        return [_line(Item.CAPACITY, bounds, (kva, "kVA", price), (size, *factors))]
    top, at = whole["max_demand_kw"], whole["max_demand_at"]
    if isinstance(at, datetime):
        whole = whole | {"max_demand_at": at.astimezone(ZoneInfo(site.timezone))}
    measured = float(top) if isinstance(top, float) else None
    if supply.basic == "actual_max_demand":
        return [_actual(segment, measured, whole, bounds)]
    held = in_force(site.contract_demand_kw, last)
    contract = None if held is None else held.value
    return _contract(segment, contract, measured, whole, bounds)


def _actual(
    segment: Segment,
    measured: float | None,
    whole: dict[str, object],
    bounds: tuple[datetime, datetime],
) -> Line:
    price, sources = _price(segment, "demand_yuan_per_kw")
    reason = "no_demand" if measured is None else None
    factors = (_moment(whole), *sources)
    return _line(Item.DEMAND, bounds, (measured, "kW", price), factors, reason, _notes(whole))


def _contract(
    segment: Segment,
    contract: float | None,
    measured: float | None,
    whole: dict[str, object],
    bounds: tuple[datetime, datetime],
) -> list[Line]:
    """Bill the contract, and what exceeds its threshold by the pack's multiplier.

    Recalled rule, unverified: above 105 % of the contract the excess is billed double; below it
    the contract is billed.
    """
    price, sources = _price(segment, "demand_yuan_per_kw")
    held = known("contract", kw=contract)
    reason = "no_contract_demand" if contract is None else None
    lines = [_line(Item.DEMAND, bounds, (contract, "kW", price), (held, *sources), reason)]
    rule = segment.pack.over_contract if segment.pack else None
    if contract is None or rule is None:
        return lines
    threshold = contract * rule.threshold_pct / 100.0
    excess = None if measured is None else max(measured - threshold, 0.0)
    if excess == 0.0 and not _notes(whole):
        return lines
    multiplied = None if price is None else price * Decimal(str(rule.multiplier))
    reason = "no_demand" if measured is None else None
    factors = (_rule(rule, threshold), _moment(whole), *sources)
    over = _line(
        Item.DEMAND_EXCESS, bounds, (excess, "kW", multiplied), factors, reason, _notes(whole)
    )
    return [*lines, over]


def _rule(rule: OverContract, threshold: float) -> Known:
    return known(
        "over_contract", rule.provenance, kw=threshold, share=rule.threshold_pct,
        multiplier=rule.multiplier, source=rule.note,
    )  # fmt: skip


def _moment(whole: dict[str, object]) -> Known:
    top, at = whole["max_demand_kw"], whole["max_demand_at"]
    if top is None:
        return known("no_demand")
    return known("max_demand", kw=top, at=at)


def _notes(whole: dict[str, object]) -> tuple[str, ...]:
    return ("demand_lower_bound",) if whole["lower_bound"] else ()


def _price(segment: Segment, name: str) -> tuple[Decimal | None, tuple[Known, ...]]:
    told = getattr(segment.prices, name) if segment.prices else None
    if told is None:
        return None, ()
    return Decimal(str(told)), (price_fact(segment, name),)


def _line(
    item: Item,
    bounds: tuple[datetime, datetime],
    product: tuple[float | None, str, Decimal | None],
    factors: tuple[Known, ...],
    reason: str | None = None,
    notes: tuple[str, ...] = (),
) -> Line:
    quantity, unit, price = product
    lacking = reason or ("no_price" if price is None else None)
    return Line(item, *bounds, quantity, unit, price, factors, reason=lacking, notes=notes)
