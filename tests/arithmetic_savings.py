"""What the examples of docs/arithmetic-savings.md call; not a test itself."""

from datetime import date, timedelta

import polars as pl
from baseline_rows import event, held, instant, rows, state, steady
from policy_rows import REPO

from processors.events import BaselineSettings
from processors.policy.load import load_packs
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


HELPERS = {"event_of": event_of, "target_of": target_of}
