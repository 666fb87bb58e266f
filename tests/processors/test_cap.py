"""Load caps: blocks above, the worst, kWh above; a sum that lacks a meter decides only upwards."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from policy_rows import at, meter, site
from pydantic import ValidationError

from processors.cap import CAP_ACCOUNT, CAP_DAY, cap_accounts, cap_days
from processors.interval import INTERVAL

DAY, NEXT = date(2026, 11, 16), date(2026, 11, 17)
FIRST, END = date(2026, 11, 1), date(2026, 12, 1)


def blocks(loads, meter_id="m", start=None, quality="measured"):
    first = start or at(DAY)
    starts = [first + timedelta(minutes=15 * n) for n in range(len(loads))]
    known = {
        "meter_id": meter_id,
        "start": starts,
        "end": [one + timedelta(minutes=15) for one in starts],
        "demand_kw": loads,
        "energy_kwh": [None if one is None else one / 4 for one in loads],
        "quality": quality,
    }
    frame = pl.DataFrame(known, schema_overrides={"demand_kw": pl.Float64})
    absent = [pl.lit(None).alias(name) for name in INTERVAL if name not in frame.columns]
    return frame.with_columns(absent).select(pl.col(n).cast(t) for n, t in INTERVAL.items())


def capped(*caps, **over):
    one = {"from": DAY.isoformat(), "until": NEXT.isoformat(), "value": 100}
    return site(cap_kw=list(caps) or [one | {"declared_by": "notice 3"}], **over)


def account(rows, of=None, now=None):
    frame = cap_accounts(rows, [of or capped()], FIRST, END, now or at(NEXT))
    assert frame.schema == pl.Schema(CAP_ACCOUNT)
    return frame.row(0, named=True)


def test_blocks_above_their_energy_and_the_worst():
    got = account(blocks([90.0, 100.0, 120.0, 140.0, 80.0] + [50.0] * 91))
    assert (got["blocks_due"], got["blocks"], got["coverage"]) == (96, 96, 1.0)
    assert got["blocks_above"] == 2  # 100 is not above 100
    assert got["kwh_above"] == pytest.approx((20 + 40) / 4)
    assert (got["worst_kw"], got["worst_at"]) == (140.0, at(DAY) + timedelta(minutes=45))
    assert (got["used_ratio"], got["remaining_kw"]) == (pytest.approx(1.4), -40.0)
    assert (got["start"], got["end"], got["declared_by"]) == (at(DAY), at(NEXT), "notice 3")


def test_a_sum_that_lacks_a_meter_decides_only_upwards():
    two = capped(meters=[meter("m"), meter("n")])
    rows = pl.concat([blocks([60.0, 120.0, 60.0]), blocks([60.0, None, None], "n")])
    got = account(rows, two, at(DAY) + timedelta(minutes=45))
    assert (got["blocks_due"], got["blocks"], got["blocks_above"]) == (3, 2, 2)
    assert got["kwh_above"] == pytest.approx(10.0)


def test_nothing_known_is_null_not_zero():
    got = account(blocks([None] * 96))
    assert (got["blocks"], got["coverage"]) == (0, 0.0)
    for name in ("blocks_above", "kwh_above", "worst_kw", "used_ratio", "remaining_kw"):
        assert got[name] is None


def test_a_cap_binds_on_its_days_only_and_the_next_takes_over():
    of = capped(
        {"from": DAY.isoformat(), "value": 100},
        {"from": NEXT.isoformat(), "value": 40, "until": date(2026, 11, 18).isoformat()},
    )
    frame = cap_accounts(blocks([50.0] * 96 * 3), [of], FIRST, END, at(END))
    assert frame["cap_kw"].to_list() == [100.0, 40.0]
    assert frame["blocks_above"].to_list() == [0, 96]
    assert cap_accounts(blocks([50.0]), [site()], FIRST, END, at(END)).is_empty()


def test_days_add_up_to_the_account():
    of = capped({"from": DAY.isoformat(), "value": 100})
    rows = blocks([50.0] * 95 + [120.0] * 97)
    days = cap_days(rows, [of], FIRST, END, at(date(2026, 11, 18)))
    assert days.schema == pl.Schema(CAP_DAY)
    assert days["blocks_above"].to_list() == [1, 96]
    got = account(rows, of, at(date(2026, 11, 18)))
    assert got["kwh_above"] == pytest.approx(days["kwh_above"].sum())


def test_a_day_of_25_hours_has_a_hundred_blocks():
    berlin, day = ZoneInfo("Europe/Berlin"), date(2026, 10, 25)
    cap = {"from": day.isoformat(), "until": "2026-10-26", "value": 10}
    rows = blocks([20.0] * 120, start=at(day, berlin))
    of = capped(cap, timezone="Europe/Berlin")
    now = datetime(2026, 11, 1, tzinfo=berlin)
    got = cap_accounts(rows, [of], date(2026, 10, 1), END, now).row(0, named=True)
    assert (got["blocks_due"], got["blocks_above"], got["kwh_above"]) == (100, 100, 250.0)


def test_until_must_be_later():
    with pytest.raises(ValidationError, match="later"):
        capped({"from": "2026-11-02", "until": "2026-11-02", "value": 1})
