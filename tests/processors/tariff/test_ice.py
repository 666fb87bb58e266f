"""Ice storage: what moved to the valley, what was cut in peak hours, and what it saved."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from bill_world import PACKS, SUPPLY, billed, midnight, rates
from fakes.reference_tariff import guangdong_period
from tariff_rows import blocks

from processors.tariff.ice import ICE, ice_storage

BEFORE, AFTER = date(2025, 10, 1), date(2026, 10, 1)
ZONE = ZoneInfo("Asia/Shanghai")


def curve(month, day_kwh, night_kwh, weekend=1.0):
    """A month of quarter hours: `night_kwh` from 0 to 8, `day_kwh` from 8 to 24."""
    first = midnight(month)
    values = []
    for n in range(96 * 31):
        local = (first.astimezone(UTC) + n * timedelta(minutes=15)).astimezone(ZONE)
        factor = weekend if local.weekday() >= 5 else 1.0
        values.append((night_kwh if local.hour < 8 else day_kwh) * factor)
    return blocks(first, values)


def with_ice(**told):
    """A general contract that becomes an ice-storage contract in 2026."""
    site = billed(**told)
    later = SUPPLY | {"from": "2026-01-01", "user_class": "ice-storage"}
    supplies = [*site.supply, type(site.supply[0]).model_validate(later)]
    return site.model_copy(update={"supply": tuple(supplies)})


def evaluate(site, before, after, **told):
    rows = pl.concat([before, after])
    frame = ice_storage(site, BEFORE, AFTER, rows, rates(), **told)
    return {row["period"]: row for row in frame.rows(named=True)}


def test_moved_to_the_valley_by_plain_arithmetic():
    """10 kWh a quarter hour by day become 7, the night's 2 become 9: 6.2 % more energy."""
    found = evaluate(with_ice(), curve(BEFORE, 10.0, 2.0), curve(AFTER, 7.0, 9.0))
    nights, peaks, flats = 31 * 32, 31 * 28, 31 * 36
    assert found["valley"]["shift_kwh"] == pytest.approx(nights * 7.0)
    assert found["peak"]["shift_kwh"] == pytest.approx(-peaks * 3.0)
    whole = found[None]
    assert whole["cut_kw"] == pytest.approx(12.0)
    assert whole["shift_kwh"] == pytest.approx(nights * 7.0 - (peaks + flats) * 3.0)
    assert (whole["coverage"], whole["baseline_coverage"], whole["day_types"]) == (1.0, 1.0, True)
    general = {"peak": 1.1433, "flat": 0.6725, "valley": 0.2556}
    ice = {"peak": 1.1096, "flat": 0.6725, "valley": 0.1681}
    kwh = {
        "peak": (peaks * 10.0, peaks * 7.0),
        "flat": (flats * 10.0, flats * 7.0),
        "valley": (nights * 2.0, nights * 9.0),
    }
    by_shift = sum((old - new) * general[p] for p, (old, new) in kwh.items())
    by_ratio = sum(new * (general[p] - ice[p]) for p, (_, new) in kwh.items())
    assert whole["saved_by_shift_yuan"] == pytest.approx(by_shift)
    assert whole["saved_by_ratio_yuan"] == pytest.approx(by_ratio)
    assert whole["saved_yuan"] == pytest.approx(by_shift + by_ratio)


def test_weekends_are_compared_with_weekends():
    """The months have other numbers of working days; nothing was moved, so nothing is saved."""
    same = [curve(month, 10.0, 2.0, weekend=0.4) for month in (BEFORE, AFTER)]
    site = billed()
    # October has holidays inside the week: leave only days whose curve is their type's
    kept = [drop_holidays(one) for one in same]
    found = evaluate(site, *kept)
    assert found[None]["shift_kwh"] == pytest.approx(0.0, abs=1e-6)
    assert found[None]["saved_yuan"] == pytest.approx(0.0, abs=1e-6)


def drop_holidays(rows):
    """Without the holidays and the weekend days made up for them."""
    local = pl.col("start").dt.convert_time_zone("Asia/Shanghai").dt.day()
    return rows.filter(local.is_between(13, 31))


def test_the_same_energy_compares_the_shape_alone():
    found = evaluate(with_ice(), curve(BEFORE, 10.0, 2.0), curve(AFTER, 20.0, 4.0))
    scaled = evaluate(
        with_ice(), curve(BEFORE, 10.0, 2.0), curve(AFTER, 20.0, 4.0), same_energy=True
    )
    assert found[None]["shift_kwh"] > 20_000
    assert scaled[None]["shift_kwh"] == pytest.approx(0.0, abs=1e-6)
    assert scaled["valley"]["shift_kwh"] == pytest.approx(0.0, abs=1e-6)
    assert scaled[None]["scaled"]


def test_only_blocks_that_are_known_are_compared():
    after = curve(AFTER, 7.0, 9.0).head(96 * 20)
    found = evaluate(with_ice(), curve(BEFORE, 10.0, 2.0), after)
    assert found["valley"]["baseline_kwh"] == pytest.approx(20 * 32 * 2.0)
    assert found[None]["coverage"] == pytest.approx(20 / 31)


def test_what_cannot_be_said_has_a_reason():
    before, after = curve(BEFORE, 10.0, 2.0), curve(AFTER, 7.0, 9.0)
    assert evaluate(with_ice(), before, after.clear())[None]["reason"] == "no_data"
    assert evaluate(with_ice(), before.clear(), after)[None]["reason"] == "no_baseline"
    bare = ice_storage(billed({"prices": None}), BEFORE, AFTER, pl.concat([before, after]), rates())
    assert bare.schema == pl.Schema(ICE)
    assert set(bare["reason"]) == {"no_price"}
    assert bare["shift_kwh"].null_count() == 0
    assert bare["saved_yuan"].null_count() == bare.height


def test_days_nobody_knows_the_type_of_make_one_typical_day():
    later = date(2035, 10, 1)
    rows = pl.concat([curve(BEFORE, 10.0, 2.0), curve(later, 7.0, 9.0)])
    frame = ice_storage(billed(), BEFORE, later, rows, rates())
    assert set(frame["day_types"]) == {False}
    assert frame.filter(pl.col("period") == "valley")["shift_kwh"][0] == pytest.approx(31 * 32 * 7)


def test_the_reference_agrees_on_the_hours():
    nine = datetime(2026, 10, 1, 1, tzinfo=UTC)
    assert guangdong_period(nine, "Asia/Shanghai") == "flat"
    assert PACKS.tariff("guangdong-tou", AFTER).ratios_of(with_ice().supply[1]).peak == 1.65
