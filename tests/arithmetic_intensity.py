"""What the examples of docs/arithmetic-intensity.md call; not a test itself."""

from datetime import date, timedelta

import polars as pl
from policy_rows import REPO, at, day_rows, meter, site

from processors.allocation import allocate
from processors.claims import Period, output_claims
from processors.judge import judge
from processors.policy.load import load_packs
from processors.settings import VerdictSettings

_PACKS, _ = load_packs(REPO / "config" / "policy")
_OCTOBER = Period(date(2026, 10, 1), date(2026, 11, 1))
_WHOLE = Period(date(2017, 1, 1), date(2018, 1, 1))


def _judged(days, here, period, **rules):
    now = at(period.end + timedelta(days=1))
    rows = judge(days, [here], _PACKS, period, VerdictSettings(**rules), now)
    return {row["row_id"]: row for row in rows.rows(named=True)}


def _works(product, output, unit, **over):
    made = {"from": _OCTOBER.start, "until": _OCTOBER.end, "product": product, "output": output,
            "unit": unit, "declared_by": "works"}  # fmt: skip
    return site(kind="factory", use="", floor_area_m2=[], production=[made], **over)


def declared(tonnes, days):
    """VERDICT of clinker's electricity in a month of 1,000 kWh a day."""
    rows = day_rows("m", _OCTOBER.start, _OCTOBER.start + timedelta(days=days), 1000.0)
    return _judged(rows, _works("clinker_el", tonnes, "t"), _OCTOBER)["clinker_el"]


def by_counter(count, missed=0):
    """VERDICT of the same month, 0.5 t of clinker a count; the last days `missed`."""
    what = {"from": "2026-01-01", "product": "clinker_el", "per_count": 0.5, "unit": "t",
            "declared_by": "works"}  # fmt: skip
    line = {"id": "line", "role": "count", "counts": {"of": [what]}}
    here = site(kind="factory", use="", floor_area_m2=[], meters=[meter("m"), line])
    seen = {"output_count": count, "coverage": 1.0, "blocks": 96}
    rows = [day_rows("m", _OCTOBER.start, _OCTOBER.end, 1000.0)]
    last = _OCTOBER.end - timedelta(days=missed)
    rows.append(day_rows("line", _OCTOBER.start, last, None, **seen))
    return _judged(pl.concat(rows), here, _OCTOBER)["clinker_el"]


def industry(value):
    """VERDICT per output value of the same month, by the illustrative industry guide."""
    rows = day_rows("m", _OCTOBER.start, _OCTOBER.end, 1000.0)
    here = _works("output_value", value, "万元", industry="C30", guide="demo-industry")
    return _judged(rows, here, _OCTOBER)["C30-electricity"]


def parted(**shares):
    """Energy of a day by product: the example's four, or those of the shares given."""
    told = [
        {"product": "a", "output": 100.0, "meters": ["s"]},
        {"product": "b", "output": 100.0, "share": 0.25},
        {"product": "c", "output": 100.0}, {"product": "d", "output": 300.0},
    ]  # fmt: skip
    if shares:
        told = [{"product": n, "output": 1.0, "share": share} for n, share in shares.items()]
    day = date(2017, 5, 1)
    span = {"from": day, "until": day + timedelta(days=1), "unit": "t", "declared_by": "works"}
    meters = [meter("m"), meter("n"), meter("s", role="sub", behind="m")]
    here = site(meters=meters, production=[one | span for one in told])
    claims = output_claims(here, Period(day, span["until"]))
    energy = {"m": 60.0, "n": 40.0, "s": 20.0}
    rows = pl.concat([day_rows(name, day, span["until"], kwh) for name, kwh in energy.items()])
    quotas = {"c": {"kWh": 30.0}, "d": {"kWh": 10.0}}
    days, claims = allocate(rows, claims, lambda one: quotas.get(one.product, {}))
    return {
        one.product: None if one.shared
        else days.filter(pl.col("meter_id").is_in(one.rows))["energy_kwh"].sum()
        for one in claims
    }  # fmt: skip


def quarter(*, shape=True):
    """VERDICT of a shop's third quarter, with or without the year before."""

    def cooling(day):
        return 300.0 if 6 <= day.month <= 9 else 100.0

    period = Period(date(2017, 7, 1), date(2017, 10, 1))
    rows = [day_rows("m", period.start, period.end, cooling)]
    if shape:
        rows.append(day_rows("m", date(2016, 1, 1), date(2017, 1, 1), cooling))
    here = site(guide="demo-tertiary")
    (row,) = _judged(pl.concat(rows), here, period).values()
    return row


def grade(kwh):
    """Name of the grade of a hotel of 1,000 m2 that uses so much a day."""
    rows = day_rows("m", _WHOLE.start, _WHOLE.end, kwh)
    return _judged(rows, site(guide="demo-tertiary"), _WHOLE)["hotel"]["grade_zh"]


HELPERS = {
    "declared": declared,
    "by_counter": by_counter,
    "industry": industry,
    "parted": parted,
    "quarter": quarter,
    "grade": grade,
}
