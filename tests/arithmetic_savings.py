"""What the examples of docs/arithmetic-savings.md call; not a test itself."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
from baseline_rows import event, held, instant, rows, state, steady
from history_rows import book
from policy_rows import REPO, day_rows, site

from processors.carbon import Factors, labels, ledger
from processors.claims import Period
from processors.events import BaselineSettings
from processors.indices import Length, indices
from processors.normalised import FINDING, NORMALISED, Fitted, Method, Span, savings
from processors.policy.load import load_packs
from processors.savings_settings import CarbonSettings
from processors.target import BASES, YEARS, Course, members, targets

FRIDAY = date(2026, 11, 20)
START, END = instant("2026-11-20 14:00"), instant("2026-11-20 16:00")
RULE = BaselineSettings(keep=2, of=3, beside_days=0)


def event_of(like_kw, during, cut_kw, before=None, proof=True):
    """EVENTS row of an event after three working days, all at a steady demand."""
    blocks = {}
    for n, kw in enumerate(like_kw):
        blocks |= steady(FRIDAY - timedelta(days=len(like_kw) - n), 1, kw)
    usual = sum(sorted(like_kw)[-2:]) / 2 if before is None else before
    blocks |= steady(FRIDAY, 1, usual)
    blocks |= {at: (during / 4, 1.0, False) for at in blocks if START <= at < END}
    asked = event(START, END, START - timedelta(hours=1) if proof else None, cut_kw=cut_kw)
    row = state(rows(blocks), [asked], [held()], RULE).events.row(0, named=True)
    return _rounded(row, 6)


def _rounded(row, digits):
    return {k: round(v, digits) if isinstance(v, float) else v for k, v in row.items()}


def target_of(mean_kw, year, area_m2=()):
    """TARGET row of a factory whose mean powers of 2010, 2011, ... are given."""
    pack = load_packs(REPO / "config" / "policy")[0].target("savings-shenzhen")
    told = [
        ("s", 2010 + n, 8784.0 if n == 2 else 8760.0, kw * 8760, kw, 1.0, 0.0, None)
        for n, kw in enumerate(mean_kw)
    ]
    years = pl.DataFrame(told, schema=YEARS, orient="row")
    areas = [("s", 2010 + n, area, "m2.a") for n, area in enumerate(area_m2)]
    bases = pl.DataFrame(areas, schema=BASES, orient="row")
    rows = targets(years, bases, members([held()], pack), Course.of(pack, None, 0.95))
    return _rounded(rows.filter(level="site", year=year).row(0, named=True), 4)


def _factors(year):
    pack = load_packs(REPO / "config" / "policy")[0].factor_pack("emission-factors")
    choice = {"from": "2015-01-01", "scope": "广东", "year": year}
    return Factors(pack, CarbonSettings(factors=[choice]).factors)


def carbon_of(month, year=None):
    """Emission of a month of 10 kWh a day, and why there is none."""
    first = date.fromisoformat(month + "-01")
    days = day_rows("m", first, (first + timedelta(days=31)).replace(day=1), 10.0)
    now = datetime(2030, 1, 1, tzinfo=UTC)
    rows = indices(
        days.with_columns(max_block_demand_kw=1.0), book("m").meters, Length.MONTH, now, 0.95
    )
    return ledger(rows, _factors(year)).select(pl.col("kg_co2").round(6), "reason").row(0)


def label_of(output_t):
    """LABEL row of the output of December 2021 and January 2022, at 10 kWh a day."""
    first, after = date(2021, 12, 1), date(2022, 2, 1)
    made = {"from": first, "until": after, "product": "cement", "output": output_t, "unit": "t"}
    works = site(production=[made | {"declared_by": "owner"}])
    days = day_rows("m", first, after, 10.0)
    rows = labels(days, [works], Period(first, after), _factors(None), 0.95, lambda _: {})
    return _rounded(rows.row(0, named=True), 6)


def normalised_of(baseline, actual, unc, wrong=None):
    """Verdict, kWh saved, share, uncertainty (kWh) and coverage of some hours of 20 °C."""
    ends = [START + timedelta(hours=n) for n in range(len(baseline) + 1)]
    rows = [(at, 20.0, *told) for at, *told in zip(ends[:-1], actual, baseline, unc, strict=True)]
    said = [("baseline", wrong, True, "", "{}")] if wrong else []
    lead = lambda kind: {n: t for n, t in kind.items() if n != "site_id"}  # noqa: E731 - two uses
    fitted = Fitted(
        pl.DataFrame(rows, schema=lead(NORMALISED), orient="row"),
        pl.DataFrame(said, schema=lead(FINDING), orient="row"),
        0.05,
        "",
    )
    span = Span("Asia/Shanghai", START - timedelta(365), START, START, ends[-1])
    row = _rounded(savings("s", Method.HOURLY, "w", span, fitted).row(0, named=True), 4)
    names = ("verdict", "savings_kwh", "savings_ratio", "uncertainty_kwh", "coverage")
    return tuple(row[name] for name in names)


HELPERS = {
    "event_of": event_of,
    "target_of": target_of,
    "carbon_of": carbon_of,
    "normalised_of": normalised_of,
    "label_of": label_of,
}
